"""What the runs of a study gave, read from their folders."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

from jaxrcnn.config import Config
from jaxrcnn.config_io import field_values
from jaxrcnn.study.speed import seconds_until, step_costs
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
    """``AP``, ``AP50``, ``AR100``, ``loss`` and so on; those that are finite."""


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
    """The `SCHEME_FIELDS` that are not as by default, and their values."""
    phase_starts: tuple[int, ...] = (0,)
    """Steps done before each of alternating training's phases; joint training is one."""
    steps_done: int = 0
    """Training steps that were logged."""
    train_seconds: float = 0.0
    """Seconds of those, compilation and evaluation left out."""
    points: tuple[Point, ...] = ()
    losses: tuple[tuple[int, float], ...] = ()
    """Steps and ``train/loss`` where finite: the sum of the losses that are trained there."""
    diagnostics: tuple[dict[str, float], ...] = ()
    """``step`` and the ``diagnostics/`` metrics of a row, without that prefix, where finite."""


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
    """The scheme that the others are compared with; empty where the study does not say."""


def read_run(
    folder: pathlib.Path,
    scheme: str,
    seed: int,
    status: Status,
    *,
    failure: Failure | None = None,
    wall_seconds: float | None = None,
) -> RunResult:
    """Read a run's config.json and metrics.jsonl; a waiting run may have neither.

    Args:
        folder: of the run.
        scheme: its name in the study.
        seed: its seed in the study.
        status: how it ended.
        failure: of a diverged run.
        wall_seconds: from start to end, everything included.

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
    return dataclasses.replace(
        run,
        settings=scheme_settings(config),
        phase_starts=tuple(phase.first_step for phase in phases(config)) or (0,),
        steps_done=steps_done,
        train_seconds=seconds_until(config, costs, steps_done),
        points=tuple(
            Point(
                row["step"],
                row["step"] * config.train.batch_size,
                seconds_until(config, costs, row["step"]),
                finite_values(row, "eval/"),
            )
            for row in rows
            if "eval/loss" in row
        ),
        losses=tuple(
            (row["step"], row["train/loss"]) for row in rows if is_finite(row, "train/loss")
        ),
        diagnostics=tuple(
            {"step": row["step"], **values}
            for row in rows
            if (values := finite_values(row, "diagnostics/"))
        ),
    )


def is_finite(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row has the metric, and as a finite number."""
    return row.get(name) is not None and math.isfinite(row[name])


def finite_values(row: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """The finite metrics of a row whose names begin with the prefix, without it."""
    return {
        name.removeprefix(prefix): row[name]
        for name in row
        if name.startswith(prefix) and is_finite(row, name)
    }


def scheme_settings(config: Config) -> dict[str, str]:
    """The fields that make a config's scheme, where they are not as by default, as text."""
    default = field_values(Config())
    settings = {
        name: str(value)
        for name, value in field_values(config).items()
        if name.startswith(SCHEME_FIELDS) and value != default[name]
    }
    if config.train.scheme == "alternating":
        settings["train.alternating.steps"] = ", ".join(
            f"{step.trains} {step.steps}" for step in config.train.alternating.steps
        )
    return settings
