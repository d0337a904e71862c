"""A study's curves, one colour a scheme."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxrcnn.curves import clean_axes, smooth
from jaxrcnn.study.difference_plot import draw_differences, has_differences
from jaxrcnn.study.instrument_plots import (
    draw_gradients,
    draw_proposals,
    has_proposals,
    shown_gradients,
)
from jaxrcnn.study.looks import GREY, MARKERS, drawable, scheme_colors
from jaxrcnn.study.results import Failure, Point, RunResult, Study
from jaxrcnn.study.summary import final_scores, runs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_HEIGHT = 0.055  # of the axes' height, about a line of text


def plot_study(study: Study, directory: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Draw a study: AP over images and seconds, losses, final scores and their differences,
    gradients, proposals.

    Args:
        study: what its runs gave.
        directory: folder for ap.png, ap_seconds.png, losses.png, final.png, differences.png,
            gradients.png and proposals.png, made where missing.

    Returns:
        The files that were written: those for which there is something to draw.
    """
    from matplotlib.figure import Figure

    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    study = drawable(study)
    ended = [run for run in study.runs if run.status != "waiting"]
    ap, losses = any(run.points for run in ended), any(run.losses for run in ended)
    drawings: dict[str, tuple[bool, Callable[[Figure, Study], None]]] = {
        "ap.png": (ap, draw_ap_over_images),
        "ap_seconds.png": (ap, draw_ap_over_seconds),
        "losses.png": (losses, draw_losses),
        "final.png": (any(final_scores(study, s, "AP") for s in study.schemes), draw_final),
        "differences.png": (has_differences(study), draw_differences),
        "gradients.png": (bool(shown_gradients(ended)), draw_gradients),
        "proposals.png": (has_proposals(ended), draw_proposals),
    }
    written = []
    for name, (there, draw) in drawings.items():
        if not there:
            (folder / name).unlink(missing_ok=True)  # of an earlier report on the same folder
            continue
        figure = Figure(figsize=(9, 4.8), dpi=120, layout="constrained")
        draw(figure, study)
        figure.savefig(folder / name, bbox_inches="tight", pad_inches=0.2)
        written.append(folder / name)
    return written


class _Label(NamedTuple):
    """A scheme's name at the right of the axes, beside the end of its line."""

    height: float
    text: str
    color: str


class _Cross(NamedTuple):
    """Where a run diverged."""

    x: float
    y: float
    step: int
    color: str


class _Unit(NamedTuple):
    seconds: float
    name: str


def draw_ap_over_images(figure: "Figure", study: Study) -> None:
    """AP over the images seen; see `_draw_ap`."""
    axes = figure.subplots()
    _draw_ap(
        axes,
        study,
        lambda point: point.images,
        lambda run, failure: failure.step * study.batch_size,
    )
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("images seen", fontsize=9)
    clean_axes(axes, "average precision over images seen")


def draw_ap_over_seconds(figure: "Figure", study: Study) -> None:
    """AP over the time of training steps; see `_draw_ap`."""
    unit = time_unit(max(run.train_seconds for run in study.runs))
    axes = figure.subplots()
    _draw_ap(
        axes,
        study,
        lambda point: point.seconds / unit.seconds,
        lambda run, failure: run.train_seconds / unit.seconds,
    )
    axes.set_xlabel(f"{unit.name} of training steps", fontsize=9)
    clean_axes(axes, "average precision over training time")


def time_unit(seconds: float) -> _Unit:
    """The unit in which to show up to so many seconds."""
    if seconds < 600:
        return _Unit(1.0, "seconds")
    return _Unit(60.0, "minutes") if seconds < 3 * 3600 else _Unit(3600.0, "hours")


