"""A run's curves over its steps: losses, average precision, diagnostics."""

import itertools
import math
import os
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxrcnn.types import Losses

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]
"""The lines of metrics.jsonl."""

AP_NAMES = ("eval/AP", "eval/AP50", "eval/AP75")
"""The metrics that ap.png draws."""

AP_TOPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Where the axis of ap.png may end: at the lowest of these that the data do not exceed."""

LINE_COLORS = (
    *("#222222", "#2185ee", "#e63946", "#2aa763", "#9657e8"),
    *("#f2a104", "#12b5b0", "#b5526e", "#7a8b2e", "#5c6ac4"),
)
"""Of the total and the house's four losses, and of those that a detector has besides."""


def plot_curves(
    metrics_rows: Sequence[Mapping[str, Any]], directory: str | os.PathLike[str]
) -> list[pathlib.Path]:
    """Draw a run's losses, learning rate, average precision and diagnostics over its steps.

    Args:
        metrics_rows: the lines of metrics.jsonl: ``step`` and any of ``train/loss`` and its parts
            ``train/loss_...``, ``eval/loss``, ``train/learning_rate``, `AP_NAMES`, and names under
            ``diagnostics/``; values may be None.
        directory: folder for losses.png, ap.png and diagnostics.png, made where missing.

    Returns:
        The files that were written: those for which there is something to draw.
    """
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    if any(name.startswith("train/loss") for row in metrics_rows for name in row):
        written.append(_plot_losses(metrics_rows, folder / "losses.png"))
    if any(name in row for row in metrics_rows for name in AP_NAMES):
        written.append(_plot_precision(metrics_rows, folder / "ap.png"))
    panels = [(title, draw) for title, draw, names in PANELS if _there(metrics_rows, names)]
    if panels:
        written.append(_plot_diagnostics(metrics_rows, panels, folder / "diagnostics.png"))
    return written


def all_losses(names: Collection[str]) -> list[str]:
    """The four of `Losses`, also where they are missing, so that colours stay; then the others."""
    return [*Losses._fields, *sorted(set(names) - set(Losses._fields))]


def _names_after(rows: Rows, begin: str) -> set[str]:
    """What follows a beginning in the names of metrics, up to the next slash."""
    names = {name for row in rows for name in row if name.startswith(begin)}
    return {name.removeprefix(begin).partition("/")[0] for name in names}


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of a metric, (M,) each, rows without a value left out."""
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return np.array([step for step, _ in points]), np.array([value for _, value in points])


def smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a centred window of a twentieth of the points, cut off at the ends."""
    reach = len(values) // 40
    totals = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    start, end = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    return (totals[end] - totals[start]) / (end - start)


def clean_axes(axes: "Axes", title: str) -> None:
    """The look of every plot: a title at the left, a light grid, two sides of the frame."""
    axes.set_title(title, loc="left", fontsize=11, color="#333333")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.tick_params(which="both", labelsize=9, color="#999999")


def _fit_steps(axes: "Axes", steps: Sequence[int]) -> None:
    """Begin and end an axis of steps where the data do; a single step stays in the middle."""
    if len(set(steps)) > 1:
        axes.set_xlim(min(steps), max(steps))
        axes.locator_params("x", integer=True)


def _plot_losses(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> pathlib.Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=120, layout="constrained")
    rates = _series(rows, "train/learning_rate")
    heights = (4, 1) if len(rates[0]) else (1,)  # an optimiser of one's own need not say its rate
    panels = figure.subplots(len(heights), sharex=True, height_ratios=heights, squeeze=False)
    losses, *below = panels[:, 0]
    everything = [np.zeros(0)]
    parts = all_losses(_names_after(rows, "train/loss_"))
    names = ["train/loss", *(f"train/loss_{part}" for part in parts)]
    for name, color in zip(names, itertools.cycle(LINE_COLORS), strict=False):
        steps, values = _series(rows, name)
        if len(steps) == 0:
            continue
        everything.append(values)
        losses.plot(steps, values, color=color, alpha=0.2, linewidth=0.8)
        width = 2.2 if name == "train/loss" else 1.5
        label = name.removeprefix("train/loss").removeprefix("_") or "total"
        losses.plot(steps, smooth(values), color=color, linewidth=width, label=label)
    steps, values = _series(rows, "eval/loss")
    if len(steps):
        everything.append(values)
        losses.plot(
            *(steps, values, "o--"),
            color="#222222",
            linewidth=1,
            markersize=4,
            clip_on=False,
            label="total, eval",
        )
    values = np.concatenate(everything)
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        losses.set_yscale("log")
    if len(values):
        losses.legend(frameon=False, fontsize=9, ncols=2)
    drawn = ("train/", "eval/loss")
    _fit_steps(losses, [row["step"] for row in rows if any(k.startswith(drawn) for k in row)])
    clean_axes(losses, "losses")
    for rate in below:
        rate.plot(*rates, color="#767f8c", linewidth=1.5)
        rate.set_ylim(bottom=0)
        clean_axes(rate, "learning rate")
    (losses, *below)[-1].set_xlabel("step", fontsize=9)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)
    return path


