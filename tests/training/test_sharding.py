"""Eight virtual devices in processes of their own: a backend's devices are counted at its start."""

import os
import pathlib
import subprocess
import sys

import jax
import pytest

from jaxrcnn.config import Config, ConfigError, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training import sharding
from tests.tiny import MODEL

ROOT = pathlib.Path(__file__).parents[2]


def check(name, folder):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] += " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.eight_devices", name, str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "checked\n", done.stderr


def test_eight_devices_have_the_gradients_of_one_and_read_the_checkpoint_of_another_mesh(tmp_path):
    check("sample", tmp_path)


@pytest.mark.slow
def test_eight_devices_train_and_evaluate_as_one_does_batch_norm_included(tmp_path):
    check("all", tmp_path)


@pytest.mark.parametrize(("train_batch", "field"), [(8, "train"), (9, "eval")])
def test_a_batch_that_cannot_be_divided_is_refused(train_batch, field, monkeypatch):
    three = jax.sharding.AbstractMesh((3, 1), ("data", "fsdp"))
    monkeypatch.setattr(sharding, "make_mesh", lambda *_: three)
    config = Config(model=MODEL, train=TrainConfig(batch_size=train_batch))  # eval.batch_size is 8
    with pytest.raises(ConfigError, match=rf"{field}\.batch_size=8 must be a multiple of 3"):
        sharding.compile_programs(build(MODEL), config)
