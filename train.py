"""Train a detector: python train.py --config configs/NAME.py --workdir DIR --config.FIELD VALUE.

Read it in order: detector -> data -> run -> results. `--pieces my_fork:build` trains a detector
with pieces of your own (docs/forking.md); a fork that changes more copies this file.
"""

import pathlib
import shlex
import sys
from collections.abc import Collection, Sequence

from jaxrcnn.cli.devices import check_devices
from jaxrcnn.cli.options import parse_train_arguments
from jaxrcnn.cli.parsing import fail, stop
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.runtime.process import prepare_process, write_any_text

# What loads jax is imported in the functions that use it, so that --help need not wait.

HERE = pathlib.Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line asks; one line and exit code 2 where that cannot be done.

    An interrupted run ends with a line too, and exit code 130.
    """
    write_any_text()
    arguments = parse_train_arguments(argv, default_config=HERE / "configs" / "quickstart.py")
    config, workdir = arguments.config, arguments.workdir
    print(
        f"{arguments.config_name}: {config.train.steps} steps of {config.train.batch_size} images, "
        f"saved in {workdir}",
        flush=True,
    )

    from jaxrcnn.data.errors import DataError
    from jaxrcnn.training.loop import NonFiniteLossError

    prepare_process()
    try:
        check_devices()
        train(config, workdir, arguments.pieces)
    except (ConfigError, DataError, NonFiniteLossError) as error:
        fail(error)
    except KeyboardInterrupt:
        stop("; the same command continues from the last checkpoint, if there is one by now")


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
    from jaxrcnn.data.datasets import describe_datasets, open_datasets, open_test_dataset
    from jaxrcnn.runs import run
    from jaxrcnn.training.pieces import build_detector
    from jaxrcnn.training.progress import Progress

    detector = build_detector(config.model, find_build(pieces), workdir)
    with (
        Progress(config.train.steps) as progress,
        progress.activity("reading the data", "read the data"),
    ):
        train_set, eval_set = open_datasets(config, workdir)
        names, test_split = train_set.class_names, config.data.test_split
        test_set = open_test_dataset(config, names) if test_split else None
    print(*describe_datasets(train_set, eval_set), sep="\n")
    unread = run(config, workdir, detector, train_set, eval_set, test_set=test_set)
    report(config, workdir, unread, pieces)


def report(
    config: Config, workdir: pathlib.Path, unread: Collection[str], pieces: str | None = None
) -> None:
    """Draw the curves; say where everything is, and which commands come next."""
    from jaxrcnn.curves import plot_curves
    from jaxrcnn.scoring import describe_result
    from jaxrcnn.training.metrics import MetricsWriter

    plot_curves(MetricsWriter.read(workdir / "metrics.jsonl"), workdir / "plots")
    for line in unread:
        print(f"left out: {line}")
    curves = [workdir / "plots" / f"{name}.png" for name in ("losses", "ap", "diagnostics")]
    images = workdir / "plots" / "detections.png"
    tensorboard = "tensorboard" in config.train.trackers
    print("", *describe_result(config, workdir), sep="\n")
    print("curves   ", ", ".join(str(path) for path in curves if path.exists()))
    print(
        f"metrics   {workdir / 'metrics.jsonl'}"
        + (f"; for TensorBoard, {workdir / 'tensorboard'}" if tensorboard else "")
    )
    print(f"weights   {workdir / 'checkpoints'}")
    if images.exists():  # an RPN alone detects nothing
        print(f"images    {images}: open it to see detections beside the ground truth")
    print(
        "\nNext:", *(f"  {command}" for command in next_commands(config, workdir, pieces)), sep="\n"
    )


def next_commands(config: Config, workdir: pathlib.Path, pieces: str | None = None) -> list[str]:
    """What to do with a finished run, to be pasted into a shell."""
    from jaxrcnn.training.alternating import stage_of, takes_given

    folder, last = shlex.quote(str(workdir)), config.train.steps - 1
    own = "" if pieces is None else f" --pieces {shlex.quote(pieces)}"
    if stage_of(config, last) == "rpn":
        return [f"python -m jaxrcnn proposals {folder}{own}"]
    commands = [f"python -m jaxrcnn evaluate {folder}{own}"]
    if not takes_given(config, last):  # a box head alone has proposals for its data sets only
        commands.insert(0, f"python -m jaxrcnn predict {folder} IMAGES --out found{own}")
    return commands


if __name__ == "__main__":
    main(sys.argv[1:])
