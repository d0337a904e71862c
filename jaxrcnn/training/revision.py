"""The git revision of the code that is running, where there is one.

Nothing here stops a run: git may be missing, and on a network drive it may not answer.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
from typing import NamedTuple

SECONDS = 5.0
"""How long git is waited for."""


ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
"""Variables that name another repository, as in a hook of git."""


class Revision(NamedTuple):
    """The commit that is checked out, and whether tracked files differ from it."""

    commit: str
    changed: bool | None  # None where git did not say in time


def find_revision(seconds: float = SECONDS) -> Revision | None:
    """The revision of the project that the running program belongs to.

    That is the repository which holds the program itself, such as a copy of train.py, or else the
    current directory.

    Args:
        seconds: after which git is not waited for.
    """
    found: list[Revision] = []
    # A thread can be left alone; to wait for a process on a drive that hangs takes for ever.
    thread = threading.Thread(target=_find, args=(found, seconds), daemon=True)
    thread.start()
    thread.join(seconds)
    return found[-1] if found else None


def _find(found: list[Revision], seconds: float) -> None:
    """Append what is known of the revision, first without and then with `changed`."""
    for folder in _folders():
        commit = _git(folder, seconds, "rev-parse", "--verify", "HEAD")
        if commit:
            found.append(Revision(commit.strip(), None))
            status = _git(folder, seconds, "status", "--porcelain", "--untracked-files=no")
            if status is not None:
                found.append(Revision(commit.strip(), bool(status)))
            return


def _folders() -> list[pathlib.Path]:
    """Where to look: the folder of the program, unless it is installed, and the current one."""
    main = sys.modules.get("__main__")
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    folders = []
    # With python -m jaxrcnn it is the package, and with the command jaxrcnn a script beside Python.
    if file and not (spec and spec.name.startswith("jaxrcnn")):
        path = pathlib.Path(file).resolve()
        if not path.is_relative_to(pathlib.Path(sys.prefix).resolve()):
            folders.append(path.parent)
    with contextlib.suppress(OSError):  # it was deleted
        folders.append(pathlib.Path.cwd())
    return folders


def _git(folder: pathlib.Path, seconds: float, *words: str) -> str | None:
    """What git prints about a folder; None where it fails, or there is no git."""
    # It writes nothing, and does not start the program that core.fsmonitor may name.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        done = subprocess.run(
            command,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