def _plot_precision(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> pathlib.Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    last_points, seen, best = [], [], 0.0
    for name, color in zip(AP_NAMES, LINE_COLORS, strict=False):
        steps, values = _series(rows, name)
        if len(steps):
            axes.plot(steps, values, "o-", color=color, linewidth=1.8, markersize=4, clip_on=False)
            last_points.append((values[-1], steps[-1], name.removeprefix("eval/"), color))
            best = max(best, values.max())
            seen += list(steps)
    top = next(top for top in AP_TOPS if top >= min(best, 1.0))
    height = -1.0
    for value, step, label, color in sorted(last_points):
        height = max(value, height + 0.05 * top)  # names stand apart where the lines do not
        axes.annotate(
            f"{label} {value:.3f}",
            (step, height),
            xytext=(10, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
    axes.set_ylim(0, top)
    _fit_steps(axes, seen)
    axes.set_xlabel("step", fontsize=9)
    axis = "" if top == 1 else f" (the axis ends at {top:g})"
    clean_axes(axes, f"average precision{axis}")
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)
    return path


def _there(rows: Rows, names: Sequence[str]) -> bool:
    """Whether there is a value of a metric whose name begins so."""
    begin = tuple(f"diagnostics/{name}" for name in names)
    return any(k.startswith(begin) and x is not None for row in rows for k, x in row.items())


def _plot_diagnostics(
    rows: Rows, panels: Sequence[tuple[str, Callable[["Axes", Rows], None]]], path: pathlib.Path
) -> pathlib.Path:
    from matplotlib.figure import Figure

    panels = panels[: len(panels) // 2 * 2] or panels  # the last, of least weight, fills a place
    height = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(12, 0.5 + 3.3 * height), dpi=120, layout="constrained")
    grid = figure.subplots(height, 2, squeeze=False).ravel()
    for axes, (title, draw) in zip(grid, panels, strict=False):
        draw(axes, rows)
        _fit_steps(axes, [row["step"] for row in rows if _there([row], [""])])
        clean_axes(axes, title)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=8, ncols=2, framealpha=0.8, edgecolor="none")
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[max(len(panels) - 2, 0) : len(panels)]:
        axes.set_xlabel("step", fontsize=9)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)
    return path


def _line(axes: "Axes", steps: np.ndarray, values: np.ndarray, label: str, **style: Any) -> None:
    """A line; where there are many points it is smoothed, over a faint one that is not."""
    if len(values) == 0:
        return
    many = len(values) >= 40
    axes.plot(steps, smooth(values) if many else values, label=label, linewidth=1.6, **style)
    if many:
        axes.plot(steps, values, color=style["color"], alpha=0.2, linewidth=0.7)


