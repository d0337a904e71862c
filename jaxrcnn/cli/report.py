"""What a training run prints around its steps: what it trains on, and where its results are."""

import pathlib
import shlex
from collections.abc import Collection

from jaxrcnn.config import Config
from jaxrcnn.curves import plot_curves
from jaxrcnn.data.datasets import describe_datasets, open_datasets, open_test_dataset
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.report import PAGE
from jaxrcnn.run_scores import describe_result
from jaxrcnn.training.alternating import stage_of, takes_given
from jaxrcnn.training.hosts import first_then_others, is_first
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.progress import Progress


def open_sets(config: Config, workdir: pathlib.Path) -> tuple[Dataset, Dataset, Dataset | None]:
    """Open the training, the evaluation and the test set, and print a line about each.

    Args:
        config: of the run; without data.test_split there is no test set.
        workdir: its folder, where split.json says which images are held out, if any are.

    Raises:
        ConfigError, DataError: see `jaxrcnn.data.open_datasets`.
    """
    with (
        Progress(config.train.steps) as progress,
        progress.activity("reading the data", "read the data"),
    ):
        # The first process writes which images are held out, if any are.
        train_set, eval_set = first_then_others(lambda: open_datasets(config, workdir))
        names, test_split = train_set.class_names, config.data.test_split
        test_set = open_test_dataset(config, names) if test_split else None
    print(*describe_datasets(train_set, eval_set), sep="\n")
    if test_set is not None:
        print(f"test        {test_set.summary()}")
    return train_set, eval_set, test_set


def report(
    config: Config, workdir: pathlib.Path, unread: Collection[str], pieces: str | None = None
) -> None:
    """Draw the curves; print where everything is, and which commands come next.

    Args:
        config: of the run.
        workdir: its folder.
        unread: a line for each image that could not be read, from `jaxrcnn.runs.run`.
        pieces: what built the detector, as `next_commands` takes it.
    """
    if not is_first():
        return
    plot_curves(MetricsWriter.read(workdir / "metrics.jsonl"), workdir / "plots")
    for line in unread:
        print(f"left out: {line}")
    curves = [workdir / "plots" / f"{name}.png" for name in ("losses", "ap", "diagnostics")]
    images = workdir / "plots" / "detections.png"
    print("", *describe_result(config, workdir), sep="\n")
    print("curves   ", ", ".join(str(path) for path in curves if path.exists()))
    events = f"; for TensorBoard, {workdir / 'tensorboard'}"
    tracked = events if "tensorboard" in config.train.trackers else ""
    print(f"metrics   {workdir / 'metrics.jsonl'}{tracked}")
    print(f"weights   {workdir / 'checkpoints'}")
    if images.exists():  # an RPN alone detects nothing
        print(f"images    {images}: detections next to the ground truth")
    page = workdir / "eval" / PAGE
    if page.exists():
        print(f"report    {page}: why the score is what it is")
    print(
        "\nNext:", *(f"  {command}" for command in next_commands(config, workdir, pieces)), sep="\n"
    )


def next_commands(config: Config, workdir: pathlib.Path, pieces: str | None = None) -> list[str]:
    """What to do with a finished run, as commands for a shell.

    They begin with ``python -m jaxrcnn``, which also works where the package is not installed.

    Args:
        config: of the run.
        workdir: its folder.
        pieces: MODULE:FUNCTION that built its detector, if it is not `jaxrcnn.detector.build`.
    """
    folder, last = shlex.quote(str(workdir)), config.train.steps - 1
    own = "" if pieces is None else f" --pieces {shlex.quote(pieces)}"
    if stage_of(config, last) == "rpn":
        return [f"python -m jaxrcnn proposals {folder}{own}"]
    commands = [f"python -m jaxrcnn evaluate {folder}{own}"]
    if not takes_given(config, last):  # a box head alone has proposals for its data sets only
        commands.insert(0, f"python -m jaxrcnn predict {folder} IMAGES --out found{own}")
    return commands
