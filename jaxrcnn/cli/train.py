"""python -m jaxrcnn train --config NAME --workdir DIR --config.FIELD VALUE, and train.py"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from jaxrcnn.cli.devices import check_devices
from jaxrcnn.cli.errors import one_line_errors
from jaxrcnn.cli.hosts import together
from jaxrcnn.cli.options import TrainArguments, parse_train_arguments
from jaxrcnn.config import Config
from jaxrcnn.runtime.process import prepare_output, prepare_process
from jaxrcnn.wording import counted, legible

Train = Callable[[Config, pathlib.Path, str | None], None]
"""Trains a config in a workdir, with what --pieces named, if anything."""


def train(config: Config, workdir: pathlib.Path, pieces: str | None = None) -> None:
    """Train, or continue from the workdir's last checkpoint. Everything is written to the workdir.

    train.py has the same function for a fork to change.

    Args:
        config: of the run.
        workdir: its folder.
        pieces: MODULE:FUNCTION that builds the detector, by default `jaxrcnn.detector.build`.

    Raises:
        ConfigError: the workdir holds a run of another config or of other pieces, there is no such
            function, or the config does not fit.
        DataError: the data cannot be read.
        NonFiniteLossError: training diverged.
    """
    from jaxrcnn.cli.pieces import find_build
    from jaxrcnn.cli.report import open_sets, report
    from jaxrcnn.runs import run
    from jaxrcnn.training.pieces import build_detector

    detector = build_detector(config.model, find_build(pieces), workdir)
    train_set, eval_set, test_set = open_sets(config, workdir)
    unread = run(config, workdir, detector, train_set, eval_set, test_set=test_set)
    report(config, workdir, unread, pieces)


def main(
    argv: Sequence[str] | None = None, train: Train = train, *, program: str = "train.py"
) -> int:
    """Train as the command line asks, and return exit code 0.

    What cannot be done ends the program in one line, with an exit code of `jaxrcnn.cli.errors`.

    Args:
        argv: the words after the program's name, by default those of the process.
        train: does it.
        program: name of the program, for its help.
    """
    prepare_output()
    arguments = parse_train_arguments(argv, program=program)
    if arguments.asked is None:
        print(headline(arguments), flush=True)
    again = "; the same command continues from the last checkpoint, if there is one"
    with one_line_errors(again, arguments.workdir):
        prepare_process()
        with together(arguments.hosts):
            check_devices()
            train(_find_config(arguments), arguments.workdir, arguments.pieces)
    return 0


def _find_config(arguments: TrainArguments) -> Config:
    """The config with what is found in its folders, which is printed."""
    from jaxrcnn.cli.folder import folder_config
    from jaxrcnn.data.sources import resolve_data

    def say(line: str) -> None:
        print(legible(line), flush=True)

    if arguments.asked is None:
        config, lines = resolve_data(arguments.config)
        for line in lines:
            say(line)
        return config
    config = folder_config(arguments.asked, arguments.workdir, say, arguments.pieces)
    say(headline(dataclasses.replace(arguments, config=config)))
    return config


def headline(arguments: TrainArguments) -> str:
    """What is about to be trained, for how long and where."""
    wanted = arguments.config.train
    images = counted(wanted.batch_size, "image")
    if wanted.epochs:
        epochs = "epoch" if wanted.epochs == 1 else "epochs"
        length = f"{wanted.epochs:g} {epochs} in steps of {images}"
    else:
        length = f"{counted(wanted.steps, 'step')} of {images}"
    return f"{arguments.config_name}: {length}, saved in {arguments.workdir}"
