"""What the rows of a run's log say about steps that were not finite."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxrcnn.training.diagnostics import PREFIX
from jaxrcnn.training.divergence import describe_origin
from jaxrcnn.training.finite import SKIPPED

LINES = 3
"""Steps that are described one by one at a time; the others are counted."""

Row = Mapping[str, Any]
"""The metrics of a step, on the host."""


class Numbered(NamedTuple):
    """A row with the number of its step."""

    step: int
    row: Row


def is_skipped(row: Row) -> bool:
    """Whether the update of a step was left out."""
    return row.get(SKIPPED, 0) > 0


def number_skipped(rows: Sequence[Row]) -> int:
    """How many updates were left out."""
    return sum(map(is_skipped, rows))


def stopping_step(rows: Sequence[tuple[int, Row]], most: int) -> Numbered | None:
    """The first row whose count of updates left out in a row has reached `most`, if any."""
    return next((Numbered(*row) for row in rows if row[1].get(SKIPPED, 0) >= most), None)


def logged_names(row: Row) -> list[str]:
    """The metrics of a row that have a mean."""
    return [name for name in row if name != SKIPPED and not name.startswith(("origin_", PREFIX))]


def means_of(rows: Sequence[Row], with_skipped: bool = False) -> dict[str, Any]:
    """The means over the steps whose updates were made, or over all; the last learning rate.

    Empty if there are no such steps.
    """
    used = [row for row in rows if with_skipped or not is_skipped(row)]
    if not used:
        return {}
    means = {name: sum(row[name] for row in used) / len(used) for name in logged_names(rows[0])}
    if "learning_rate" in used[-1]:  # an optimiser of one's own need not say it
        means["learning_rate"] = used[-1]["learning_rate"]
    return means


def describe(numbered: Numbered, name_image: Callable[[int], str]) -> str:
    """Which metrics of a step are not finite and where that began, without a full stop."""
    step, row = numbered
    bad = [name for name in logged_names(row) if not math.isfinite(row[name])]
    where = describe_origin(row, name_image)
    what = f"{', '.join(bad)} {'is' if len(bad) == 1 else 'are'} not finite"
    if not bad:
        return f"step {step}: the update is not finite{where and f' ({where})'}"
    return f"step {step}: {what}{where and f' ({where})'}"


def describe_stop(numbered: Numbered, name_image: Callable[[int], str]) -> str:
    """Why training stops with a step."""
    in_a_row = int(numbered.row[SKIPPED])
    again = f", the last of {in_a_row} such steps in a row" if in_a_row > 1 else ""
    return (
        f"{describe(numbered, name_image)}{again}. Its update was not made, and earlier "
        "checkpoints are unaffected. Try a lower train.optimizer.learning_rate, a longer warm-up "
        "or gradient clipping."
    )


def describe_skipped(
    rows: Sequence[tuple[int, Row]], name_image: Callable[[int], str]
) -> list[str]:
    """Lines about the steps whose updates were left out; none if there are none."""
    skipped = [Numbered(*row) for row in rows if is_skipped(row[1])]
    lines = [f"{describe(row, name_image)}; its update was left out" for row in skipped[:LINES]]
    others = len(skipped) - len(lines)
    if others:
        lines.append(f"{others} more updates were left out until step {rows[-1][0]}")
    return lines
