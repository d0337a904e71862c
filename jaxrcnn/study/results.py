"""What the runs of a study gave, read from their folders."""

import dataclasses
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from jaxrcnn.config import Config
from jaxrcnn.config_io import field_values
from jaxrcnn.study.intervals import Interval
from jaxrcnn.study.run_files import (
    commit_and_machine,
    final_recall,
    finite_values,
    rounded,
    thinned,
)
from jaxrcnn.study.speed import Kind, seconds_until, step_costs
from jaxrcnn.training.alternating import phases
from jaxrcnn.training.metrics import read_rows
from jaxrcnn.training.workdir import read_config

Status = Literal["finished", "diverged", "waiting"]

SCHEME_FIELDS = (
    "train.scheme",
    "model.proposals.stop_gradient",
    "model.proposals.pooling_gradient",
    "model.proposals.target_gradient",
    "model.proposals.open_",
    "model.proposals.delta_gradient.",
)
"""Fields that make a scheme, or how their names begin."""
STEPS = "train.alternating.steps"


@dataclasses.dataclass(frozen=True)
class Point:
    """One evaluation of a run."""

    step: int
    """Training steps done."""
    images: int
    """Images seen until then, repeats counted: steps times train.batch_size."""
    seconds: float
    """Seconds of training steps until then, compilation and evaluation left out."""
    scores: dict[str, float]
    """``AP``, ``AP50``, ``AR100``, ``loss`` and so on; those that are finite. At the end of the run
    also ``recall50`` and ``recall70``, the proposals' recall at IoU 0.5 and 0.7."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """How a run diverged."""

    step: int
    """The first step whose loss is not finite."""
    message: str
    """Which losses are not finite, and where that began."""


@dataclasses.dataclass(frozen=True)
class RunResult:
    """One scheme with one seed."""

    scheme: str
    seed: int
    folder: str
    """Below the study's folder."""
    status: Status
    wall_seconds: float | None = None
    """From start to end, everything included."""
    failure: Failure | None = None
    """Of a diverged run."""
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    """The fields in which the study's variants differ, and `SCHEME_FIELDS` that are not as by
    default; with their values."""
    phase_starts: tuple[int, ...] = (0,)
    """Steps done before each of alternating training's phases; joint training is one."""
    steps_done: int = 0
    """Training steps that were logged."""
    train_seconds: float = 0.0
    """Seconds of those, compilation and evaluation left out."""
    points: tuple[Point, ...] = ()
    losses: tuple[tuple[int, float], ...] = ()
    """Steps and ``train/loss`` where finite, which is the sum of the losses that are trained there.
    If there are many, means of several consecutive ones."""
    diagnostics: tuple[dict[str, float], ...] = ()
    """``step`` and the ``diagnostics/`` metrics of a row, without that prefix, where finite."""
    commit: str = ""
    machine: str = ""
    """The git commit and the machine of the last start of this run; empty if unknown."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The difference of a scheme from the baseline in one measure, over runs paired by seed.

    Intervals are 95 %; with fewer than two pairs they are None.
    """

    scheme: str
    measure: str
    """A name of `Point.scores` at the end of the runs, or of a diagnostic."""
    seeds: tuple[int, ...]
    """Seeds with which both runs finished."""
    differences: tuple[float, ...]
    """The scheme's score minus the baseline's, for each of these seeds."""
    mean: float | None
    """Mean of the differences; None without pairs."""
    student: Interval | None
    """Student's t interval, as in the paired t-test."""
    over_seeds: Interval | None
    """Percentile bootstrap over the pairs, which is too narrow for few of them."""
    over_images: Interval | None
    """Percentile bootstrap over pairs and images together; None where it was not computed."""
    diverged: int
    """Number of seeds with which at least one of the two runs diverged; they have no pair."""


@dataclasses.dataclass(frozen=True)
class Study:
    """Schemes trained with the same data, seeds and budget."""

    title: str
    command: str
    date: str
    machine: dict[str, str]
    schemes: tuple[str, ...]
    """In the order in which to show them."""
    seeds: tuple[int, ...]
    steps: int
    """Training steps of a run."""
    batch_size: int
    """Images of a step."""
    train_set: str
    eval_set: str
    """What each data set is, in words."""
    runs: tuple[RunResult, ...]
    baseline: str = ""
    """The scheme that the others are compared with; empty for the default."""
    comparisons: tuple[Comparison, ...] = ()
    """Comparisons of the other schemes with the baseline; see `jaxrcnn.study.comparisons`."""


def read_run(
    folder: pathlib.Path,
    scheme: str,
    seed: int,
    status: Status,
    *,
    failure: Failure | None = None,
    wall_seconds: float | None = None,
    fields: Collection[str] = (),
) -> RunResult:
    """Read a run's config.json and metrics.jsonl; a waiting run may have neither.

    Args:
        folder: of the run.
        scheme: its name in the study.
        seed: its seed in the study.
        status: how it ended.
        failure: of a diverged run.
        wall_seconds: from start to end, everything included.
        fields: dotted names of those in which the study's variants differ.

    Raises:
        ConfigError: one of the two files cannot be read.
    """
    run = RunResult(
        scheme=scheme,
        seed=seed,
        folder=f"{folder.parent.name}/{folder.name}",
        status=status,
        failure=failure,
        wall_seconds=wall_seconds,
    )
    if status == "waiting":
        return run
    config, rows = read_config(folder), read_rows(folder / "metrics.jsonl")
    costs = step_costs(config, rows)
    steps_done = max((row["step"] for row in rows if "train/loss" in row), default=0)
    phase_starts = tuple(phase.first_step for phase in phases(config)) or (0,)
    commit, machine = commit_and_machine(folder)
    return dataclasses.replace(
        run,
        settings=shown_settings(config, fields),
        phase_starts=phase_starts,
        steps_done=steps_done,
        train_seconds=seconds_until(config, costs, steps_done),
        points=_points(folder, config, rows, costs),
        losses=thinned(_losses(rows), phase_starts),
        diagnostics=tuple(
            {"step": row["step"], **values}
            for row in rows
            if (values := finite_values(row, "diagnostics/", 4))
        ),
        commit=commit,
        machine=machine,
    )


def _points(
    folder: pathlib.Path,
    config: Config,
    rows: Sequence[Mapping[str, Any]],
    costs: Mapping[Kind, float],
) -> tuple[Point, ...]:
    """The evaluations of a run; the last one with the recall of its proposals."""
    points = [
        Point(
            row["step"],
            row["step"] * config.train.batch_size,
            rounded(seconds_until(config, costs, row["step"]), 6),
            finite_values(row, "eval/"),
        )
        for row in rows
        if "eval/loss" in row
    ]
    if points:
        points[-1].scores.update(final_recall(folder, points[-1].step))
    return tuple(points)


def _losses(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, float], ...]:
    return tuple(
        (row["step"], values[""])
        for row in rows
        if "" in (values := finite_values(row, "train/loss"))  # others are train/loss_...
    )


def shown_settings(config: Config, fields: Collection[str] = ()) -> dict[str, str]:
    """Fields that make a scheme, where they are not as by default, and these others, as text."""
    default = field_values(Config())
    settings = {
        name: str(value)
        for name, value in field_values(config).items()
        if (value != default[name] if name.startswith(SCHEME_FIELDS) else name in fields)
        and name != STEPS
    }
    if config.train.scheme == "alternating":
        settings[STEPS] = ", ".join(
            f"{step.trains} {step.steps}" for step in config.train.alternating.steps
        )
    return settings
