"""What a study's plots have in common: a scheme has the same colour in each."""

from collections.abc import Sequence
from dataclasses import replace

from jaxrcnn.study.results import Study

COLORS = {
    "approximate": "#0072b2",
    "exact": "#d55e00",
    "pooling": "#e69f00",
    "targets": "#009e73",
    "late": "#cc79a7",
    "alternating": "#333333",
}
"""Of Okabe and Ito's palette, which colour-blind people can tell apart."""

OTHER_COLORS = ("#56b4e9", "#8c6bb1", "#7f7f7f", "#a6761d")
"""Of schemes that are not in `COLORS`, in turn."""

MARKERS = "os^vDPX*"
"""One a scheme, in turn."""

DASHES = ("solid", "dashed", "dotted", "dashdot")
"""One a loss, in turn."""

GREY = "#767f8c"


def scheme_colors(study: Study) -> dict[str, str]:
    """The colour of every scheme, ``#rrggbb``, the same in all studies."""
    return colors_of(study.schemes)


def colors_of(schemes: Sequence[str]) -> dict[str, str]:
    """As `scheme_colors`, for schemes of one or several studies."""
    others = [scheme for scheme in dict.fromkeys(schemes) if scheme not in COLORS]
    own = {name: OTHER_COLORS[place % len(OTHER_COLORS)] for place, name in enumerate(others)}
    return {scheme: COLORS.get(scheme) or own[scheme] for scheme in schemes}


def as_drawn(name: str) -> str:
    """A name as matplotlib is to get it, which reads a formula between two $."""
    return name.replace("$", r"\$")


def drawable(study: Study) -> Study:
    """The study with names as matplotlib is to get them."""
    return replace(
        study,
        schemes=tuple(map(as_drawn, study.schemes)),
        baseline=as_drawn(study.baseline),
        runs=tuple(replace(run, scheme=as_drawn(run.scheme)) for run in study.runs),
        comparisons=tuple(replace(one, scheme=as_drawn(one.scheme)) for one in study.comparisons),
    )
