"""A run that says at each line of its log what it takes of the system's resources."""

import ctypes
import gc
import json
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

from jaxrcnn.training.display import Lines

ROOT = pathlib.Path(__file__).parents[1]
PROCESS = pathlib.Path("/proc/self")
MALLINFO = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)
PROGRAM = "from tests.growing import main\nmain()"


class Used(NamedTuple):
    """What a process takes of the system's resources."""

    in_use: int  # bytes that were allocated and not freed
    resident: int  # bytes, with what is free and cannot be given back
    files: int
    threads: int
    mappings: int
    children: int


class Mallinfo(ctypes.Structure):
    """What glibc's mallinfo2(3) returns."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in MALLINFO)


def used() -> Used:
    """What this process takes, without garbage and without freed memory that glibc keeps."""
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)
    libc.mallinfo2.restype = Mallinfo
    info = libc.mallinfo2()
    status = dict(line.split(":", 1) for line in (PROCESS / "status").read_text().splitlines())
    return Used(
        in_use=info.uordblks + info.hblkhd,
        resident=1024 * int(status["VmRSS"].split()[0]),
        files=len(list((PROCESS / "fd").iterdir())),
        threads=int(status["Threads"]),
        mappings=len((PROCESS / "maps").read_text().splitlines()),
        children=sum(map(_children, (PROCESS / "task").iterdir())),
    )


def _children(thread: pathlib.Path) -> int:
    try:
        return len((thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0


def used_by_run(*words: object) -> dict[int, Used]:
    """What a run took after the steps that it logged, all of Python's objects included."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.partition("used ")[2] for line in done.stdout.splitlines()]
    rows = [json.loads(line) for line in lines if line.startswith("[")]
    return {step: Used(*row) for step, row in rows}


def main() -> None:
    """Train as `jaxrcnn train` does."""
    from jaxrcnn.cli import program

    log = Lines.log

    def log_and_say(self: Lines, step: int, *words: str) -> None:
        log(self, step, *words)
        print("used", json.dumps([step, used()]), flush=True)

    Lines.log = log_and_say
    program()