def _norms(rows: Rows, source: str, module: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and norms of a gradient in a module, or in all modules whose names begin so."""
    begin = f"diagnostics/gradient/{source}/{module}"
    points = []
    for row in rows:
        parts = [x for name, x in row.items() if name.startswith(begin)]
        if parts and None not in parts:
            points.append((row["step"], math.sqrt(sum(x**2 for x in parts))))
    drawn = [point for point in points if point[1] > 0]  # the axis is logarithmic
    return np.array([step for step, _ in drawn]), np.array([value for _, value in drawn])


def _draw_norms(axes: "Axes", rows: Rows, module: str) -> None:
    losses = all_losses(_names_after(rows, "diagnostics/gradient/"))
    for loss, color in zip(losses, itertools.cycle(LINE_COLORS[1:]), strict=False):
        for route, dashes in ROUTES.items():
            steps, values = _norms(rows, f"{loss}/{route}", module)
            label = f"{loss}, {route}"
            _line(axes, steps, values, label, color=color, linestyle=dashes)
    axes.set_yscale("log")


def _draw_rpn_box(axes: "Axes", rows: Rows) -> None:
    _draw_norms(axes, rows, "rpn/box")


def _draw_backbone(axes: "Axes", rows: Rows) -> None:
    _draw_norms(axes, rows, "backbone/")


def _draw_cosines(axes: "Axes", rows: Rows) -> None:
    axes.axhline(0, color="#999999", linewidth=0.8)
    for gate, color in zip(("closed", "open"), ("#222222", "#ff7a1a"), strict=True):
        series = _series(rows, f"diagnostics/cosine/{gate}")
        _line(axes, *series, f"gate {gate}", color=color)


def _draw_drift(axes: "Axes", rows: Rows) -> None:
    for name, label, color in (
        ("step", "by the step, gate closed", "#222222"),
        ("gate", "by opening the gate", "#ff7a1a"),
    ):
        steps, values = _series(rows, f"diagnostics/drift/{name}")
        _line(axes, steps[values > 0], values[values > 0], label, color=color)
    axes.set_yscale("log")


def _draw_widths(axes: "Axes", rows: Rows) -> None:
    color = "#2185ee"
    names = ("0", "0.1", "0.5", "0.9", "1")
    least, low, middle, high, most = (_series(rows, f"diagnostics/width/{q}") for q in names)
    axes.fill_between(least[0], least[1], most[1], color=color, alpha=0.12, linewidth=0)
    axes.fill_between(low[0], low[1], high[1], color=color, alpha=0.25, linewidth=0)
    axes.plot(*middle, color=color, linewidth=1.6, label="median, 10 to 90 %, all")
    axes.set_yscale("symlog", linthresh=1)  # a proposal that is cut off at the edge has 0
    axes.set_ylim(bottom=0)


def _draw_recall(axes: "Axes", rows: Rows) -> None:
    for iou, color in zip(("0.5", "0.7"), ("#2aa763", "#9657e8"), strict=True):
        _line(axes, *_series(rows, f"diagnostics/recall/{iou}"), f"IoU {iou}", color=color)
    axes.set_ylim(0, 1.02)


def _draw_curvature(axes: "Axes", rows: Rows) -> None:
    axes.axhline(0, color="#999999", linewidth=0.8)
    for along, color in zip(("direct", "pooling"), ("#222222", "#ff7a1a"), strict=True):
        series = _series(rows, f"diagnostics/curvature/{along}")
        _line(axes, *series, f"along {along}", color=color)
    axes.set_yscale("symlog")


def _draw_positives(axes: "Axes", rows: Rows) -> None:
    for kind, color in zip(("anchors", "rois"), ("#2185ee", "#e63946"), strict=True):
        _line(axes, *_series(rows, f"diagnostics/positives/{kind}"), kind, color=color)
    axes.set_ylim(bottom=0)


ROUTES = {"direct": "-", "pooling": "--", "targets": ":"}
"""How the lines of the gate's routes are dashed."""

PANELS = (
    ("gradient on the RPN's box layer", _draw_rpn_box, ("gradient/rpn_box/direct/rpn/box",)),
    ("gradient on the backbone", _draw_backbone, ("gradient/",)),
    ("cosine of the RPN's and the second stage's gradient", _draw_cosines, ("cosine/",)),
    ("drift of the best anchors' boxes, pixels", _draw_drift, ("drift/",)),
    ("width of proposals, pixels", _draw_widths, ("width/",)),
    ("recall of proposals", _draw_recall, ("recall/",)),
    ("curvature of the second stage's loss", _draw_curvature, ("curvature/",)),
    ("positives an image", _draw_positives, ("positives/",)),
)
"""Of diagnostics.png: title, what draws it, and the metrics without which it is left out."""
