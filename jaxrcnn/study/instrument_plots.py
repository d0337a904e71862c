"""Plots of a study's diagnostics: the gradients by route, and what becomes of the proposals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxrcnn.curves import clean_axes
from jaxrcnn.study.gradients import (
    ROUTES,
    Gradient,
    diagnostic_names,
    mean_over_runs,
    parse_gradient,
)
from jaxrcnn.study.looks import DASHES, GREY, scheme_colors
from jaxrcnn.study.results import RunResult, Study
from jaxrcnn.study.summary import runs_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

GRADIENT_MODULE = "rpn/box"
"""The module whose gradients gradients.png shows: its deltas are what the gate decides about."""

PROPOSALS = {
    "recall/0.5": "objects found at IoU 0.5",
    "positives/rois": "foreground RoIs an image",
    "width/0.5": "median width, pixels",
}
"""The diagnostics that proposals.png shows, and their titles."""


def shown_gradients(runs: Sequence[RunResult]) -> list[Gradient]:
    """The gradient norms on `GRADIENT_MODULE` that are above 0 in some row, each once."""
    found = []
    for name in diagnostic_names(runs):
        gradient = parse_gradient(name)
        if gradient is None or gradient.module != GRADIENT_MODULE or gradient.route not in ROUTES:
            continue
        if any(row.get(name, 0.0) > 0 for run in runs for row in run.diagnostics):
            found.append(gradient)
    return found


def draw_gradients(figure: "Figure", study: Study) -> None:
    """Norms of the gradients on the RPN's box deltas over the steps: a panel a route.

    They are measured whatever a run's gate is; alternating training has no routes through it.
    """
    gradients = shown_gradients(study.runs)
    routes = [route for route in ROUTES if any(g.route == route for g in gradients)]
    losses = list(dict.fromkeys(gradient.loss for gradient in gradients))
    panels = figure.subplots(1, len(routes), sharey=True, squeeze=False)[0]
    for axes, route in zip(panels, routes, strict=True):
        here = [gradient for gradient in gradients if gradient.route == route]
        for scheme, color in scheme_colors(study).items():
            runs = runs_of(study, scheme, "finished", "diverged")
            for gradient in here:
                series = mean_over_runs(runs, "gradient/" + "/".join(gradient))
                steps = [step for step, value in series.items() if value > 0]
                axes.plot(
                    steps,
                    [series[step] for step in steps],
                    linestyle=DASHES[losses.index(gradient.loss) % len(DASHES)],
                    color=color,
                    linewidth=1.6,
                )
        axes.set_yscale("log")
        axes.set_xlabel("step", fontsize=9)
        clean_axes(axes, f"route: {route}")
    low, high = panels[0].get_ylim()
    wider = max(1.0, (10 * low / high) ** 0.5)  # less than a decade has no plain ticks
    panels[0].set_ylim(low / wider, high * wider)
    _legend(
        figure,
        "gradient norm on the RPN's box layer",
        [*scheme_handles(study), *loss_handles(losses)],
    )


def scheme_handles(study: Study) -> list["Line2D"]:
    """Of a legend, a line a scheme."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=color, linewidth=2, label=scheme)
        for scheme, color in scheme_colors(study).items()
    ]


def loss_handles(losses: Sequence[str]) -> list["Line2D"]:
    """Of a legend, a line a loss."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=GREY, linestyle=DASHES[n % len(DASHES)], label=f"loss: {loss}")
        for n, loss in enumerate(losses)
    ]


def _legend(figure: "Figure", title: str, handles: list["Line2D"]) -> None:
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color="#333333")


def has_proposals(runs: Sequence[RunResult]) -> bool:
    """Whether there is something to show of `PROPOSALS`."""
    return bool(PROPOSALS.keys() & set(diagnostic_names(runs)))


def draw_proposals(figure: "Figure", study: Study) -> None:
    """What becomes of the proposals over the steps: `PROPOSALS`, a panel each."""
    for axes, (name, title) in zip(figure.subplots(1, 3), PROPOSALS.items(), strict=True):
        for scheme, color in scheme_colors(study).items():
            series = mean_over_runs(runs_of(study, scheme, "finished", "diverged"), name)
            axes.plot(list(series), list(series.values()), "o-", color=color, ms=3, linewidth=1.6)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("step", fontsize=9)
        clean_axes(axes, title)
    _legend(figure, "proposals in training", scheme_handles(study))