def _draw_ap(
    axes: "Axes",
    study: Study,
    place: Callable[[Point], float],
    end: Callable[[RunResult, Failure], float],
) -> None:
    """A thick line a scheme, the mean of its finished runs; thin ones for all of its runs.

    Args:
        axes: to draw on.
        study: what to draw.
        place: where an evaluation stands on the horizontal axis.
        end: where a diverged run ends on it.
    """
    labels, crosses, values = [], [], [0.0]
    for number, (scheme, color) in enumerate(scheme_colors(study).items()):
        finished, diverged = (runs_of(study, scheme, s) for s in ("finished", "diverged"))
        curves = {run.seed: _ap_curve(run, place) for run in (*finished, *diverged)}
        if len(curves) > 1 or not finished:
            for x, y in curves.values():
                axes.plot(x, y, ".-", color=color, alpha=0.35, linewidth=0.9, ms=3)
                values += y
        mean = _mean_curve(finished, place)
        if mean is not None:
            axes.plot(*mean, MARKERS[number % len(MARKERS)] + "-", color=color, linewidth=2, ms=4.5)
            labels.append(_Label(mean[1][-1], f"{scheme} {mean[1][-1]:.3f}", color))
            values += mean[1]
        for run in diverged:
            if run.failure is None:
                continue
            x, y = curves[run.seed]
            cross = _Cross(end(run, run.failure), y[-1] if y else 0.0, run.failure.step, color)
            axes.plot([*x[-1:], cross.x], [*y[-1:], cross.y], ":", color=color, linewidth=1)
            crosses.append(cross)
        if mean is None and diverged:
            _, heights = curves[diverged[-1].seed]
            labels.append(_Label(heights[-1] if heights else 0.0, f"{scheme} diverged", color))
    axes.set_ylim(0, 1.1 * max(values) or 1.0)
    _draw_crosses(axes, crosses)
    _draw_labels(axes, labels)


def _ap_curve(run: RunResult, place: Callable[[Point], float]) -> tuple[list[float], list[float]]:
    points = [point for point in run.points if "AP" in point.scores]
    return [place(point) for point in points], [point.scores["AP"] for point in points]


def _mean_curve(
    runs: Sequence[RunResult], place: Callable[[Point], float]
) -> tuple[list[float], list[float]] | None:
    """Places and AP, each a mean over the runs, at the steps at which all were evaluated."""
    points = [{p.step: p for p in run.points if "AP" in p.scores} for run in runs]
    steps = sorted(set.intersection(*map(set, points))) if points else []
    if not steps:
        return None
    return (
        [float(np.mean([place(of_run[step]) for of_run in points])) for step in steps],
        [float(np.mean([of_run[step].scores["AP"] for of_run in points])) for step in steps],
    )


def _draw_crosses(axes: "Axes", crosses: Sequence[_Cross]) -> None:
    """A cross with its step where each run diverged; words of near ones stand in rows."""
    from matplotlib.patheffects import withStroke

    axes.set_xlim(0, axes.get_xlim()[1] * (1.06 if crosses else 1.0))
    right, (low, high) = axes.get_xlim()[1], axes.get_ylim()
    placed: list[tuple[float, float, int]] = []
    for cross in sorted(crosses):
        axes.plot(
            cross.x, cross.y, "X", color=cross.color, ms=9, mec="white", zorder=5, clip_on=False
        )
        height = _fraction(axes, cross.y, low, high)
        taken = {
            row for x, y, row in placed if cross.x - x < 0.1 * right and abs(height - y) < 0.15
        }
        row = next(row for row in range(len(crosses)) if row not in taken)
        placed.append((cross.x, height, row))
        side = -1 if cross.x > 0.12 * right else 1  # at the left, where there is room for words
        axes.annotate(
            f"step {cross.step}",
            (cross.x, cross.y),
            xytext=(8 * side, 4 + 11 * row),
            textcoords="offset points",
            color=cross.color,
            fontsize=8,
            ha="right" if side < 0 else "left",
            annotation_clip=False,
            zorder=6,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )


def _draw_labels(axes: "Axes", labels: Sequence[_Label]) -> None:
    """Names at the right of the axes, apart where the ends of the lines are not."""
    low, high = axes.get_ylim()
    wanted = [_fraction(axes, label.height, low, high) for label in sorted(labels)]
    for height, label in zip(_set_apart(wanted, LABEL_HEIGHT), sorted(labels), strict=True):
        axes.annotate(
            label.text,
            (1.0, height),
            xycoords="axes fraction",
            xytext=(8, 0),
            textcoords="offset points",
            color=label.color,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )


