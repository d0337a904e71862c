"""A program as a process: signals end it in one line, and soon."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from jaxrcnn.cli.hosts import left_alone
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.signals import end_now

SECONDS = 5.0
"""In which a command ends that has nothing to save."""


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run a program's main function, and end the process with its exit code.

    SIGTERM, SIGINT and SIGHUP end it at once, except where `main` takes them itself, as training
    does. What still compiles in the background is then not waited for, nor are other processes
    where this one has failed.
    """
    code: object = 0
    with Interruption(SECONDS, end=end_now) as interruption:
        try:
            with interruption.leavable():
                code = main()
        except SystemExit as end:
            code = end.code
        except Exception:
            if not left_alone():
                raise
            traceback.print_exc()
            code = 1
    if not code and interruption.number:  # too late to stop it: but what comes next is to stop
        code = 128 + interruption.number
    if isinstance(code, int) and (code > 128 or left_alone()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # What is done is done; Ctrl-C while the interpreter ends is to leave no traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)
