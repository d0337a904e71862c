"""Several studies next to each other: their differences from the baseline, and from a control."""

import dataclasses
import statistics
from collections.abc import Sequence

from jaxrcnn.study.comparisons import DIGITS, compare, rounded
from jaxrcnn.study.intervals import Interval, student_interval
from jaxrcnn.study.results import Comparison, Study
from jaxrcnn.study.summary import Spread, baseline_of, compared_schemes, final_scores


@dataclasses.dataclass(frozen=True)
class Contrast:
    """How a scheme's difference in a study compares with its difference in the control study.

    Both differences are from the baseline of their own study, and they are paired by seed.
    """

    seeds: tuple[int, ...]
    """Seeds that have a difference in both studies."""
    differences: tuple[float, ...]
    """The difference in the study minus that in the control, for each of these seeds."""
    mean: float
    student: Interval | None
    """95 % t interval of the mean; None for a single seed."""
    undone: float | None
    """The share of the control's mean difference that is absent from the study's: 0 if they are
    equal, 1 if the study's is 0. None if the control's may be 0: if its t interval, over the same
    seeds, contains it."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A scheme of one of the studies."""

    study: str
    """The study's name among the others."""
    baseline: str
    baseline_score: Spread | None
    score: Spread | None
    """Final scores of the baseline and of the scheme."""
    comparison: Comparison
    contrast: Contrast | None
    """With the control; None if there is no control, or if it has no pair of this scheme."""


def compare_studies(
    studies: Sequence[tuple[str, Study]], measure: str, control: Study | None = None
) -> tuple[Row, ...]:
    """The comparisons of all studies, in their order.

    Args:
        studies: names and results.
        measure: see `jaxrcnn.study.summary.final_values`.
        control: study whose differences the others' are compared with.
    """
    of_control = _differences(control, measure) if control is not None else {}
    rows = []
    for name, study in studies:
        baseline = baseline_of(study)
        for one in _differences(study, measure).values():
            rows.append(
                Row(
                    name,
                    baseline,
                    final_scores(study, baseline, measure),
                    final_scores(study, one.scheme, measure),
                    one,
                    contrast(one, of_control[one.scheme]) if one.scheme in of_control else None,
                )
            )
    return tuple(rows)


def contrast(ours: Comparison, control: Comparison) -> Contrast | None:
    """Compare two differences from the baseline; None if no seed has both."""
    of_ours, of_control = (
        dict(zip(one.seeds, one.differences, strict=True)) for one in (ours, control)
    )
    seeds = tuple(seed for seed in of_ours if seed in of_control)
    if not seeds:
        return None
    differences = tuple(round(of_ours[seed] - of_control[seed], DIGITS) for seed in seeds)
    now, before = (statistics.fmean(one[seed] for seed in seeds) for one in (of_ours, of_control))
    low, high = student_interval([of_control[seed] for seed in seeds]) or (before, before)
    may_be_nothing = low <= 0 <= high
    return Contrast(
        seeds,
        differences,
        round(now - before, DIGITS),
        rounded(student_interval(differences)),
        None if may_be_nothing else round(1 - now / before, DIGITS),
    )


def _differences(study: Study, measure: str) -> dict[str, Comparison]:
    """The comparisons of a study in one measure, by scheme; those without a value are left out.

    Comparisons in the file are taken, since only they have intervals over images.
    """
    found = {one.scheme: one for one in study.comparisons if one.measure == measure}
    every = {
        name: found.get(name) or compare(study, name, measure) for name in compared_schemes(study)
    }
    return {name: one for name, one in every.items() if one.seeds or one.diverged}