def _set_apart(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved apart to a distance, each group of near ones about its middle."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _spread(groups[-1], gap)[0] < _spread(groups[-2], gap)[-1] + gap:
            last = groups.pop()
            groups[-1] += last
    return [place for group in groups for place in _spread(group, gap)]


def _spread(group: Sequence[float], gap: float) -> list[float]:
    first = float(np.mean(group)) - gap * (len(group) - 1) / 2
    return [first + gap * number for number in range(len(group))]


def _fraction(axes: "Axes", value: float, low: float, high: float) -> float:
    """Where a value stands between the axes' ends, 0 to 1."""
    if axes.get_yscale() == "log":
        value, low, high = np.log(value), np.log(low), np.log(high)
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def draw_losses(figure: "Figure", study: Study) -> None:
    """The total loss, smoothed within a phase: a scheme's finished runs, and each diverged one."""
    axes = figure.subplots()
    labels, crosses, everything = [], [], []
    for scheme, color in scheme_colors(study).items():
        finished = [run for run in runs_of(study, scheme, "finished") if run.losses]
        diverged = [run for run in runs_of(study, scheme, "diverged") if run.losses]
        if finished:
            mean = dataclasses.replace(finished[0], losses=_mean_losses(finished))
            _, end = _draw_loss(axes, mean, color, 2.0)
            labels.append(_Label(end, f"{scheme} {end:.2f}", color))
        for run in diverged:
            last_step, end = _draw_loss(axes, run, color, 1.0)
            if run.failure is not None:
                cross = _Cross(run.failure.step, run.losses[-1][1], run.failure.step, color)
                axes.plot([last_step, cross.x], [end, cross.y], ":", color=color, linewidth=1)
                crosses.append(cross)
            if not finished and run is diverged[-1]:
                labels.append(_Label(run.losses[-1][1], f"{scheme} diverged", color))
        everything += [loss for run in (*finished, *diverged) for _, loss in run.losses]
    if min(everything) > 0 and max(everything) > 20 * min(everything):
        axes.set_yscale("log")
    if crosses:  # their words stand above them
        low, high = axes.get_ylim()
        log = axes.get_yscale() == "log"
        axes.set_ylim(low, high * (high / low) ** 0.12 if log else high + 0.12 * (high - low))
    _draw_crosses(axes, crosses)
    _draw_labels(axes, labels)
    axes.set_xlabel("step", fontsize=9)
    note = "; alternating: of what its step trains" if "alternating" in study.schemes else ""
    clean_axes(axes, f"training loss, smoothed{note}")


def _mean_losses(runs: Sequence[RunResult]) -> tuple[tuple[int, float], ...]:
    """The mean over the runs, at the steps that all have."""
    losses = [dict(run.losses) for run in runs]
    steps = sorted(set.intersection(*map(set, losses)))
    return tuple((step, float(np.mean([of_run[step] for of_run in losses]))) for step in steps)


def _draw_loss(axes: "Axes", run: RunResult, color: str, width: float) -> tuple[float, float]:
    """Draw a run's losses, a line a phase; the step and the smoothed value at the end."""
    steps, values = np.array(run.losses).T
    phase = np.searchsorted(run.phase_starts, steps, side="left")
    end = values[-1]
    for number in np.unique(phase):
        x, y = steps[phase == number], values[phase == number]
        axes.plot(x, y, color=color, alpha=0.15, linewidth=0.8)
        axes.plot(x, smooth(y), color=color, linewidth=width)
        end = smooth(y)[-1]
    return float(steps[-1]), float(end)


def draw_final(figure: "Figure", study: Study) -> None:
    """AP and AP50 at the end: a dot a seed, a bar for the mean; the axes begin at 0."""
    colors = scheme_colors(study)
    figure.set_size_inches(9, 1.2 + 0.5 * len(colors))
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("AP", "AP50"), strict=True):
        best = 0.0
        for row, (scheme, color) in enumerate(colors.items()):
            final = final_scores(study, scheme, name)
            if final is None:
                ended = runs_of(study, scheme, "finished")
                axes.text(
                    *(0.5, row, f"no {name}" if ended else "no finished run"),
                    transform=axes.get_yaxis_transform(),
                    **{"ha": "center", "va": "center", "color": GREY, "fontsize": 8},
                )
                continue
            best = max(best, *final.values)
            axes.plot([final.mean] * 2, [row - 0.25, row + 0.25], color=color, linewidth=2.5)
            axes.plot(
                *(final.values, [row] * len(final.values), MARKERS[row % len(MARKERS)]),
                **{"color": color, "ms": 6, "alpha": 0.65, "mec": "white"},
            )
            axes.annotate(
                f"{final.mean:.3f}",
                (final.mean, row - 0.25),
                xytext=(0, 2),
                textcoords="offset points",
                **{"color": color, "ha": "center", "va": "bottom", "fontsize": 8},
            )
        axes.set_yticks(range(len(colors)), colors)
        axes.set_ylim(len(colors) - 0.4, -0.8)
        axes.set_xlim(0, 1.15 * best or 1.0)
        clean_axes(axes, f"final {name}")
        axes.tick_params(axis="y", length=0, labelcolor="#333333", labelsize=10)
