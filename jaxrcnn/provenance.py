"""What a run depends on besides its config, and what of that has changed when it is resumed."""

import pathlib
from typing import Any, NamedTuple

import jax

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.fingerprint_file import RunData, describe_differences, read_data, write_data
from jaxrcnn.training.history import Change, append_history
from jaxrcnn.training.origin import (
    describe_origin,
    describe_origin_changes,
    origin_changes,
    read_origin,
    write_origin,
)


class Data(NamedTuple):
    """The data of a run, compared with those that it began with."""

    now: RunData
    is_known: bool  # whether the run says which data it began with
    changes: list[Change]
    lines: list[str]  # about each change


class Provenance(NamedTuple):
    """Where the states of a run come from."""

    data: Data
    origin: dict[str, Any]
    changes: list[Change]
    lines: list[str]


def check_data(config: Config, workdir: pathlib.Path, now: RunData, step: int) -> Data:
    """See that a run that is resumed has the data that it began with; nothing is written.

    Args:
        config: that is asked for.
        workdir: of the run; a new one, or one of an earlier version, has nothing to compare with.
        now: the data that it would read.
        step: steps done.

    Raises:
        ConfigError: the data are others, and train.on_changed_data is "stop"; says what changed.
    """
    before = read_data(workdir)
    if before is None:
        return Data(now, False, [], [])
    found = describe_differences(before, now)
    if found and config.train.on_changed_data == "stop":
        raise ConfigError(
            f"{workdir}: the data have changed since this run began: {'; '.join(found.values())}. "
            "Restore them to resume it, or give another --workdir to start a new run; "
            "--config.train.on_changed_data continue resumes it with the data as they are"
        )
    was, digests = before.digests(), now.digests()
    changes = [Change(step, f"fingerprint.{name}", was[name], digests[name]) for name in found]
    lines = [f"from step {step} on, the data differ: {what}" for what in found.values()]
    return Data(now, True, changes, lines)


def find_provenance(config: Config, workdir: pathlib.Path, data: Data, step: int) -> Provenance:
    """Where the states come from that this process makes, and what changed; nothing is written.

    Raises:
        ConfigError: the run's origin.json cannot be read.
    """
    before, origin = read_origin(workdir), describe_origin(config, data.now.summary())
    changes = [] if before is None else origin_changes(before, origin, step)
    lines = [*data.lines, *describe_origin_changes(changes)]
    return Provenance(data, origin, [*data.changes, *changes], lines)


def write_provenance(workdir: pathlib.Path, found: Provenance) -> None:
    """Write changes to the run's history.json, and then fingerprint.json and origin.json."""
    if jax.process_index() == 0:
        if found.changes:
            append_history(workdir, found.changes)
        if found.data.changes or not found.data.is_known:
            write_data(workdir, found.data.now)
        write_origin(workdir, found.origin)
