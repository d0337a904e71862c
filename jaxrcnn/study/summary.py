"""What a study's runs say together: a scheme over its seeds, time to a score, the saving."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable

from jaxrcnn.study.measures import SCORES
from jaxrcnn.study.results import RunResult, Study

APPROXIMATE = "approximate"
"""The scheme that alternating training is compared with, and any other by default."""

PUBLISHED_SAVING = (0.25, 0.5)
"""The training time that approximate joint training saves against alternating training, from and
to, as arXiv 1506.01497 (section 3.2) reports it."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """A number over seeds."""

    values: tuple[float, ...]
    """One a seed."""
    mean: float
    std: float | None
    """Sample standard deviation; None of one value."""


@dataclasses.dataclass(frozen=True)
class SchemeSummary:
    """A scheme over its seeds."""

    scheme: str
    final: dict[str, Spread]
    """`SCORES` at the end of the runs that finished; those scores that there are."""
    step_seconds: float | None
    """Median over the runs of a training step's mean seconds. Runs that diverged count only where
    none finished, since alternating training may not have reached its cheap steps."""
    step_ratio: float | None
    """``step_seconds`` relative to that of the study's baseline."""
    finished: int
    diverged: int
    waiting: int
    """Runs."""


@dataclasses.dataclass(frozen=True)
class Reach:
    """When a run first reached a level of AP."""

    images: float
    """Images seen until then, repeats counted."""
    seconds: float
    """Seconds of training steps until then."""
    at_first: bool
    """Whether its first evaluation says so: it may have been earlier."""


@dataclasses.dataclass(frozen=True)
class TimeTo:
    """When a scheme's runs first reached a level of AP: the mean over those that did."""

    scheme: str
    level: float
    images: float | None
    seconds: float | None
    at_first: bool
    """Whether one of them did at its first evaluation, or earlier."""
    reached: int
    started: int
    """Runs that reached it, and all that finished or diverged."""


@dataclasses.dataclass(frozen=True)
class Saving:
    """Training time that approximate joint training saves against alternating training.

    Of a seed: 1 - (time until approximate first reaches the mean final AP of alternating) / (time
    of alternating's whole run).
    """

    level: float | None
    """Alternating's mean final AP."""
    images: Spread | None
    seconds: Spread | None
    """The shares saved, one a pair of runs in which approximate reaches the level."""
    at_first: bool
    """Whether one did at its first evaluation, or earlier."""
    pairs: int
    """Seeds with which alternating finished and approximate was started."""
    reason: str
    """Why there is no number; empty where there is one."""


def baseline_of(study: Study) -> str:
    """The scheme that the others are compared with; empty if there is none."""
    baseline = study.baseline or APPROXIMATE
    return baseline if baseline in study.schemes and len(study.schemes) > 1 else ""


def compared_schemes(study: Study) -> list[str]:
    """The schemes that are compared with the baseline, in the study's order."""
    baseline = baseline_of(study)
    return [scheme for scheme in study.schemes if baseline and scheme != baseline]


def spread(values: Iterable[float]) -> Spread | None:
    """Mean and sample standard deviation; None of nothing."""
    numbers = tuple(values)
    if not numbers:
        return None
    std = statistics.stdev(numbers) if len(numbers) > 1 else None
    return Spread(numbers, statistics.fmean(numbers), std)


def runs_of(study: Study, scheme: str, *statuses: str) -> list[RunResult]:
    """The runs of a scheme, in the order of the study; with these statuses, or all."""
    return [
        run
        for run in study.runs
        if run.scheme == scheme and (not statuses or run.status in statuses)
    ]


def final_values(study: Study, scheme: str, name: str) -> dict[int, float]:
    """Final values of a scheme's finished runs by seed; runs that have none are left out.

    Args:
        study: of which.
        scheme: of which.
        name: of a score, which is that of the last evaluation; or of a diagnostic, which is the
            mean over the measured steps of the second half of the run.
    """
    runs = {run.seed: run for run in runs_of(study, scheme, "finished")}
    found = {seed: _final_value(run, name, study.steps / 2) for seed, run in runs.items()}
    return {seed: value for seed, value in found.items() if value is not None}


def _final_value(run: RunResult, name: str, half: float) -> float | None:
    end = run.points[-1].scores if run.points else {}
    if name in end:
        return end[name]
    late = [row[name] for row in run.diagnostics if row["step"] > half and name in row]
    return statistics.fmean(late) if late else None


def final_scores(study: Study, scheme: str, name: str) -> Spread | None:
    """A score at the end of a scheme's finished runs."""
    return spread(final_values(study, scheme, name).values())


