"""The waits of a new user: processes of their own, first with no kept program and then with those
that the first one kept."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from typing import NamedTuple

from jaxrcnn.benchmark.session import HOUSE, Measured
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.workload import config_for, draw_batch
from jaxrcnn.config import Config
from jaxrcnn.config_io import config_to_json
from jaxrcnn.data.synthetic import SHAPES
from jaxrcnn.detector import Variables
from jaxrcnn.interop.model_folder import make_model
from jaxrcnn.training.pieces import build_detector
from jaxrcnn.training.workdir import Classes

TIMES = 3
"""Runs of each, of which the median counts."""

HELP = "import jaxrcnn.cli; jaxrcnn.cli.main(['--help'])"

INIT = """
import pathlib, sys
import jax
from jaxrcnn.config_io import config_from_json
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.detector import init
build = find_build(sys.argv[2] or None)
config = config_from_json(pathlib.Path(sys.argv[1]).read_text())
jax.block_until_ready(init(build(config.model), jax.random.key(0)))
"""

FIRST_STEP = """
import pathlib, sys
from jaxrcnn.config_io import config_from_json
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.runs import run
from jaxrcnn.runtime.process import prepare_process
prepare_process()
build = find_build(sys.argv[3] or None)
config = config_from_json(pathlib.Path(sys.argv[1]).read_text())
run(config, pathlib.Path(sys.argv[2]), build(config.model), *open_datasets(config))
"""

FIRST_PREDICTION = """
import sys
import numpy as np
import jaxrcnn
from jaxrcnn.cli.pieces import find_build
build = find_build(sys.argv[3] or None)
jaxrcnn.load(sys.argv[1], build=build).predict(list(np.load(sys.argv[2])))
"""


class Wait(NamedTuple):
    """Seconds from the start of a process, imports included, to what it was started for."""

    cold: tuple[float, ...]  # with no kept program
    cached: tuple[float, ...]  # with those of an earlier process

    def numbers(self) -> dict[str, float | tuple[float, ...]]:
        """For a JSON file."""
        medians = {
            f"{name}_median": statistics.median(each) for name, each in self._asdict().items()
        }
        return {**self._asdict(), **medians}


def measure_waits(
    config: Config,
    train: Shape,
    predict: Shape,
    variables: Variables,
    times: int = TIMES,
    detector: Measured = HOUSE,
) -> dict[str, Wait]:
    """What a new user waits for, by name.

    Args:
        config: of the detector and its run.
        train: of the run's batches.
        predict: of the images of the first prediction.
        variables: of the detector that predicts.
        times: runs of each.
        detector: each process builds it by its name.
    """
    import numpy as np

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        asked, model, images = folder / "config.json", folder / "model", folder / "images.npy"
        number = config.model.num_classes
        asked.write_text(config_to_json(_run_of(config, train)), encoding="utf-8")
        names = tuple(f"class {label}" for label in range(1, number + 1))
        classes = Classes(names, tuple(range(1, number + 1)))
        built = build_detector(config.model, detector.build, detector.name)
        make_model(model, config, classes, variables, {}, built)
        np.save(images, draw_batch(predict, number).images)
        pieces = "" if detector == HOUSE else detector.name
        return {
            "--help": _wait(folder, times, HELP),
            "init": _wait(folder, times, INIT, str(asked), pieces),
            f"first step of {train}": _wait(
                folder, times, FIRST_STEP, str(asked), "{new}", pieces, until="step 1/"
            ),
            f"load and first prediction of {predict}": _wait(
                folder, times, FIRST_PREDICTION, str(model), str(images), pieces
            ),
        }


def _run_of(config: Config, train: Shape) -> Config:
    """The config of a run on drawn images, which have classes of their own.

    Its weights are random, of frozen norms too: only the time counts.
    """
    config = config_for(config, train)
    return replace(
        config,
        model=replace(config.model, num_classes=len(SHAPES)),
        data=replace(config.data, format="shapes"),
        train=replace(config.train, init="", init_strict=False),
    )


def _wait(folder: pathlib.Path, times: int, code: str, *arguments: str, until: str = "") -> Wait:
    """Run code so many times; an argument "{new}" is a folder that is not there yet."""
    cold, cached = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            for name, taken in (("cold", cold), ("cached", cached)):
                new = str(pathlib.Path(cache) / f"run_{name}")
                given = [new if argument == "{new}" else argument for argument in arguments]
                taken.append(_seconds(code, given, cache, until))
    return Wait(tuple(cold), tuple(cached))


def _seconds(code: str, arguments: list[str], cache: str, until: str) -> float:
    """Seconds until a new process writes a line that begins so, or ends where none is awaited.

    Raises:
        RuntimeError: the process failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "JAXRCNN_CACHE": cache, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    with process:
        for line in process.stdout:
            said.append(line)
            if until and line.startswith(until):
                process.kill()
                return time.perf_counter() - began
    if until or process.returncode:
        raise RuntimeError("".join(said[-1:]).strip() or f"exit code {process.returncode}")
    return time.perf_counter() - began
