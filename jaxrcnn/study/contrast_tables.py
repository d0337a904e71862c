"""Several studies next to each other, as a table of text and as a forest plot."""

import itertools
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxrcnn.study.comparison_tables import from_to, with_deviation
from jaxrcnn.study.contrasts import Row
from jaxrcnn.study.difference_plot import draw_comparison, frame_differences
from jaxrcnn.study.looks import as_drawn, colors_of
from jaxrcnn.study.tables import NONE, Table, plus_minus, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = 1.4
"""Height of a study's name, in rows."""


def contrast_table(rows: Sequence[Row], measure: str, control: str = "") -> Table:
    """A row for each scheme of each study.

    Args:
        rows: from `jaxrcnn.study.contrasts.compare_studies`.
        measure: what they compare.
        control: name of the control; empty if there is none.
    """
    head = ("study", "variant", measure, "baseline", "its " + measure)
    head += ("difference", "t interval", "pairs", "diverged")
    head += (f"minus that of {control}", "t interval", "undone") if control else ()
    return Table(head, tuple(_cells(row) + (_contrast(row) if control else ()) for row in rows))


def _cells(row: Row) -> tuple[str, ...]:
    one = row.comparison
    return (
        *(row.study, one.scheme, plus_minus(row.score)),
        *(row.baseline, plus_minus(row.baseline_score)),
        *(with_deviation(one), from_to(one.student), str(len(one.seeds)), str(one.diverged)),
    )


def _contrast(row: Row) -> tuple[str, str, str]:
    found = row.contrast
    if found is None:
        return NONE, NONE, NONE
    share = NONE if found.undone is None else f"{100 * found.undone:.0f} %"
    return signed(found.mean), from_to(found.student), share


def plot_contrasts(rows: Sequence[Row], measure: str, path: pathlib.Path) -> None:
    """Write the plot of `draw_contrasts` to a file, whose folder is made if missing.

    Raises:
        OSError: it cannot be written.
        ValueError: matplotlib does not know the kind of file.
    """
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(dpi=120, layout="constrained")
    draw_contrasts(figure, rows, measure)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)


def draw_contrasts(figure: "Figure", rows: Sequence[Row], measure: str) -> None:
    """Draw the differences of all studies, each study's below its name."""
    colors = colors_of([row.comparison.scheme for row in rows])
    axes, heights, height = figure.subplots(), list[float](), 0.0
    for name, found in itertools.groupby(rows, key=lambda row: row.study):
        height += TITLE
        place = {"xycoords": axes.get_yaxis_transform(), "xytext": (-6, 0)}
        look = {"ha": "right", "va": "center", "fontsize": 10, "fontweight": "bold"}
        axes.annotate(as_drawn(name), (0, height - 1), textcoords="offset points", **place, **look)
        for row in found:
            color = colors[row.comparison.scheme]
            draw_comparison(axes, height, row.comparison, color, "o")
            heights.append(height)
            height += 1
    figure.set_size_inches(9, 1 + 0.4 * height)
    axes.set_ylim(height - 0.4, heights[0] - 1.5)
    baselines = {row.baseline for row in rows}
    baseline = as_drawn(baselines.pop()) if len(baselines) == 1 else "the study's baseline"
    schemes = [as_drawn(row.comparison.scheme) for row in rows]
    frame_differences(axes, schemes, measure, baseline, heights)
