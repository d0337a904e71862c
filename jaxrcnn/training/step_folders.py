"""The folders of a run's checkpoints: which of them are whole, by their names alone."""

import pathlib
import shutil
import time

from jaxrcnn.training.errors import CheckpointError

PARTIAL, DELETED = ".partial", ".deleted"
"""Ends of the names of checkpoints that are not whole yet, or no more."""

LATE = 65
"""Seconds in which what one host has written is seen by the others: NFS keeps what it knows of a
folder for up to a minute."""


def folder_of(workdir: pathlib.Path) -> pathlib.Path:
    """Where a run's checkpoints are, as orbax wants it: an absolute path."""
    return (workdir / "checkpoints").resolve()


def checkpoint_steps(folder: pathlib.Path) -> list[int]:
    """Steps of the checkpoints that are there, ascending; none without the folder.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read ({error.strerror})") from error
    return sorted(int(name) for name in names if name.isdecimal() and str(int(name)) == name)


def open_folder(folder: pathlib.Path) -> None:
    """Make the folder where it is missing, and remove what a run that died has left unfinished.

    Raises:
        CheckpointError: it cannot be made or read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        left = [path for path in folder.iterdir() if _is_unfinished(path.name)]
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be made or read ({error.strerror})") from error
    for path in left:
        shutil.rmtree(path, ignore_errors=True)


def appears(path: pathlib.Path) -> bool:
    """Whether a file or folder that another host has written is there; waits for it a while."""
    for _ in range(LATE):
        if path.exists():
            return True
        time.sleep(1)
    return path.exists()


def remove_partial(path: pathlib.Path) -> pathlib.Path:
    """The name under which a checkpoint is written until it is whole; nothing is there then."""
    for left in path.parent.glob(f"{path.name}{PARTIAL}*"):  # orbax has another name meanwhile
        shutil.rmtree(left, ignore_errors=True)
    return path.with_name(path.name + PARTIAL)


def remove(path: pathlib.Path) -> None:
    """Delete a checkpoint: a kill meanwhile leaves none that looks whole."""
    deleted = path.with_name(path.name + DELETED)
    try:
        path.rename(deleted)
    except OSError:
        return  # it stays, and will be tried again after the next save
    shutil.rmtree(deleted, ignore_errors=True)


def set_aside(path: pathlib.Path) -> pathlib.Path:
    """Rename a damaged checkpoint so that nothing takes it for a whole one; gives its new name.

    Raises:
        CheckpointError: it cannot be renamed.
    """
    names = [f"bad_{path.name}", *(f"bad_{path.name}_{number}" for number in range(2, 1000))]
    free = next(name for name in names if not path.with_name(name).exists())
    try:
        return path.rename(path.with_name(free))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be renamed ({error.strerror})") from error


def _is_unfinished(name: str) -> bool:
    """Whether a name is that of a checkpoint that is being written or deleted."""
    return PARTIAL in name or name.endswith(DELETED) or ".orbax-checkpoint-tmp" in name  # orbax'
