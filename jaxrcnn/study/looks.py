"""What a study's plots have in common: a scheme has the same colour in each."""

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
    others = [scheme for scheme in study.schemes if scheme not in COLORS]
    return {
        scheme: COLORS[scheme]
        if scheme in COLORS
        else OTHER_COLORS[others.index(scheme) % len(OTHER_COLORS)]
        for scheme in study.schemes
    }


def drawable(study: Study) -> Study:
    """The study with names that matplotlib draws as they are: between two $ it reads a formula."""

    def name(scheme: str) -> str:
        return scheme.replace("$", r"\$")

    return replace(
        study,
        schemes=tuple(map(name, study.schemes)),
        baseline=name(study.baseline),
        runs=tuple(replace(run, scheme=name(run.scheme)) for run in study.runs),
        comparisons=tuple(replace(one, scheme=name(one.scheme)) for one in study.comparisons),
    )
