"""Differences between the variants of a study and its baseline, in pairs with the same seed."""

import statistics
import types
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from jaxrcnn.study.intervals import Interval, image_interval, seed_interval, student_interval
from jaxrcnn.study.measures import SCORES
from jaxrcnn.study.results import Comparison, Study
from jaxrcnn.study.summary import baseline_of, compared_schemes, final_values, runs_of

Precisions = Mapping[tuple[str, int], np.ndarray]
"""(B,) AP of runs on B resamples of the images, the same for all, by scheme and seed."""

DIGITS = 6
"""Decimals of differences, more than scores have."""

NOTHING: Precisions = types.MappingProxyType({})


def with_comparisons(study: Study, precisions: Precisions = NOTHING) -> Study:
    """The study with comparisons of each variant with the baseline, in the study's order.

    Args:
        study: existing comparisons are replaced.
        precisions: for the interval of AP over seeds and images; runs may be missing.
    """
    found = [
        compare(study, scheme, name, precisions)
        for scheme in compared_schemes(study)
        for name in SCORES
    ]
    # Of measures without a pair only the first is kept, which says so.
    kept = tuple(one for one in found if one.seeds or one.measure == SCORES[0])
    return replace(study, comparisons=kept)


def compare(
    study: Study, scheme: str, measure: str, precisions: Precisions = NOTHING
) -> Comparison:
    """Compare a variant with the baseline.

    Args:
        study: of both.
        scheme: the variant's name.
        measure: see `jaxrcnn.study.summary.final_values`.
        precisions: see `with_comparisons`.
    """
    baseline = baseline_of(study)
    ours, theirs = final_values(study, scheme, measure), final_values(study, baseline, measure)
    seeds = tuple(seed for seed in study.seeds if seed in ours and seed in theirs)
    differences = tuple(round(ours[seed] - theirs[seed], DIGITS) for seed in seeds)
    over_images = _over_images(scheme, baseline, seeds, precisions) if measure == "AP" else None
    diverged = {run.seed for name in (scheme, baseline) for run in runs_of(study, name, "diverged")}
    return Comparison(
        scheme,
        measure,
        seeds,
        differences,
        round(statistics.fmean(differences), DIGITS) if differences else None,
        rounded(student_interval(differences)),
        rounded(seed_interval(differences)),
        rounded(over_images),
        len(diverged),
    )


def _over_images(
    scheme: str, baseline: str, seeds: Sequence[int], precisions: Precisions
) -> Interval | None:
    """The interval of the difference in AP over seeds and images, if all runs have their AP."""
    pairs = [((scheme, seed), (baseline, seed)) for seed in seeds]
    if not pairs or not all(run in precisions for pair in pairs for run in pair):
        return None
    return image_interval(
        np.stack([precisions[ours] - precisions[theirs] for ours, theirs in pairs])
    )


def rounded(interval: Interval | None) -> Interval | None:
    """An interval of differences with `DIGITS` decimals."""
    return None if interval is None else (round(interval[0], DIGITS), round(interval[1], DIGITS))
