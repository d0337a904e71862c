"""The scores of an evaluation, in a table and in files."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from jaxrcnn.cli.run import table
from jaxrcnn.config import ConfigError
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.evaluate import Found, draw_images
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
    missing = "" if "eval/AP" in metrics else "\nthere are no objects to find, so no AP\n"
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
    content: Mapping[str, Any],
    images: int,
) -> list[str]:
    """Write the metrics, and an image of some detections.

    Args:
        folder: of the files.
        dataset: the ground truth.
        found: what is drawn.
        content: of metrics.json.
        images: that are drawn.

    Returns:
        Lines that say where they are.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    numbers, sheet = folder / "metrics.json", folder / "detections.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(numbers, json.dumps(content, indent=2) + "\n")
        draw_images(sheet, dataset, found, images)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to ({error.strerror or error})") from error
    return [f"metrics     {numbers}", *([f"images      {sheet}"] if sheet.exists() else [])]
