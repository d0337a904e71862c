"""Runs of a study in parallel: each job is a process with its share of the cores."""

import contextlib
import itertools
import os
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Generator, Hashable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import IO, Any

from jaxrcnn.config import ConfigError
from jaxrcnn.runtime.machine import cores
from jaxrcnn.study.plan import Plan, Unit
from jaxrcnn.study.serving import Failed
from jaxrcnn.study.variants import Variant
from jaxrcnn.training.errors import Interrupted
from jaxrcnn.training.interruption import Interruption, Stop
from jaxrcnn.training.signals import name_of
from jaxrcnn.wording import counted

PROGRAM = (sys.executable, "-m", "jaxrcnn.study.job")
"""What a job runs."""

MARGIN = 10.0
"""Seconds that jobs may take longer to end than a run does, before they are killed."""


class JobError(RuntimeError):
    """A job has ended with an error; the message is a single line."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def check_jobs(jobs: int, backend: str, variants: Sequence[Variant]) -> None:
    """See that there is a core for each job, and that jobs can be told what to run.

    Raises:
        ConfigError: there is none, or the runs would not compute on cores; or a variant's pieces
            are built by what another process cannot import.
    """
    if backend != "cpu":
        raise ConfigError(
            f"--jobs divides the cores of a CPU, but JAX computes on {backend} here; "
            "set JAX_PLATFORMS=cpu, or omit --jobs"
        )
    if jobs > cores():
        raise ConfigError(f"--jobs {jobs}: only {counted(cores(), 'core')} can be used here")
    for variant in variants:
        try:
            pickle.dumps(variant.build)
        except Exception as error:
            raise ConfigError(
                f"--jobs: {variant.name or 'the pieces'}: another process cannot import what "
                f"builds the detector ({error}); give a function that its module defines with "
                "def, not inside of another one, or leave --jobs out"
            ) from error


def share_cores(jobs: int) -> list[list[int]]:
    """The numbers of the cores of each job, as even as possible."""
    if hasattr(os, "sched_getaffinity"):
        own = sorted(os.sched_getaffinity(0))
    else:
        own = list(range(cores()))
    bounds = [len(own) * job // jobs for job in range(jobs + 1)]
    return [own[a:b] for a, b in itertools.pairwise(bounds)]


def run_in_jobs(
    plan: Plan,
    units: Sequence[Unit],
    workdir: pathlib.Path,
    jobs: int,
    program: Sequence[str] = PROGRAM,
) -> Generator[tuple[Unit, Any]]:
    """Do units of runs in parallel; yield each with its `Outcome` as it ends.

    They begin in their order, except that within a seed a job prefers runs whose programs it has
    already compiled. The output of a job goes to jobs/N.log in the study's folder.

    Args:
        plan: of the study.
        units: to do.
        workdir: of the study.
        jobs: number of processes.
        program: that each job runs.

    Raises:
        JobError: a run cannot be done, or a job has died; the others have been saved.
        Interrupted: a signal came, and the runs have been saved.
    """
    if not units:
        return
    left, seconds = list(units), plan.config.train.stop_seconds + MARGIN
    shares = share_cores(min(jobs, len(left)))
    running: list[Job] = []
    each = counted(min(map(len, shares)), "core")
    print(f"{counted(len(shares), 'job')} with {each} each; their output is in {workdir / 'jobs'}")
    with Interruption(seconds) as interruption, contextlib.ExitStack() as stack:
        stack.callback(_end, running, seconds)
        try:
            for number, share in enumerate(shares, 1):
                running.append(Job(number, share, workdir, program))
                running[-1].send((plan, workdir))
                running[-1].begin(left)
            while busy := [job for job in running if job.unit]:
                with interruption.leavable():
                    ready = wait([job.connection for job in busy])
                for job in busy:
                    if job.connection in ready:
                        ended = job.end()
                        job.begin(left)
                        yield ended
        except Stop as stop:
            name = name_of(stop.number)
            print(f"\n{name}: ending once the runs are saved; Ctrl-C (SIGINT) ends it now")
            _end(running, seconds)
            message = f"{name}: saved the runs; the same command continues the study"
            raise Interrupted(stop.number, message) from None


def _end(running: Sequence["Job"], seconds: float) -> None:
    """Have all jobs save their runs and end; kill those that take longer than so many seconds."""
    for job in running:
        job.connection.close()  # which tells the process to
    for job in running:
        job.wait(seconds)


class Job:
    """A process that does one unit after another.

    Args:
        number: from 1.
        share: numbers of its cores.
        workdir: of the study.
        program: that it runs.
    """

    def __init__(
        self,
        number: int,
        share: Sequence[int],
        workdir: pathlib.Path,
        program: Sequence[str],
    ) -> None:
        self.number = number
        self.unit: Unit | None = None
        """What it does."""
        self.log = workdir / "jobs" / f"{number}.log"
        self._programs: set[Hashable] = set()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.connection, theirs = Pipe()
        with self.log.open("ab") as log, theirs:
            self._process = _start(program, theirs, share, log)

    def send(self, message: Any) -> None:
        """Send a message; that the process is gone is found out when it should answer."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def begin(self, left: list[Unit]) -> None:
        """Take one of the units that are left, and remove it; or end if there are none."""
        self.unit = _choose(left, self._programs) if left else None
        self.send(self.unit)
        if self.unit:
            left.remove(self.unit)
            self._programs |= _programs(self.unit)

    def end(self) -> tuple[Unit, Any]:
        """The unit that it was doing, and the outcome.

        Raises:
            JobError: the process sends an error, or is gone.
        """
        unit, self.unit = self.unit, None
        assert unit is not None
        try:
            outcome = self.connection.recv()
        except (EOFError, OSError):
            code = self._process.wait()
            how = f"ended by {name_of(-code)}" if code < 0 else f"ended with exit code {code}"
            raise JobError(f"{unit}: job {self.number} {how}; see {self.log}", 1) from None
        if isinstance(outcome, Failed):
            raise JobError(f"{unit}: {outcome.message}", outcome.exit_code)
        return unit, outcome

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended; kill it if that takes longer."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _start(
    program: Sequence[str], theirs: Connection, share: Sequence[int], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a job; in a session of its own, so that Ctrl-C is left to the study's process."""
    file = theirs.fileno()
    return subprocess.Popen(
        [*program, str(file), ",".join(map(str, share))],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[file],
        start_new_session=True,
    )


def _choose(left: Sequence[Unit], programs: set[Hashable]) -> Unit:
    """The first unit, or another one of its seed for which nothing is to be compiled."""
    of_seed = [unit for unit in left if unit.seed == left[0].seed]
    return next((unit for unit in of_seed if _programs(unit) <= programs), of_seed[0])


def _programs(unit: Unit) -> set[Hashable]:
    return {variant.program() for variant in unit.variants}
