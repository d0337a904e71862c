"""A study's numbers as tables of text."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.study.gradients import diagnostic_names, mean_over_runs, parse_gradient
from jaxrcnn.study.measures import SCORES
from jaxrcnn.study.results import RunResult, Study
from jaxrcnn.study.summary import (
    APPROXIMATE,
    PUBLISHED_SAVING,
    Spread,
    TimeTo,
    baseline_of,
    default_levels,
    final_scores,
    runs_of,
    saving,
    summarise,
    time_to,
)
from jaxrcnn.training.activity import format_duration
from jaxrcnn.training.columns import aligned

NONE = "-"
"""Shown instead of a missing number."""

LABELS = {"recall50": "recall .5", "recall70": "recall .7"}
"""Column heads of the proposals' recall; other scores are headed by their names."""

MOST_COLUMNS = 8  # of a table over the steps: as many fit on a page


class Table(NamedTuple):
    """Rows of text under a head; the first cell of a row says what the row is of."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_text(table: Table) -> str:
    """The table in columns, for a terminal."""
    return "\n".join(aligned([table.head, *table.rows]))


def plus_minus(spread: Spread | None, digits: int = 3) -> str:
    """A mean and, of several seeds, its sample standard deviation."""
    if spread is None:
        return NONE
    mean = f"{spread.mean:.{digits}f}"
    return mean if spread.std is None else f"{mean} ± {spread.std:.{digits}f}"


def percent(spread: Spread | None) -> str:
    """A share in per cent, with its spread."""
    if spread is None:
        return NONE
    mean = round(100 * spread.mean)
    return f"{mean} %" if spread.std is None else f"{mean} ± {100 * spread.std:.0f} %"


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units; in tenths below ten."""
    if seconds is None:
        return NONE
    return f"{seconds:.1f} s" if seconds < 9.95 else format_duration(seconds)


def short(value: float | None) -> str:
    """A number of any size in three digits."""
    if value is None:
        return NONE
    return f"{value:#.3g}".rstrip(".") if value else "0"


def signed(value: float | None) -> str:
    """A difference in three decimals, always with its sign."""
    return NONE if value is None else f"{value:+.3f}"


def glance_table(study: Study) -> Table:
    """The answer at a glance: final scores, costs and divergence by scheme."""
    compared, summaries = bool(baseline_of(study)), summarise(study)
    there = {name for summary in summaries for name in summary.final}
    names = [name for name in SCORES if name in there or name not in LABELS]
    rows = []
    for summary in summaries:
        started = summary.finished + summary.diverged
        ratio = NONE if summary.step_ratio is None else f"{summary.step_ratio:.2f}"
        rows.append(
            (
                summary.scheme,
                *(plus_minus(summary.final.get(name)) for name in names),
                NONE if summary.step_seconds is None else f"{1000 * summary.step_seconds:.0f}",
                *([ratio] if compared else []),
                f"{summary.finished} of {summary.finished + summary.diverged + summary.waiting}",
                f"{summary.diverged} of {started}" if started else NONE,
            )
        )
    head = (
        *("variant", *(LABELS.get(name, name) for name in names), "ms per step"),
        *(["relative"] if compared else []),
        *("finished", "diverged"),
    )
    return Table(head, tuple(rows))


def time_tables(study: Study, levels: Sequence[float] = ()) -> tuple[Table, Table] | None:
    """Images and time until levels of AP, by scheme; None where there are no levels.

    Args:
        study: of which.
        levels: of AP; none takes `default_levels`.
    """
    levels = tuple(levels) or default_levels(study)
    if not levels:
        return None
    by_level = [time_to(study, level) for level in levels]

    def table(unit: str, cell: str) -> Table:
        rows = tuple(
            (scheme, *(_reach_cell(times[number], cell) for times in by_level))
            for number, scheme in enumerate(study.schemes)
        )
        return Table((unit, *(f"AP {level:.2f}" for level in levels)), rows)

    return table("images seen until", "images"), table("training time until", "seconds")


