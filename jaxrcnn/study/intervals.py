"""95 % intervals of a mean over few seeds; None for fewer than two."""

from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]
"""Lower and upper end."""

LEVEL = 0.95

DRAWS = 10_000
"""Of a bootstrap over seeds."""

SEED = 0
"""Of every bootstrap's draws, so that the same runs give the same interval."""


def student_interval(values: Sequence[float]) -> Interval | None:
    """Student's t interval of the mean; of paired differences, that of the paired t-test."""
    if len(values) < 2:
        return None
    from scipy import stats

    quantile = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)
    width = float(quantile * np.std(values, ddof=1) / np.sqrt(len(values)))
    mean = float(np.mean(values))
    return mean - width, mean + width


def seed_interval(values: Sequence[float]) -> Interval | None:
    """Percentile bootstrap interval of the mean.

    It is too narrow for few values, since it takes their spread for that of the population: over
    five normally distributed values, it contains the true mean in 85 % of cases instead of 95 %.
    """
    if len(values) < 2:
        return None
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(values), (DRAWS, len(values)))
    return _percentiles(np.asarray(values)[drawn].mean(axis=1))


def image_interval(values: np.ndarray) -> Interval | None:
    """Percentile bootstrap interval of the mean over seeds, with images and seeds resampled.

    Seeds and images are crossed, since all runs are scored on the same images: each draw uses one
    resample of the images for all of its seeds (Owen and Eckles, arXiv 1106.2125).

    Args:
        values: (S, B), for each seed and each of B resamples of the images. It is NaN if a resample
            has no objects; such draws are left out.
    """
    seeds, draws = values.shape
    if seeds < 2:
        return None
    drawn = np.random.default_rng(SEED).integers(0, seeds, (seeds, draws))
    means = np.take_along_axis(values, drawn, axis=0).mean(axis=0)
    means = means[~np.isnan(means)]
    return _percentiles(means) if len(means) else None


def _percentiles(means: np.ndarray) -> Interval:
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
