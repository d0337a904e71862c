"""The folder of a run of several processes, which they share: the first of them writes to it.

The others have copies of its small files in folders of their own, where they write what nobody
reads. So all of them decide by the same files, and do the same.
"""

import contextlib
import pathlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NoReturn

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.opening import read_bytes
from jaxrcnn.training.hosts import barrier, from_first, is_first, several
from jaxrcnn.training.lock import FILE, locked
from jaxrcnn.training.step_folders import LATE, folder_of

PREFIX = "jaxrcnn-process-"
ABANDONED = 60
"""Seconds after which a temporary folder that no process holds is removed."""


def of_one_process(config: Config) -> Config:
    """The config of a process other than the first without what it would write for itself."""
    if is_first():
        return config
    return replace(config, train=replace(config.train, trackers=()))


@contextlib.contextmanager
def claimed(workdir: pathlib.Path, say: Callable[[str], None]) -> Iterator[pathlib.Path]:
    """A folder to run in, which no other run writes to: the workdir, or a copy of what it says.

    Args:
        workdir: of the run; made where it is missing.
        say: prints a line where the file system has no locks.

    Raises:
        ConfigError: another run has the folder, or a process does not see that of the first.
    """
    if is_first():
        with locked(workdir, say):
            if several():
                _meet(workdir)
            yield workdir
        return
    with _temporary_folder() as folder:
        _meet(workdir, folder)
        yield folder


@contextlib.contextmanager
def _temporary_folder() -> Iterator[pathlib.Path]:
    """A folder that goes in the end; a later process removes that of one which was killed."""
    for left in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ConfigError):  # another user's, or in use
            if time.time() - left.stat().st_mtime > ABANDONED:
                with locked(left, _leave):
                    shutil.rmtree(left)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        locked(pathlib.Path(name), lambda _: None),
    ):
        yield pathlib.Path(name)


def _leave(line: str) -> NoReturn:
    """Without locks, nobody knows whether a folder is in use."""
    raise ConfigError(line)


def _meet(workdir: pathlib.Path, folder: pathlib.Path | None = None) -> None:
    """See that all processes have one workdir, and copy its small files to a folder."""
    holder = from_first(lambda: read_bytes(workdir / FILE).decode())
    if folder is not None:
        _see(workdir, holder)
        for path in workdir.iterdir():
            if path.suffix in (".json", ".jsonl"):
                shutil.copyfile(path, folder / path.name)
        (folder / "checkpoints").symlink_to(folder_of(workdir))
    barrier("opening the run's folder")


def _see(workdir: pathlib.Path, holder: str) -> None:
    for _ in range(LATE):
        with contextlib.suppress(OSError):
            if read_bytes(workdir / FILE).decode() == holder:
                return
        time.sleep(1)
    raise ConfigError(
        f"--workdir: {workdir} on {socket.gethostname()} is not the folder of the first process "
        f"({holder}); all processes of a run need the same one, on a file system that they share"
    )
