"""The tables of a report, as text."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.evaluation.analysis.analyse import Analysis
from jaxrcnn.evaluation.analysis.stages import FATES, OVERLAPS, Recall
from jaxrcnn.evaluation.analysis.tide import KINDS, Tide

NOTHING = "\N{EN DASH}"
"""For a number that does not exist."""

MOST_CLASSES = 20
"""Classes whose confusion matrix can be read as a whole."""

MOST_CONFUSIONS = 15

NAMES = {"both": "class and box"}
"""What the page calls kinds of errors that have another name in analysis.json."""

MEANINGS = {
    "classification": "the box is right, but the class is wrong",
    "localisation": "the class is right, but the IoU is only 0.1 to 0.5",
    "both": "class and box are both wrong",
    "duplicate": "a detection with a higher score has found the object",
    "background": "there is no object (IoU of at most 0.1)",
    "missed": "no detection finds the object, even with a wrong class or a loose box",
}


class Table(NamedTuple):
    """Rows of text under a head; the first cell of a row says what the row is of."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


class ErrorRow(NamedTuple):
    """A kind of error."""

    kind: str
    lost: str
    share: float  # of the largest loss, 0..1
    count: str
    meaning: str


class Cell(NamedTuple):
    """A cell of the confusion matrix."""

    count: int
    share: float  # of its row, 0..1
    is_right: bool


def number(value: float | None) -> str:
    """Three decimals, or a dash where there is no number."""
    return NOTHING if value is None or not np.isfinite(value) else f"{value:.3f}"


def score_table(metrics: Mapping[str, float]) -> Table:
    """The main scores in one row."""
    recalls = [name for name in metrics if name.startswith("eval/AR") and name[7:].isdecimal()]
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    names = (*names, *(name.removeprefix("eval/") for name in recalls), "mAP", "loss")
    shown = [name for name in names if f"eval/{name}" in metrics or name.startswith("AP")]
    titles = {"APs": "AP small", "APm": "AP medium", "APl": "AP large", "mAP": "VOC mAP"}
    values = [number(metrics.get(f"eval/{name}")) for name in shown]
    return Table(("", *(titles.get(name, name) for name in shown)), [("all classes", *values)])


def describe_loss(tide: Tide) -> str:
    """Where most of the average precision is lost, in a sentence; empty where nothing is."""
    lost = {kind: value for kind, value in tide.lost.items() if value}
    if not lost:
        return ""
    order = sorted(lost, key=lambda kind: -lost[kind])
    worst = f"Most AP50 is lost to {_named(order[0])} ({number(lost[order[0]])})"
    if len(order) == 1:
        return f"{worst}."
    return f"{worst}, then to {_named(order[1])} ({number(lost[order[1]])})."


def _named(kind: str) -> str:
    return {
        "both": "detections with a wrong class and box",
        "duplicate": "duplicate detections",
        "background": "detections of the background",
        "missed": "missed objects",
    }.get(kind, f"{kind} errors")


def name_kind(kind: str) -> str:
    """What the page calls a kind of errors."""
    return NAMES.get(kind, kind)


def error_rows(tide: Tide) -> list[ErrorRow]:
    """What each kind of error costs, then all false positives and all false negatives."""
    largest = max([value or 0 for value in tide.lost.values()]) or 1
    rows = [
        ErrorRow(
            name_kind(kind),
            number(tide.lost[kind]),
            (tide.lost[kind] or 0) / largest,
            f"{tide.counts[kind]:,}",
            MEANINGS[kind],
        )
        for kind in KINDS
    ]
    totals = (
        (
            "all false positives",
            tide.false_positives,
            "AP50 that would be gained without wrong detections",
        ),
        (
            "all false negatives",
            tide.false_negatives,
            "AP50 that would be gained if no object were missed",
        ),
    )
    rows += [ErrorRow(name, number(lost), 0, "", meaning) for name, lost, meaning in totals]
    return rows


def stage_table(recalls: Mapping[str, Recall], proposed: bool) -> Table:
    """Recall of the proposals beside that of the detections, and what became of the objects.

    Args:
        recalls: by the names of some groups of objects.
        proposed: whether there were proposals.
    """
    fates = FATES if proposed else FATES[:2]
    sources = (*(["proposals"] if proposed else []), "any class", "its class")
    head = ("", "objects", *fates, *(f"{name} {iou:g}" for name in sources for iou in OVERLAPS))
    rows = []
    for name, recall in recalls.items():
        shares = (*(recall.proposals if proposed else ()), *recall.any_class, *recall.own_class)
        counts = [f"{recall.fates[fate]:,}" if recall.objects else NOTHING for fate in fates]
        rows.append((name, f"{recall.objects:,}", *counts, *map(number, shares)))
    return Table(head, rows)


def class_table(
    analysis: Analysis, names: Sequence[str], precisions: Mapping[str, Mapping[str, float]]
) -> Table:
    """Each class: its average precision by size, its best threshold, its calibration."""
    keys = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    head = ("", "objects", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large")
    rows = []
    for place, name in enumerate(names):
        own, best = precisions.get(name, {}), analysis.curves.best[place]
        at_best = (None,) * 4 if best is None else best
        values = [*(own.get(key) for key in keys), *at_best, analysis.calibration.errors[place]]
        objects = analysis.recalls["class"][name].objects
        rows.append((name, f"{objects:,}", *map(number, values)))
    return Table((*head, "best threshold", "precision", "recall", "F1", "D-ECE"), rows)


def confusion_cells(
    matrix: np.ndarray, names: Sequence[str]
) -> list[tuple[str, list[Cell]]] | None:
    """The confusion matrix row by row; None of too many classes."""
    if len(names) > MOST_CLASSES:
        return None
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / totals
    return [
        (
            name,
            [
                Cell(int(count), float(share), row == column)
                for column, (count, share) in enumerate(zip(matrix[row], shares[row], strict=True))
            ],
        )
        for row, name in enumerate((*names, "background"))
    ]


def confusion_table(matrix: np.ndarray, names: Sequence[str]) -> Table:
    """The classes that are most often taken for others, the background left out."""
    own = matrix[:-1, :-1].copy()
    np.fill_diagonal(own, 0)
    order = np.argsort(-own, axis=None, kind="stable")[:MOST_CONFUSIONS]
    rows = []
    for place in order.tolist():
        true, taken = divmod(place, len(names))
        if count := int(own[true, taken]):
            share = count / matrix[true].sum()
            rows.append((names[true], names[taken], f"{count:,}", f"{100 * share:.1f} %"))
    return Table(("object", "detected as", "number", "share of its objects"), rows)
