"""AP of a study's runs on resampled images, from the detections in their folders."""

import pathlib
from collections.abc import Callable

import numpy as np

from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.resampling import find_matches, resampled_precision
from jaxrcnn.evaluation.results_file import read_results
from jaxrcnn.study.comparisons import Precisions, with_comparisons
from jaxrcnn.study.intervals import SEED
from jaxrcnn.study.results import RunResult, Study
from jaxrcnn.study.summary import baseline_of
from jaxrcnn.training.workdir import read_config

DRAWS = 1000
"""Resamples of the images."""

TOLERANCE = 1e-4
"""By which the AP of a run's detections may differ from what its metrics say."""


def compare_runs(
    study: Study, workdir: pathlib.Path, dataset: Dataset, report: Callable[[str], None]
) -> Study:
    """The study with its comparisons, with intervals over images from the runs' folders.

    Args:
        study: existing comparisons are replaced.
        workdir: its folder.
        dataset: the images that the runs were scored on.
        report: takes a line for each run whose detections cannot be used; its comparisons then
            have no interval over images.
    """
    return with_comparisons(study, resampled_runs(study, workdir, dataset, report))


def resampled_runs(
    study: Study,
    workdir: pathlib.Path,
    dataset: Dataset,
    report: Callable[[str], None],
    draws: int = DRAWS,
) -> Precisions:
    """AP of all runs that belong to a pair, on the same resamples of the images.

    A scheme with a single pair is left out, since a single pair has no interval.

    Args:
        study, workdir, dataset, report: as for `compare_runs`.
        draws: number of resamples.
    """
    baseline = baseline_of(study)
    pairs = [one for one in with_comparisons(study).comparisons if one.measure == "AP"]
    needed = {
        (scheme, seed)
        for one in pairs
        for seed in one.seeds
        for scheme in (one.scheme, baseline)
        if len(one.seeds) > 1
    }
    runs = [run for run in study.runs if (run.scheme, run.seed) in needed]
    if not runs:
        return {}
    images = len(dataset)
    counts = np.random.default_rng(SEED).multinomial(images, np.full(images, 1 / images), draws)
    found = {}
    for run in runs:
        try:
            found[run.scheme, run.seed] = resample(run, workdir, dataset, counts)
        except (DataError, ConfigError) as error:
            report(f"note: no AP on resampled images for {run.scheme}, seed {run.seed}: {error}")
    return found


def resample(
    run: RunResult, workdir: pathlib.Path, dataset: Dataset, counts: np.ndarray
) -> np.ndarray:
    """(B,) AP of a finished run's last evaluation on resampled images.

    Args:
        run: has an AP.
        workdir: the study's folder.
        dataset: the images that it was scored on.
        counts: (B, I) int, how often each resample has each image.

    Raises:
        DataError: the detections cannot be read, or are not those of the last evaluation.
        ConfigError: the run's config cannot be read.
    """
    folder = workdir / run.folder
    path, most = folder / "eval" / "detections.json", read_config(folder).eval.max_detections
    matches = find_matches(dataset, read_results(path, dataset).rows, most)
    (found,) = resampled_precision(matches, np.ones((1, len(dataset)), np.int64))
    said = run.points[-1].scores["AP"]
    if not abs(found - said) < TOLERANCE:
        raise DataError(
            f"{path}: these detections have AP {found:.4f}, but the run ended with {said:.4f}, so "
            "they are from another evaluation"
        )
    return resampled_precision(matches, counts)
