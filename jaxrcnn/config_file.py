"""A config from a file: Python with get_config() -> Config, or a config.json that a run wrote."""

import difflib
import pathlib
import runpy
import traceback
import warnings
from collections.abc import Sequence

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import (
    RENAMED,
    config_from_dict,
    config_to_dict,
    read_config_json,
    what_became_of,
)
from jaxrcnn.config_names import config_path, named_configs
from jaxrcnn.opening import read_bytes
from jaxrcnn.wording import counted

NAMED_FIELDS = 3
"""How many of the fields that a file lacks are named."""


def load_config(source: str | pathlib.Path) -> Config:
    """Return the config of a name or a file, every field's type checked.

    A Python file is run; its get_config() returns the config. It may itself load another one and
    change it, see `config_io.replace_fields`; for one in the same folder the path is
    ``pathlib.Path(__file__).with_name("other.py")``. A file that ends in .json is the config.json
    of a run or a model.

    Args:
        source: the name of a config that comes with jaxrcnn, such as ``"shapes"``, or a file; see
            `config_path`.

    Raises:
        ConfigError: there is no such config, its file fails, or it is no sound Config.

    Warns:
        FutureWarning: a config.json was written before some fields existed; names them.
    """
    path = config_path(source)
    if not path.is_file():
        raise ConfigError(_missing(path))
    return _load_json(path) if path.suffix == ".json" else _run_python(path)


def _load_json(path: pathlib.Path) -> Config:
    try:
        config, lacking = read_config_json(read_bytes(path).decode(), str(path))
    except (OSError, ValueError) as error:  # a ConfigError is a ValueError
        raise ConfigError(f"{path}: {error}") from error
    if lacking:
        warnings.warn(
            f"{path} was written before {_some(lacking)} existed: the defaults are used",
            FutureWarning,
            stacklevel=3,
        )
    return config


def _some(fields: Sequence[str]) -> str:
    """The names of a few fields, and how many more there are."""
    more = len(fields) - NAMED_FIELDS
    named = [*fields[:NAMED_FIELDS], *([counted(more, "more field")] if more > 0 else [])]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def _run_python(path: pathlib.Path) -> Config:
    try:
        config = runpy.run_path(str(path))["get_config"]()
    except Exception as error:
        raise ConfigError(_complaint(path, error)) from error
    if not isinstance(config, Config):
        raise ConfigError(f"{path}: get_config() returned {type(config).__name__}, not Config")
    try:
        return config_from_dict(config_to_dict(config))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _missing(path: pathlib.Path) -> str:
    """What is wrong with a path that is no file, and what may have been meant."""
    if (path / "config.json").is_file():
        return f"{path} is a folder; to use its config, write {path / 'config.json'}"
    if path.is_dir():
        return f"{path} is a folder, not a config file"
    there = [str(file) for file in path.parent.glob("*.py")]
    nearest = difflib.get_close_matches(str(path), there, n=1)
    if not nearest and path.stem in named_configs():
        return f"no config file {path}; to use the config of that name, write {path.stem}"
    return f"no config file {path}" + "".join(f"; nearest: {n}" for n in nearest)


def _complaint(path: pathlib.Path, error: Exception) -> str:
    """What went wrong, and in which line of the config file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if isinstance(error, KeyError) and error.args == ("get_config",) and not lines:
        return f"{path}: has no get_config()"
    place = f"{path}, line {lines[-1]}" if lines else f"{path}"
    kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
    return f"{place}: {kind}{error}{_renamed(error)}"


def _renamed(error: Exception) -> str:
    """What a field is called now, where a config file has an earlier name."""
    for old in RENAMED:
        if isinstance(error, TypeError) and f"'{old.rpartition('.')[2]}'" in str(error):
            return f"; {old} {what_became_of(old)}"
    return ""
