"""A program as a process: signals end it in one line, and soon."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from jaxrcnn.training.interruption import Interruption

SECONDS = 5.0
"""In which a command ends that has nothing to save."""


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run a program's main function, and end the process with its exit code.

    SIGTERM, SIGINT and SIGHUP end it at once, except where `main` takes them itself, as training
    does. What still compiles in the background is then not waited for.
    """
    code: object = 0
    with Interruption(SECONDS) as interruption:
        try:
            with interruption.leavable():
                code = main()
        except SystemExit as end:
            code = end.code
    if isinstance(code, int) and code > 128:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
