"""The same run on another number of CPU cores."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
STEPS = 20


def train_on(cores, path):
    command = [sys.executable, "tests/on_cores.py", ",".join(map(str, cores)), str(STEPS), path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=400)
    return dict(np.load(path))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are chosen on Linux alone")
def test_another_number_of_cores_changes_the_last_digits_alone(tmp_path):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("there is one core")
    one, two = (train_on(cores[:number], tmp_path / f"{number}.npz") for number in (1, 2))
    assert one["batches"] == two["batches"]
    # With other draws, the first loss would already differ in its second digit.
    np.testing.assert_allclose(one["losses"][0], two["losses"][0], rtol=1e-5)
    np.testing.assert_allclose(one["losses"], two["losses"], rtol=1e-4)
    # Parameters are up to 1; in 20 steps they were 1.2e-7 apart.
    np.testing.assert_allclose(one["parameters"], two["parameters"], rtol=0, atol=1e-5)
