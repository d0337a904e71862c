"""Files that are whole: written at once, and listed with their sizes.

From the list, a copy that was cut short is found before it is read. What reads the files themselves
says it late, of an array and not of a file, or not at all.
"""

import json
import os
import pathlib

from jaxrcnn.config import ConfigError
from jaxrcnn.opening import read_json

FILE = "files.json"
AGAIN = "copy the folder again, whole"


def write_list(folder: pathlib.Path) -> None:
    """List the files in a folder and below, in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    partial = folder / f".{FILE}"  # a list that is torn would condemn files that are whole
    partial.write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / FILE)


def check_whole(folder: pathlib.Path) -> None:
    """See that all files of a folder are there and as long as they were; without a list, nothing.

    Raises:
        ConfigError: one is missing or has another size; names it.
    """
    path = folder / FILE
    try:
        sizes = read_json(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); {AGAIN}") from error
    for name, size in sizes.items():
        try:
            found = (folder / name).stat().st_size
        except OSError as error:
            raise ConfigError(f"{folder / name}: {error.strerror}; {AGAIN}") from error
        if found != size:
            raise ConfigError(f"{folder / name} has {found} bytes, not {size}; {AGAIN}")


def replace_text(path: pathlib.Path, text: str) -> None:
    """Rewrite a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
