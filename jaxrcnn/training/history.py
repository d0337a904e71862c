"""What changed in a run's config as it was resumed: history.json in its folder."""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from jaxrcnn.config import ConfigError
from jaxrcnn.opening import read_json
from jaxrcnn.wording import shortened
from jaxrcnn.writing import replace_text

FILE = "history.json"


@dataclasses.dataclass(frozen=True)
class Change:
    """A field that has another value from a step on."""

    step: int
    """Steps done by then."""
    field: str
    """Dotted name."""
    before: Any
    after: Any
    date: str = dataclasses.field(
        default_factory=lambda: datetime.date.today().isoformat(), compare=False
    )
    """When the run was resumed, as YYYY-MM-DD."""


def read_history(workdir: pathlib.Path) -> list[Change]:
    """The changes of a run so far, in order; empty for a run whose config never changed.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = workdir / FILE
    try:
        return [_checked(Change(**change)) for change in read_json(path)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({shortened(str(error))})") from error


def _checked(change: Change) -> Change:
    if type(change.step) is not int or not isinstance(change.field, str):
        raise TypeError("a change has no step or no field")
    return change


def append_history(workdir: pathlib.Path, changes: Sequence[Change]) -> None:
    """Add changes to a run's history, unless a run that was killed just after wrote them."""
    written = read_history(workdir)
    listed = [dataclasses.asdict(change) for change in written]
    new = [change for change in map(dataclasses.asdict, changes) if not _is_in(change, listed)]
    _write(workdir, listed + new)


def redo_from(workdir: pathlib.Path, step: int) -> None:
    """Let changes after a step hold from it on: the run goes back to it, with its config of now."""
    written = read_history(workdir)
    if any(change.step > step for change in written):
        moved = [dataclasses.replace(change, step=min(change.step, step)) for change in written]
        _write(workdir, [dataclasses.asdict(change) for change in moved])


def _write(workdir: pathlib.Path, changes: Sequence[dict[str, Any]]) -> None:
    text = ",\n".join(json.dumps(change) for change in changes)
    replace_text(workdir / FILE, f"[\n{text}\n]\n")


def _is_in(change: dict[str, Any], listed: Sequence[dict[str, Any]]) -> bool:
    """Whether the last change of the field is this one, as JSON has it."""
    own = {**json.loads(json.dumps(change)), "date": ""}
    same_field = [{**each, "date": ""} for each in listed if each["field"] == change["field"]]
    return same_field[-1:] == [own]
