"""The scores of an evaluation, in a table and in files."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from jaxrcnn.cli.run import table
from jaxrcnn.config import ConfigError, EvalConfig
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.coco import CocoScores
from jaxrcnn.evaluation.evaluate import Found, draw_images
from jaxrcnn.evaluation.report import write_report
from jaxrcnn.writing import replace_text

GROUPS = (
    ("average precision", ("eval/AP", "eval/mAP")),
    ("average recall", ("eval/AR",)),
    ("average precision of each class", ("eval/AP_", "eval/voc_AP_")),
    ("losses", ("eval/loss",)),
)
"""Titles of the printed table, and how the names under them begin; the longest beginning wins."""


def score_table(metrics: Mapping[str, float]) -> str:
    """The metrics in groups, a line each; a line says why there is no average precision."""
    missing = "" if "eval/AP" in metrics else "\nthere are no objects to find, so AP is undefined\n"
    return missing + (table(grouped(metrics)) if metrics else "")


def grouped(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The metrics by the titles of the printed table, with short names."""
    return {
        title: {_short(name): metrics[name] for name in metrics if _group(name) == title}
        for title, _ in GROUPS
    }


def _group(name: str) -> str:
    """Title of the group that a metric belongs to."""
    starts = {start: title for title, starts in GROUPS for start in starts}
    return starts[max((start for start in starts if name.startswith(start)), key=len)]


def _short(name: str) -> str:
    return name.removeprefix("eval/").removeprefix("AP_").replace("voc_AP_", "voc ")


def write_scores(
    folder: pathlib.Path,
    dataset: Dataset,
    found: Found,
    scores: CocoScores,
    config: EvalConfig,
    about: Mapping[str, Any],
    title: str,
) -> list[str]:
    """Write the metrics, an image of some detections, and a report that explains the scores.

    Args:
        folder: of the files.
        dataset: the ground truth.
        found: what the scores are of.
        scores: see `jaxrcnn.evaluation.evaluate.measure`.
        config: images that are drawn, and detections that count.
        about: what metrics.json says besides the metrics.
        title: of the report.

    Returns:
        Lines that say where they are.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    numbers, sheet = folder / "metrics.json", folder / "detections.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(numbers, json.dumps({**about, **scores.metrics}, indent=2) + "\n")
        draw_images(sheet, dataset, found, config.images)
        _, page = write_report(
            *(folder, dataset, found.detections, scores),
            covers=found.covers,
            title=title,
            step=about.get("step"),
            max_detections=config.max_detections,
        )
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to ({error.strerror or error})") from error
    images = [f"images      {sheet}"] if sheet.exists() else []
    return [f"metrics     {numbers}", *images, f"report      {page}"]
