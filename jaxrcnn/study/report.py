"""A study as one self-contained page, report.html."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from jaxrcnn import pages
from jaxrcnn.study.comparison_tables import differences_table, measures_table
from jaxrcnn.study.comparisons import with_comparisons
from jaxrcnn.study.descriptions import LITERATURE, ROUTES, SENTENCES
from jaxrcnn.study.looks import scheme_colors
from jaxrcnn.study.plots import plot_study
from jaxrcnn.study.results import Study
from jaxrcnn.study.study_io import to_json
from jaxrcnn.study.summary import APPROXIMATE, baseline_of, saving
from jaxrcnn.study.tables import (
    diverged_table,
    glance_table,
    runs_table,
    saving_table,
    scheme_diagnostics,
    time_tables,
    why_no_times,
)
from jaxrcnn.writing import replace_text

CAPTIONS = {
    "ap.png": "Average precision over the number of images seen. Thick lines: mean over the "
    "finished runs; thin lines: single runs; crosses: runs that diverged.",
    "ap_seconds.png": "Average precision over the time spent in training steps, without "
    "compilation and evaluation.",
    "final.png": "Final scores: a dot for each seed and a bar for their mean. The axes begin at 0.",
    "differences.png": "Differences in final AP. Large mark: mean over the pairs, with its t "
    "interval; dots: single pairs; thin line: bootstrap interval over seeds and images, if it was "
    "computed.",
    "losses.png": "Training loss, smoothed over a twentieth of the points. Faint: the points "
    "themselves, which in long runs are means of several logged losses.",
    "gradients.png": "Norms of the gradients on the RPN layer that predicts the box deltas, one "
    "panel per route; means over the runs. They are measured even if a run's gate is closed.",
    "proposals.png": "Proposals of single training steps, before ground truth is appended: the "
    "share of objects that a proposal overlaps with an IoU of at least .5, the number of sampled "
    "RoIs that are foreground, and the widths of the proposals; means over the runs.",
}
"""What each plot shows."""


def write_report(
    study: Study, folder: str | os.PathLike[str], levels: Sequence[float] = ()
) -> list[pathlib.Path]:
    """Write study.json, the plots and report.html.

    Args:
        study: results of the runs. If it has no comparisons, they are added without intervals over
            images; `jaxrcnn.study.resampled_runs.compare_runs` computes those.
        folder: created if it does not exist.
        levels: of AP, for the table of times to a given AP; `default_levels` if empty.

    Returns:
        The files that were written.
    """
    study = study if study.comparisons else with_comparisons(study)
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    replace_text(path / "study.json", to_json(study))
    plots = plot_study(study, path)
    page = render(study, {plot.name: plot.read_bytes() for plot in plots}, levels)
    replace_text(path / "report.html", page)
    return [path / "study.json", *plots, path / "report.html"]


def render(study: Study, plots: Mapping[str, bytes], levels: Sequence[float] = ()) -> str:
    """The page as HTML.

    Args:
        study: what its runs gave.
        plots: names and contents of PNG files, those of `CAPTIONS`.
        levels: of AP, to which to say the time; none takes `default_levels`.
    """
    diagnostics = {scheme: scheme_diagnostics(study, scheme) for scheme in study.schemes}
    return pages.render(
        "report.html.jinja",
        pathlib.Path(__file__).parent,
        study=study,
        origins=origins(study),
        colors=scheme_colors(study),
        sentences=SENTENCES,
        settings={scheme: scheme_settings_of(study, scheme) for scheme in study.schemes},
        captions=CAPTIONS,
        images={name: pages.png_uri(data) for name, data in plots.items()},
        glance=glance_table(study),
        baseline=baseline_of(study),
        differences=differences_table(study),
        measures=measures_table(study),
        times=time_tables(study, levels),
        why_no_times=why_no_times(study),
        saving=saving_table(study) if {APPROXIMATE, "alternating"} <= set(study.schemes) else None,
        measured=saving(study),
        literature=LITERATURE,
        routes=ROUTES,
        diagnostics={name: found for name, found in diagnostics.items() if any(found)},
        diverged=diverged_table(study),
        runs=runs_table(study),
        levels_chosen=not levels,
    )


def scheme_settings_of(study: Study, scheme: str) -> dict[str, str]:
    """The fields that the scheme's runs set, of the first that was begun."""
    begun = (run.settings for run in study.runs if run.scheme == scheme and run.status != "waiting")
    return next(begun, {})


def origins(study: Study) -> dict[str, list[str]]:
    """The commits and the machines of the runs, each once."""
    found = {
        "commit": [run.commit for run in study.runs],
        "run on": [r.machine for r in study.runs],
    }
    return {name: list(dict.fromkeys(filter(None, values))) for name, values in found.items()}
