"""Why a score is what it is, as one page, report.html, and as numbers, analysis.json."""

import json
import pathlib
from collections.abc import Mapping

import numpy as np

from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.analysis.analyse import FILE, Analysis, analyse, to_json
from jaxrcnn.evaluation.coco import CocoScores, ImageDetections
from jaxrcnn.evaluation.report_images import KIND_COLORS, RIGHT, draw_worst
from jaxrcnn.evaluation.report_plots import line_colors, plot_calibration, plot_curves
from jaxrcnn.evaluation.report_tables import (
    class_table,
    confusion_cells,
    confusion_table,
    describe_loss,
    error_rows,
    name_kind,
    score_table,
    stage_table,
)
from jaxrcnn.pages import png_uri, render
from jaxrcnn.writing import replace_text

FOLDER = pathlib.Path(__file__).parent
PAGE = "report.html"


def write_report(
    folder: pathlib.Path,
    dataset: Dataset,
    detections: Mapping[int, ImageDetections],
    scores: CocoScores,
    *,
    covers: Mapping[int, np.ndarray] | None = None,
    title: str = "",
    step: int | None = None,
    max_detections: int = 100,
) -> list[pathlib.Path]:
    """Write analysis.json and report.html, which needs no other file.

    Args:
        folder: of the files, made where missing; earlier ones are replaced.
        dataset: the ground truth.
        detections: what is found, by the image's place in the data set; an image that is missing
            has none.
        scores: of these detections, as `jaxrcnn.evaluation.evaluate.measure` gives them.
        covers: how well proposals cover the objects, see `stage_recalls`; None without proposals.
        title: what was evaluated.
        step: of its checkpoint, if there is one.
        max_detections: best detections of an image that count.

    Returns:
        The files, numbers first.
    """
    analysis = analyse(dataset, detections, covers, max_detections)
    numbers = to_json(analysis, dataset, scores.metrics, scores.classes, step)
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / FILE, json.dumps(numbers, allow_nan=False) + "\n")
    replace_text(folder / PAGE, _page(analysis, dataset, scores, title))
    return [folder / FILE, folder / PAGE]


def _page(analysis: Analysis, dataset: Dataset, scores: CocoScores, title: str) -> str:
    matching, recalls, names = analysis.matching, analysis.recalls, dataset.class_names
    return render(
        "report.html.jinja",
        FOLDER,
        title=title or dataset.name,
        dataset=dataset.summary(),
        detections=len(matching.found.label),
        left_out=matching.left_out,
        scores=score_table(scores.metrics),
        loss=describe_loss(analysis.tide),
        errors=error_rows(analysis.tide),
        ap=analysis.tide.ap,
        has_proposals=analysis.has_proposals,
        stages=stage_table(recalls["all"] | recalls["size"], analysis.has_proposals),
        class_stages=stage_table(recalls["class"], analysis.has_proposals),
        classes=class_table(analysis, names, scores.classes),
        curves=png_uri(plot_curves(analysis.curves, line_colors(names))),
        line_colors=line_colors(names),
        cells=confusion_cells(analysis.confusion, names),
        confusions=confusion_table(analysis.confusion, names),
        calibration=png_uri(plot_calibration(analysis.calibration)),
        calibration_error=analysis.calibration.error,
        worst=draw_worst(analysis.worst, dataset),
        colors={name_kind(kind): color for kind, color in KIND_COLORS.items()},
        color_of_right=RIGHT,
    )
