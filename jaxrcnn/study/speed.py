"""How long training steps take, compilation and evaluation left out."""

import collections
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.training.alternating import Stage, phase_of, phases

Kind = tuple[Stage, bool]
"""What a step trains, and whether its backbone is frozen: steps of one kind cost the same."""

SPEED = "train/images_per_second"


def kind_of(config: Config, step: int) -> Kind:
    """The kind of a step, counted from 1."""
    phase = phase_of(config, step - 1)
    return (
        ("joint", False) if phase is None else (phase.step.trains, phase.step.backbone == "frozen")
    )


def step_costs(config: Config, rows: Sequence[Mapping[str, Any]]) -> dict[Kind, float]:
    """Seconds of a training step of each kind: those of the median of the logged speeds.

    The first row of a kind holds its compilation, and is left out where there are others.

    Args:
        config: of the run.
        rows: the lines of metrics.jsonl, in order; ``train/images_per_second`` is a mean over the
            steps since the line before.
    """
    speeds: dict[Kind, list[float]] = collections.defaultdict(list)
    for row in rows:
        speed = row.get(SPEED)
        if speed is not None and math.isfinite(speed) and speed > 0:
            speeds[kind_of(config, row["step"])].append(speed)
    return {
        kind: config.train.batch_size / statistics.median(values[1:] or values)
        for kind, values in speeds.items()
    }


def seconds_until(config: Config, costs: Mapping[Kind, float], step: int) -> float:
    """Seconds that the first so many training steps take.

    Raises:
        ConfigError: some of them are of a kind without a speed.
    """
    total = 0.0
    starts = [phase.first_step for phase in phases(config)] or [0]
    for start, end in zip(starts, [*starts[1:], math.inf], strict=True):
        steps = min(step, end) - start
        if steps <= 0:
            continue
        kind = kind_of(config, start + 1)
        if kind not in costs:
            raise ConfigError(f"metrics.jsonl has no {SPEED} after step {start}")
        total += steps * costs[kind]
    return total
