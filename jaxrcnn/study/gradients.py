"""The diagnostics of runs over their steps: gradient norms by route, and other numbers."""

import collections
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxrcnn.study.results import RunResult

ROUTES = ("direct", "pooling", "targets")
"""How a loss reaches a module: past the gate, or through it on one of its two routes."""


class Gradient(NamedTuple):
    """What a gradient norm is of: ``gradient/LOSS/ROUTE/MODULE``; a module's name may have /."""

    loss: str
    route: str
    module: str


def parse_gradient(name: str) -> Gradient | None:
    """What a diagnostic's name says; None where it is no gradient norm."""
    kind, *parts = name.split("/")
    if kind != "gradient" or len(parts) < 3:
        return None
    loss, route, *module = parts
    return Gradient(loss, route, "/".join(module))


def diagnostic_names(runs: Iterable[RunResult]) -> list[str]:
    """Every name that a row of the runs has but ``step``, in the order of appearance."""
    names = (name for run in runs for row in run.diagnostics for name in row)
    return [name for name in dict.fromkeys(names) if name != "step"]


def mean_over_runs(runs: Sequence[RunResult], name: str) -> dict[int, float]:
    """A diagnostic at every step at which a run has it: the mean over the runs that do."""
    values: dict[int, list[float]] = collections.defaultdict(list)
    for run in runs:
        for row in run.diagnostics:
            if name in row:
                values[int(row["step"])].append(row[name])
    return {step: statistics.fmean(values[step]) for step in sorted(values)}