def why_no_times(study: Study) -> str:
    """Why there are no levels of AP to reach."""
    if not any(run.status == "finished" for run in study.runs):
        return "No run finished."
    if any(final_scores(study, scheme, "AP") for scheme in study.schemes):
        return "The final AP of every finished run is 0: there is no level to reach."
    return "No finished run has an AP."


def _reach_cell(time: TimeTo, name: str) -> str:
    if time.started == 0:
        return NONE
    if time.images is None:
        return f"never (0 of {time.started})"
    value = f"{time.images:,.0f}" if name == "images" else duration(time.seconds)
    value = f"≤ {value}" if time.at_first else value
    return value if time.reached == time.started else f"{value} ({time.reached} of {time.started})"


def saving_table(study: Study) -> Table:
    """The training time that approximate saves compared with alternating, here and in the paper."""
    found = saving(study)
    approximate, alternating = (
        final_scores(study, scheme, "AP") for scheme in (APPROXIMATE, "alternating")
    )
    count = 0 if found.images is None else len(found.images.values)
    low, high = (f"{100 * share:.0f}" for share in PUBLISHED_SAVING)
    bound = "≥ " if found.at_first else ""
    pairs = f"{count} of {found.pairs}" if found.pairs else NONE
    return Table(
        (
            "saving of approximate compared with alternating",
            *("training time", "images seen", "seeds", "difference in final AP"),
        ),
        (
            (
                "published (arXiv 1506.01497, section 3.2)",
                f"{low} to {high} %",
                NONE,
                NONE,
                "close",
            ),
            (
                "measured here",
                *(bound + percent(found.seconds), bound + percent(found.images), pairs),
                signed(
                    approximate.mean - alternating.mean if approximate and alternating else None
                ),
            ),
        ),
    )


def diverged_table(study: Study) -> Table | None:
    """Where runs diverged; None where none did."""
    rows = tuple(
        (
            run.scheme,
            str(run.seed),
            NONE if run.failure is None else str(run.failure.step),
            NONE if run.failure is None else run.failure.message,
        )
        for run in study.runs
        if run.status == "diverged"
    )
    return Table(("variant", "seed", "step", "message"), rows) if rows else None


def runs_table(study: Study) -> Table:
    """Every run: how it ended, what it scored, how long it took."""
    rows = []
    for run in study.runs:
        scores = run.points[-1].scores if run.points else {}
        ap = f"{scores['AP']:.3f} after {run.points[-1].step}" if "AP" in scores else NONE
        rows.append(
            (
                run.scheme,
                str(run.seed),
                run.status,
                str(run.steps_done),
                ap,
                duration(run.train_seconds) if run.steps_done else NONE,
                duration(run.wall_seconds),
                run.folder,
            )
        )
    head = ("variant", "seed", "status", "steps", "last AP", "training", "total", "folder")
    return Table(head, tuple(rows))


def scheme_diagnostics(study: Study, scheme: str) -> tuple[Table | None, Table | None]:
    """A scheme's gradient norms and its other diagnostics over the steps, means over its runs."""
    runs = runs_of(study, scheme, "finished", "diverged")
    names = diagnostic_names(runs)
    gradients = {name: parsed for name in names if (parsed := parse_gradient(name)) is not None}
    order = sorted(gradients, key=lambda name: (gradients[name].module, gradients[name].route))
    labels = {n: f"{g.module} ← {g.loss}, {g.route}" for n, g in gradients.items()}
    others = {name: name for name in names if name not in gradients}
    return (
        _over_steps(runs, {name: labels[name] for name in order}, "gradient norm"),
        _over_steps(runs, others, "diagnostic"),
    )


def _over_steps(runs: Sequence[RunResult], labels: dict[str, str], title: str) -> Table | None:
    """Diagnostics, a row each, at steps that lie evenly among those at which there are any."""
    series = {name: mean_over_runs(runs, name) for name in labels}
    steps = sorted({step for values in series.values() for step in values})
    if not steps:
        return None
    places = np.linspace(0, len(steps) - 1, min(len(steps), MOST_COLUMNS)).round().astype(int)
    shown = [steps[place] for place in places]
    rows = tuple(
        (labels[name], *(short(values.get(step)) for step in shown))
        for name, values in series.items()
    )
    return Table((title, *(f"step {step}" for step in shown)), rows)
