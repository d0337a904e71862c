"""The folder of a command's results, which is tried before the work begins."""

import pathlib
import tempfile

from jaxrcnn.config import ConfigError


def make_folder(folder: pathlib.Path) -> None:
    """Make a folder where it is missing, and see that files can be written to it.

    Raises:
        ConfigError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        what = error.strerror or error
        raise ConfigError(f"{folder} cannot be written to ({what}); --out takes another") from error