def summarise(study: Study) -> tuple[SchemeSummary, ...]:
    """Every scheme over its seeds, in the study's order."""
    baseline = step_seconds(study, baseline_of(study))
    summaries = []
    for scheme in study.schemes:
        final = {name: final_scores(study, scheme, name) for name in SCORES}
        seconds = step_seconds(study, scheme)
        summaries.append(
            SchemeSummary(
                scheme,
                {name: found for name, found in final.items() if found is not None},
                seconds,
                seconds / baseline if seconds and baseline else None,
                len(runs_of(study, scheme, "finished")),
                len(runs_of(study, scheme, "diverged")),
                len(runs_of(study, scheme, "waiting")),
            )
        )
    return tuple(summaries)


def step_seconds(study: Study, scheme: str) -> float | None:
    """See `SchemeSummary.step_seconds`."""
    runs = runs_of(study, scheme, "finished") or runs_of(study, scheme, "diverged")
    means = [run.train_seconds / run.steps_done for run in runs if run.steps_done]
    return statistics.median(means) if means else None


def default_levels(study: Study) -> tuple[float, ...]:
    """Levels of AP that tell something about this study, ascending.

    Half, 80 % and 90 % of the best scheme's mean final AP, and the lowest scheme's mean final AP,
    which all of them reach; two digits each, rounded down.
    """
    finals = [final_scores(study, scheme, "AP") for scheme in study.schemes]
    means = [final.mean for final in finals if final is not None]
    if not means:
        return ()
    levels = [0.5 * max(means), 0.8 * max(means), 0.9 * max(means), min(means)]
    # The inner rounding undoes what 0.58 * 100 = 57.999... would do to the floor.
    return tuple(sorted({math.floor(round(100 * level, 6)) / 100 for level in levels} - {0.0}))


def first_reach(run: RunResult, level: float) -> Reach | None:
    """When a run's AP first was at least so high, on straight lines between its evaluations.

    What was reached before the first evaluation counts from there. None where it never was.
    """
    points = [point for point in run.points if "AP" in point.scores]
    if points and points[0].scores["AP"] >= level:
        return Reach(points[0].images, points[0].seconds, at_first=True)
    for before, after in itertools.pairwise(points):
        low, high = before.scores["AP"], after.scores["AP"]
        if high >= level:
            part = (level - low) / (high - low)
            return Reach(
                before.images + part * (after.images - before.images),
                before.seconds + part * (after.seconds - before.seconds),
                at_first=False,
            )
    return None


def time_to(study: Study, level: float) -> tuple[TimeTo, ...]:
    """When each scheme first reached a level of AP, in the study's order."""
    rows = []
    for scheme in study.schemes:
        runs = runs_of(study, scheme, "finished", "diverged")
        reached = [reach for run in runs if (reach := first_reach(run, level)) is not None]
        images = spread(reach.images for reach in reached)
        seconds = spread(reach.seconds for reach in reached)
        rows.append(
            TimeTo(
                scheme,
                level,
                images and images.mean,
                seconds and seconds.mean,
                any(reach.at_first for reach in reached),
                len(reached),
                len(runs),
            )
        )
    return tuple(rows)


def saving(study: Study) -> Saving:
    """What approximate joint training saves compared with alternating training."""
    level = final_scores(study, "alternating", "AP")
    if level is None:
        return Saving(None, None, None, False, 0, "no alternating run finished")
    if level.mean == 0:
        return Saving(0.0, None, None, False, 0, "alternating's mean final AP is 0")
    approximate = {run.seed: run for run in runs_of(study, APPROXIMATE, "finished", "diverged")}
    pairs = [
        (approximate[run.seed], run)
        for run in runs_of(study, "alternating", "finished")
        if run.seed in approximate
    ]
    if not pairs:
        reason = "no approximate run of the same seed has ended"
        return Saving(level.mean, None, None, False, 0, reason)
    reached = [
        (reach, other)
        for run, other in pairs
        if (reach := first_reach(run, level.mean)) is not None
    ]
    if not reached:
        reason = f"no approximate run reached alternating's mean final AP, {level.mean:.3f}"
        return Saving(level.mean, None, None, False, len(pairs), reason)
    return Saving(
        level.mean,
        spread(1 - reach.images / (run.steps_done * study.batch_size) for reach, run in reached),
        spread(1 - reach.seconds / run.train_seconds for reach, run in reached),
        any(reach.at_first for reach, _ in reached),
        len(pairs),
        "",
    )
