import time

import pytest

from jaxrcnn.benchmark import start
from jaxrcnn.benchmark.programs import draw_variables
from jaxrcnn.benchmark.session import HOUSE, Measured
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.config import Config, DataConfig, OptimizerConfig, TrainConfig
from tests.cli import fork
from tests.tiny import MODEL, change

SIGN = """
import os, pathlib, sys
cache, new = pathlib.Path(os.environ["JAXRCNN_CACHE"]), pathlib.Path(sys.argv[1])
print("kept" if (cache / "program").exists() else "nothing kept", new.exists())
(cache / "program").touch()
"""


def test_the_first_of_two_processes_has_an_empty_cache_and_each_a_new_folder(tmp_path, monkeypatch):
    said = []

    def seconds(code, arguments, cache, until):
        done = start.subprocess.run(
            [start.sys.executable, "-c", code, *arguments],
            env={**start.os.environ, "JAXRCNN_CACHE": cache},
            stdout=start.subprocess.PIPE,
            text=True,
            check=True,
        )
        said.append((done.stdout.strip(), arguments[0]))
        return float(len(said))

    monkeypatch.setattr(start, "_seconds", seconds)
    wait = start._wait(tmp_path, 2, SIGN, "{new}")
    assert wait == start.Wait((1.0, 3.0), (2.0, 4.0))
    assert [line for line, _ in said] == ["nothing kept False", "kept False"] * 2
    assert len({new for _, new in said}) == 4
    assert list(tmp_path.iterdir()) == []
    assert wait.numbers()["cold_median"] == 2.0


def test_a_wait_ends_with_the_process_or_with_a_line(tmp_path):
    assert start._seconds("import time; time.sleep(0.5)", [], str(tmp_path), "") > 0.5
    began = time.perf_counter()
    code = "import time; print('step 1/9  loss 2'); time.sleep(60)"
    taken = start._seconds(code, [], str(tmp_path), "step 1/")
    assert taken <= time.perf_counter() - began < 30


@pytest.mark.parametrize("until", ["", "step 1/"])
def test_a_process_that_fails_is_no_figure(tmp_path, until):
    with pytest.raises(RuntimeError, match="ValueError: broken"):
        start._seconds("raise ValueError('broken')", [], str(tmp_path), until)


@pytest.mark.slow
@pytest.mark.parametrize("detector", [HOUSE, Measured("tests.cli.fork:build", fork.build)])
def test_every_wait_of_a_tiny_detector(detector):
    data = DataConfig(format="shapes", num_train_images=4, num_eval_images=2)
    optimizer = OptimizerConfig(warmup_steps=0, milestones=())
    train = TrainConfig(batch_size=2, steps=2, init="nowhere", optimizer=optimizer)
    model = change(MODEL, backbone={"norm": "frozen"})  # of random weights here
    config = Config(model=model, data=data, train=train)
    shape = Shape(2, 64, 64)
    waits = start.measure_waits(
        *(config, shape, Shape(1, 64, 64), draw_variables(config)), times=1, detector=detector
    )
    assert list(waits) == [
        "--help",
        "init",
        f"first step of {shape}",
        "load and first prediction of 1x64x64",
    ]
    for wait in waits.values():
        assert len(wait.cold) == len(wait.cached) == 1
