"""A forest plot: how much each scheme of a study differs from its baseline in AP."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxrcnn.curves import clean_axes
from jaxrcnn.study.comparison_tables import with_interval
from jaxrcnn.study.looks import GREY, MARKERS, scheme_colors
from jaxrcnn.study.results import Comparison, Study
from jaxrcnn.study.summary import baseline_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OFFSET = 0.2
"""Of the interval over images and of the dots from the t interval, in rows."""


def has_differences(study: Study) -> bool:
    """Whether there is a pair of runs to show."""
    return any(one.measure == "AP" and one.seeds for one in study.comparisons)


def draw_differences(figure: "Figure", study: Study) -> None:
    """Draw the mean difference of each scheme with its intervals, and a dot for each pair.

    The line through the mean is the t interval; the thin line below it is the bootstrap interval
    over seeds and images.
    """
    found = [one for one in study.comparisons if one.measure == "AP"]
    figure.set_size_inches(9, 1.3 + 0.55 * len(found))
    axes, colors = figure.subplots(), scheme_colors(study)
    for row, one in enumerate(found):
        draw_comparison(axes, row, one, colors[one.scheme], MARKERS[row % len(MARKERS)])
    axes.set_ylim(len(found) - 0.4, -0.6)
    frame_differences(axes, [one.scheme for one in found], "AP", baseline_of(study))


def frame_differences(
    axes: "Axes", schemes: Sequence[str], measure: str, baseline: str, rows: Sequence[float] = ()
) -> None:
    """Draw the line of no difference, and name the rows and the axis.

    Args:
        axes: with all comparisons drawn.
        schemes: name of each row.
        measure: what is compared.
        baseline: what it is compared with.
        rows: where they are; without it at 0, 1 and so on.
    """
    axes.axvline(0, color=GREY, linewidth=1, linestyle="dashed", zorder=0)
    axes.set_yticks(rows or range(len(schemes)), schemes)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -1.0), min(high, 1.0))  # of few pairs a t interval may be wider
    axes.set_xlabel(f"{measure} minus {measure} of {baseline}, same seed", fontsize=9)
    clean_axes(axes, f"final {measure} compared with {baseline}, with 95 % intervals")
    axes.tick_params(axis="y", length=0, labelcolor="#333333", labelsize=10)


def draw_comparison(axes: "Axes", row: float, one: Comparison, color: str, marker: str) -> None:
    """Draw a comparison at a height, with its mean and interval in numbers at the right."""
    if one.mean is None:
        axes.text(
            *(0.5, row, "no pair of finished runs"),
            transform=axes.get_yaxis_transform(),
            **{"ha": "center", "va": "center", "color": GREY, "fontsize": 8},
        )
        return
    axes.plot(
        *(one.differences, [row - OFFSET] * len(one.differences), "o"),
        **{"color": color, "ms": 4, "alpha": 0.45, "mec": "none"},
    )
    if one.student is not None:
        axes.plot(one.student, [row, row], "|-", color=color, linewidth=2, ms=9, mew=2)
    if one.over_images is not None:
        axes.plot(one.over_images, [row + OFFSET] * 2, color=color, linewidth=1.2, alpha=0.7)
    axes.plot(one.mean, row, marker, color=color, ms=7, mec="white")
    axes.annotate(
        with_interval(one),
        (1.0, row),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        **{"color": color, "va": "center", "fontsize": 9, "annotation_clip": False},
    )
