import pathlib
import signal
import subprocess
import sys
import time

import pytest

from jaxrcnn.cli.program import run_program

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 60.0  # seconds, for a machine that is busy

COMMAND = """
import threading, time
from jaxrcnn.cli.errors import one_line_errors
from jaxrcnn.cli.program import run_program

def main():
    threading.Thread(target=time.sleep, args=[600]).start()  # as a compiler in the background
    with one_line_errors("; again"):
        print("ready", flush=True)
        time.sleep(600)

run_program(main)
"""


@pytest.fixture(autouse=True)
def handler_of_ctrl_c():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)  # a program leaves the system's, since it ends


@pytest.mark.parametrize("code", [0, 1, None])
def test_a_program_ends_with_the_exit_code_of_its_main_function(code):
    with pytest.raises(SystemExit) as end:
        run_program(lambda: code)
    assert end.value.code == code
    with pytest.raises(SystemExit, match="4"):
        run_program(lambda: sys.exit(4))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


LATE = """
import os, signal
from jaxrcnn.cli.program import run_program
from jaxrcnn.training.interruption import Interruption
leave = Interruption._close
def close(self):
    os.kill(os.getpid(), signal.SIGINT)
    leave(self)
Interruption._close = close
run_program(lambda: print("done"))
"""


def test_a_signal_behind_the_last_thing_to_do_stops_what_comes_after_the_program():
    done = subprocess.run(
        [sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "done\n", "")


def end_by(number, code):
    """Send a program a signal as soon as it says that it is ready: its exit code and its stderr."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_command_in_one_line_whatever_its_threads_do(number, code):
    began = time.monotonic()
    assert end_by(number, COMMAND) == (code, f"\n{number.name}: interrupted; again\n")
    assert time.monotonic() - began < PATIENCE


def test_ctrl_c_while_the_interpreter_ends_leaves_no_traceback():
    code = (
        "import atexit, time\nfrom jaxrcnn.cli.program import run_program\n"
        "atexit.register(lambda: (print('ready', flush=True), time.sleep(600)))\n"
        "run_program(lambda: 0)"
    )
    assert end_by(signal.SIGINT, code) == (-signal.SIGINT, "")
