"""The plots of a report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxrcnn.curves import clean_axes
from jaxrcnn.evaluation.analysis.calibration import BINS, Calibration
from jaxrcnn.evaluation.analysis.curves import Curves
from jaxrcnn.visualize import class_color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LINES = 10
"""Classes, from which on each is a thin line without a name."""

GREY, BLUE, ORANGE = "#767f8c", "#0072b2", "#d55e00"


def line_colors(names: Sequence[str]) -> dict[str, str]:
    """The colour of each class in `plot_curves`, ``#rrggbb``; empty where there are too many."""
    if len(names) > MOST_LINES:
        return {}
    return {name: f"#{bytes(class_color(label)).hex()}" for label, name in enumerate(names, 1)}


def plot_curves(curves: Curves, colors: Mapping[str, str]) -> "Figure":
    """Precision, recall and F1 over the score threshold: a line for each class, and their mean.

    Args:
        curves: of K classes.
        colors: of the classes, in order, as from `line_colors`; all are grey where it is empty.
    """
    from matplotlib.figure import Figure

    few = list(colors.values())
    figure = Figure(figsize=(10, 3.4), dpi=110)
    panels = figure.subplots(1, 3, sharey=True)
    figure.subplots_adjust(0.045, 0.15, 0.99, 0.92, 0.06)
    for axes, title, values in zip(panels, ("precision", "recall", "F1"), curves[1:4], strict=True):
        clean_axes(axes, title)
        axes.set(xlabel="score threshold", xlim=(-0.02, 1.02), ylim=(0, 1.02))
        for place, row in enumerate(values):
            color = few[place] if few else GREY
            axes.plot(curves.scores, row, color=color, lw=1.4 if few else 0.4)
        if len(values) > 1 and (exist := np.isfinite(values).any(axis=0)).any():
            mean = np.nanmean(values[:, exist], axis=0)
            axes.plot(curves.scores[exist], mean, color="black", lw=2, ls="dashed")
    return figure


def plot_calibration(calibration: Calibration) -> "Figure":
    """Share of hits over the score, above the number of detections in each bin."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4.8), dpi=110)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    figure.subplots_adjust(0.12, 0.1, 0.98, 0.97, hspace=0.12)
    edges = np.arange(BINS) / BINS
    clean_axes(upper, "")
    clean_axes(lower, "")
    options = {"width": 1 / BINS, "align": "edge", "edgecolor": "white"}
    upper.bar(edges, np.nan_to_num(calibration.precision), color=BLUE, label="hits", **options)
    upper.plot([0, 1], [0, 1], color=GREY, ls="dashed", label="perfect calibration")
    upper.plot(calibration.scores, calibration.precision, "o", ms=3, color=ORANGE, label="bin mean")
    upper.set(ylabel="share of hits", xlim=(0, 1), ylim=(0, 1.02))
    upper.legend(frameon=False, loc="upper left", fontsize=8)
    lower.bar(edges, calibration.counts, color=GREY, **options)
    lower.set(xlabel="score", ylabel="detections")
    if calibration.counts.any():
        lower.set_yscale("log")
        lower.yaxis.set_minor_formatter("")
    return figure
