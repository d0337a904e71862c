"""A config file: Python with get_config() -> Config, on its own or as a change of another file."""

import difflib
import pathlib
import runpy
import traceback

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import RENAMED, config_from_dict, config_to_dict, what_became_of


def load_config(path: pathlib.Path) -> Config:
    """Run a config file and return what its get_config() returns, every field's type checked.

    A config file may itself load another one and change it, see `config_io.replace_fields`; for
    one in the same folder the path is ``pathlib.Path(__file__).with_name("other.py")``.

    Raises:
        ConfigError: there is no such file, it fails, or what it returns is no sound Config.
    """
    if not path.is_file():
        there = [str(file) for file in path.parent.glob("*.py")]
        nearest = difflib.get_close_matches(str(path), there, n=1)
        raise ConfigError(f"no config file {path}" + "".join(f"; nearest: {n}" for n in nearest))
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
