"""Train a detector: python train.py --config configs/NAME.py --workdir DIR --config.FIELD VALUE.

Read it in order: data -> detector -> run -> results. A fork copies this file and hands
its own pieces to `build` (docs/forking.md).
"""

import pathlib
import sys
from collections.abc import Collection, Sequence

from jaxrcnn.cli.options import parse_train_arguments
from jaxrcnn.cli.parsing import fail, stop
from jaxrcnn.config import Config, ConfigError

# What loads jax is imported in the functions that use it, so that --help need not wait.

HERE = pathlib.Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line asks; one line and exit code 2 where that cannot be done.

    An interrupted run ends with a line too, and exit code 130.
    """
    arguments = parse_train_arguments(argv, default_config=HERE / "configs" / "quickstart.py")

    from jaxrcnn.data.errors import DataError
    from jaxrcnn.runtime.process import prepare_process
    from jaxrcnn.training.loop import NonFiniteLossError

    prepare_process()
    try:
        train(arguments.config, arguments.workdir)
    except (ConfigError, DataError, NonFiniteLossError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        stop("; the same command goes on from the last checkpoint, if there is one by now")


def train(config: Config, workdir: pathlib.Path) -> None:
    """Train, or go on from the workdir's last checkpoint; everything made lies in the workdir."""
    from jaxrcnn.data.datasets import open_datasets
    from jaxrcnn.detector import build
    from jaxrcnn.runs import run

    train_set, eval_set = open_datasets(config)
    print(train_set.summary(), eval_set.summary(), sep="\n")
    detector = build(config.model)
    unread = run(config, workdir, detector, train_set, eval_set)
    report(workdir, unread)


def report(workdir: pathlib.Path, unread: Collection[str]) -> None:
    """Draw the curves, and say where everything lies."""
    from jaxrcnn.curves import plot_curves
    from jaxrcnn.runs import score_line, scores
    from jaxrcnn.training.metrics import MetricsWriter

    plot_curves(MetricsWriter.read(workdir / "metrics.jsonl"), workdir / "plots")
    for line in unread:
        print(f"left out: {line}")
    for last in scores(workdir)[-1:]:
        print(f"step {last['step']}  {score_line(last)}")
    curves, images = ("losses.png", "ap.png", "diagnostics.png"), ("detections.png",)
    for title, names in (("curves", curves), ("images", images)):
        paths = [workdir / "plots" / name for name in names]
        there = [str(path) for path in paths if path.exists()]
        if there:  # an RPN alone finds nothing that could be drawn
            print(f"{title:8}  {', '.join(there)}")
    print(f"metrics   {workdir / 'metrics.jsonl'}; TensorBoard: {workdir / 'tensorboard'}")
    print(f"weights   {workdir / 'checkpoints'}")


if __name__ == "__main__":
    main(sys.argv[1:])
