"""Files that are whole: written at once, and listed with their sizes and checksums.

From the list, a copy that was cut short is found before it is read. What reads the files themselves
says it late, of an array and not of a file, or not at all.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxrcnn.opening import read_json
from jaxrcnn.training.checksums import Checksum, file_checksum, text_checksum
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.writing import replace_text

FILE = "files.json"
AGAIN = "copy the whole folder again"


class Listed(NamedTuple):
    """What a folder's list says about it."""

    files: dict[str, str]  # checksums by path in the folder
    leaves: dict[str, Checksum]  # of the arrays in the files, by dotted path
    origin: dict[str, Any] | None  # where the arrays come from


def write_list(
    folder: pathlib.Path,
    leaves: Mapping[str, Checksum] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """List the files in a folder and below, in the folder.

    Args:
        folder: of the files.
        leaves: checksums of the arrays in the files, by dotted path.
        origin: where the arrays come from, as JSON has it.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = {
        "files": {
            path.relative_to(folder).as_posix(): [path.stat().st_size, file_checksum(path)]
            for path in files
        },
        "leaves": {name: each._asdict() for name, each in (leaves or {}).items()},
        "origin": None if origin is None else dict(origin),
    }
    content = json.loads(json.dumps(content))  # what will be read is what the checksum is of
    text = json.dumps({**content, "crc32c": _checksum(content)}, indent=1)
    replace_text(folder / FILE, text + "\n")


def check_whole(folder: pathlib.Path) -> Listed | None:
    """See that all files of a folder are there and as long as they were; they are not read.

    Returns:
        What is listed; None without a list, or with one of an earlier format, of sizes alone.

    Raises:
        CheckpointError: a file is missing or has another size; names it.
    """
    path = folder / FILE
    try:
        sizes, listed = _parse(read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise CheckpointError(f"{path} cannot be read ({reason}); {AGAIN}") from error
    for name, size in sizes.items():
        try:
            found = (folder / name).stat().st_size
        except (OSError, ValueError) as error:  # a name may hold a null byte
            reason = getattr(error, "strerror", None) or "no such file"
            raise CheckpointError(f"{folder / name}: {reason}; {AGAIN}") from error
        if found != size:
            raise CheckpointError(f"{folder / name} has {found} bytes, not {size}; {AGAIN}")
    return listed


def first_damaged(folder: pathlib.Path, files: Mapping[str, str]) -> pathlib.Path | None:
    """The first file whose content is not that of its checksum, or None; all are read.

    Raises:
        CheckpointError: one cannot be read.
    """
    for name, crc in files.items():
        path = folder / name
        try:
            if file_checksum(path) != crc:
                return path
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror}); {AGAIN}") from error
    return None


def _parse(content: Any) -> tuple[dict[str, int], Listed | None]:
    """The sizes and the rest of a list."""
    if "crc32c" not in content:
        return dict(content.items()), None
    rest = {name: value for name, value in content.items() if name != "crc32c"}
    if content["crc32c"] != _checksum(rest):
        raise ValueError
    sizes = {name: size for name, (size, _) in rest["files"].items()}
    sums = {name: crc for name, (_, crc) in rest["files"].items()}
    leaves = {name: Checksum(**each) for name, each in rest["leaves"].items()}
    return sizes, Listed(sums, leaves, rest["origin"])


def _checksum(content: Mapping[str, Any]) -> str:
    return text_checksum(json.dumps(content, sort_keys=True))
