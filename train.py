"""Train a detector: python train.py --config NAME --workdir DIR --config.FIELD VALUE.

Read `train` from top to bottom: detector -> data -> run -> report. `python -m jaxrcnn train` is the
same program. `--pieces my_fork:build` trains a detector with pieces of your own (docs/forking.md);
a fork that changes more copies this file.
"""

import pathlib
import sys

from jaxrcnn.cli.program import run_program
from jaxrcnn.cli.train import main
from jaxrcnn.config import Config

# What loads jax is imported in the functions that use it, so that --help need not wait.


def train(config: Config, workdir: pathlib.Path, pieces: str | None = None) -> None:
    """Train, or continue from the workdir's last checkpoint. Everything is written to the workdir.

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


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:], train))
