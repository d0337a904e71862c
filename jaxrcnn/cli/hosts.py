"""Options of programs that run as several processes, and how these join and end."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import NamedTuple

from jaxrcnn.config import ConfigError

AUTO = "auto"
HELP = {
    "distributed": "'auto' works together with the other processes that SLURM, Open MPI, GKE or "
    "Cloud TPU has started, on the devices of all of them",
    "coordinator": "HOST:PORT of the first process, to start several processes by hand",
    "processes": "number of processes",
    "process": "number of this process, from 0",
}
"""Help texts by the name of the option, without its two dashes."""


def add_hosts(parser: argparse.ArgumentParser) -> None:
    """[--distributed auto | --coordinator HOST:PORT --processes N --process I]."""
    parser.add_argument("--distributed", choices=[AUTO], help=HELP["distributed"])
    parser.add_argument("--coordinator", metavar="HOST:PORT", help=HELP["coordinator"])
    parser.add_argument("--processes", metavar="N", type=int, help=HELP["processes"])
    parser.add_argument("--process", metavar="I", type=int, help=HELP["process"])


class Hosts(NamedTuple):
    """Where the processes of a program meet; see `jaxrcnn.training.peers.start`."""

    coordinator: str
    processes: int | None = None
    process: int | None = None


def find_hosts(
    distributed: str | None, coordinator: str | None, processes: int | None, process: int | None
) -> Hosts | None:
    """Where the processes meet by the values of the options; None where there is only one.

    Raises:
        ConfigError: the options do not go together.
    """
    by_hand = (coordinator, processes, process)
    if distributed and by_hand != (None, None, None):
        raise ConfigError(
            "--distributed auto cannot be combined with --coordinator, --processes or --process"
        )
    if distributed:
        return Hosts(AUTO)
    if by_hand == (None, None, None):
        return None
    if coordinator is None or processes is None or process is None:
        raise ConfigError("--coordinator, --processes and --process must be given together")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"--coordinator: got {coordinator!r}, expected HOST:PORT")
    if not 0 <= process < processes:
        raise ConfigError(
            f"--process: got {process}, expected a number from 0 to --processes - 1 "
            f"({processes - 1})"
        )
    return Hosts(coordinator, processes, process)


@contextlib.contextmanager
def together(hosts: Hosts | None) -> Iterator[None]:
    """Work with the other processes, if there are any; if this one fails, they end too.

    Raises:
        PeerError: another process is gone.
    """
    if hosts is None:
        yield
        return
    from jaxrcnn.training import peers
    from jaxrcnn.training.errors import Interrupted

    peers.start(*hosts)
    try:
        with peers.own_errors():
            yield
    except Interrupted:
        peers.finish()
        raise
    except BaseException as error:
        cause = peers.why_lost(error) if peers.is_lost(error) else error
        peers.fail(" ".join(str(cause).split()) or type(cause).__name__)
        if cause is error:
            raise
        raise cause from error
    peers.finish()


def left_alone() -> bool:
    """Whether this process ends without the others, for which the interpreter would wait."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()
