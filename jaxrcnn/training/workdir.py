"""A run's folder: its config, how that changed, and its class names."""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import config_differences, config_from_json, config_to_json
from jaxrcnn.opening import read_bytes, read_json
from jaxrcnn.training.history import Change, append_history
from jaxrcnn.training.hosts import is_first
from jaxrcnn.training.resumable import resumed_config
from jaxrcnn.wording import shortened
from jaxrcnn.writing import replace_text


class Classes(NamedTuple):
    """The classes of a data set: label k is names[k - 1], the source's category ids[k - 1]."""

    names: tuple[str, ...]
    ids: tuple[int, ...]


def claim(workdir: pathlib.Path, config: Config) -> None:
    """Create the folder of a run with its config.json, or check that it has the same config.

    Raises:
        ConfigError: the folder holds a run with a different config; names the fields that differ.
            Or a file in it is a symbolic link.
    """
    if is_first():  # the others have a folder of their own, which links to the checkpoints
        _check_links(workdir)
    path = workdir / "config.json"
    if path.exists():
        differences = config_differences(read_config(workdir), config)
        if differences:
            raise ConfigError(
                f"{workdir} holds a run with a different config ({'; '.join(differences)}): use "
                "the same config to resume it, or another --workdir to start a new run"
            )
        return
    workdir.mkdir(parents=True, exist_ok=True)
    replace_text(path, config_to_json(config))


def _check_links(workdir: pathlib.Path) -> None:
    """See that what is written into a run's files, perhaps a stranger's, stays in its folder."""
    for path in workdir.iterdir() if workdir.is_dir() else ():
        if path.is_symlink() and not path.is_dir():
            what = "a run would write to where it leads; put a copy of that file in its place"
            raise ConfigError(f"{path} is a symbolic link: {what}")


def change(
    workdir: pathlib.Path, config: Config, step: int, moved: bool = False
) -> tuple[Config, list[Change]]:
    """See with which config a run can be resumed; nothing is written.

    Args:
        workdir: the run's folder; a new one has nothing to change.
        config: that is asked for.
        step: steps done.
        moved: whether data.root may differ, since the data that are there were compared.

    Returns:
        The config to go on with, and what changes with it.

    Raises:
        ConfigError: it would change what is done; names the fields.
    """
    if not (workdir / "config.json").exists():
        return config, []
    try:
        return resumed_config(read_config(workdir), config, step, moved)
    except ConfigError as error:
        raise ConfigError(f"{workdir}: {error}") from None


def write_changes(workdir: pathlib.Path, config: Config, changes: Sequence[Change]) -> None:
    """Write changes to a run's history.json, and then its config.json."""
    if changes:
        append_history(workdir, changes)
        replace_text(workdir / "config.json", config_to_json(config))


def read_config(workdir: pathlib.Path) -> Config:
    """The config of a run.

    Raises:
        ConfigError: the folder has no config.json, or it cannot be read.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise ConfigError(f"{workdir} is not the folder of a run or a model: it has no config.json")
    try:
        return config_from_json(read_bytes(path).decode(), str(path))
    except (OSError, ValueError) as error:  # a ConfigError is a ValueError
        raise ConfigError(f"{path}: {error}") from error


def write_classes(workdir: pathlib.Path, names: Sequence[str], ids: Sequence[int]) -> None:
    """Write the classes to the run's folder, so that inference does not need the data set."""
    text = json.dumps({"names": list(names), "ids": list(ids)}, indent=2)
    replace_text(workdir / "classes.json", text + "\n")


def _checked(classes: Classes) -> Classes:
    """The classes, if they are what `write_classes` writes."""
    if not all(isinstance(name, str) for name in classes.names):
        raise TypeError("a name is no text")
    if not all(type(number) is int for number in classes.ids):
        raise TypeError("an id is no whole number")
    if len(classes.names) != len(classes.ids):
        raise ValueError(f"{len(classes.names)} names, but {len(classes.ids)} ids")
    return classes


def read_classes(workdir: pathlib.Path) -> Classes:
    """The classes of a run.

    Raises:
        ConfigError: the folder has no classes.json, or it cannot be read.
    """
    path = workdir / "classes.json"
    try:
        tree = read_json(path)
        return _checked(Classes(tuple(tree["names"]), tuple(tree["ids"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"{path} cannot be read ({shortened(str(error))})"
        raise ConfigError(f"{what}: repeat the command that made this folder") from error
