"""The errors with which a run ends, each with the exit code of the program.

0 is a run that is done, 2 a config or data that cannot be used, and 1 an error that nobody
expected.
"""

import errno

from jaxrcnn.config import ConfigError

OF_DISKS = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG", "ESTALE")
    if hasattr(errno, name)
)
"""Numbers of system errors of the disk itself, which another path would not avoid."""


class NonFiniteLossError(RuntimeError):
    """A loss or a gradient is infinite or NaN; no checkpoint has been written since."""

    exit_code = 3

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step
        """The first step with such a loss."""


class CheckpointError(ConfigError):
    """A checkpoint is damaged, or could not be written; the message is a single line."""

    exit_code = 4


class PeerError(RuntimeError):
    """Another process of the run is gone or does not answer; the message is a single line."""

    exit_code = 5


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end, and its state is saved; the message is a single line.

    No Exception, so that a loop over several runs with `except Exception` ends too.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + number
        """As a shell has it for a program that a signal ended: 130, 143."""
