import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types
from importlib.machinery import ExtensionFileLoader

import pytest

from jaxrcnn.training.errors import Interrupted
from jaxrcnn.training.interruption import Interruption, Stop
from jaxrcnn.training.undisturbed import undisturbed

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 60.0  # seconds, for a machine that is busy


def send(number):
    os.kill(os.getpid(), number)


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def interrupted(work, *arguments):
    """The error with which work ends that is given an Interruption."""
    with pytest.raises(Interrupted) as raised, Interruption(PATIENCE) as interruption:
        work(interruption, *arguments)
    return raised.value


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noted_and_waits_until_what_is_done_can_be_left(number):
    before, seen = handlers(), []

    def work(interruption):
        send(number)
        seen.append(interruption.number)
        with interruption.leavable():
            seen.append("not left")

    error = interrupted(work)
    assert str(error) == f"{number.name}: nothing to save yet; the same command continues the run"
    assert error.exit_code == 128 + number
    assert seen == [number]
    assert handlers() == before
    assert signal.set_wakeup_fd(-1) == -1


def test_what_can_be_left_is_left_at_once_and_only_once():
    seen = []

    def work(interruption):
        try:
            with interruption.leavable():
                send(signal.SIGTERM)
                seen.append("not left")
        except Stop:
            with interruption.leavable():  # as what cleans up may do
                send(signal.SIGTERM)
                interruption.check()
                seen.append("cleaned up")
            raise

    interrupted(work)
    assert seen == ["cleaned up"]


def wait_to_be_left():
    time.sleep(PATIENCE)
    raise AssertionError


def test_a_module_in_c_is_loaded_to_its_end(monkeypatch):
    """It may import others, and raises an ImportError in place of any error of theirs."""
    loaded, handler = [], signal.getsignal(signal.SIGURG)

    def load(interruption):
        frame = types.SimpleNamespace(f_code=ExtensionFileLoader.create_module.__code__)
        inner = types.SimpleNamespace(f_code=load.__code__, f_back=frame)
        interruption._handle(signal.SIGTERM, inner)
        loaded.append("all")

    def work(interruption):
        with interruption.leavable():
            load(interruption)
            wait_to_be_left()

    assert str(interrupted(work)).startswith("SIGTERM")
    assert loaded == ["all"]
    assert signal.getsignal(signal.SIGURG) == handler


def test_what_is_not_to_be_disturbed_is_done_to_its_end():
    done = []

    def work(interruption):
        with interruption.leavable():
            with undisturbed():
                send(signal.SIGTERM)
                time.sleep(0.2)
                done.append("all")
            wait_to_be_left()

    assert str(interrupted(work)).startswith("SIGTERM")
    assert done == ["all"]


def test_an_error_that_is_made_of_a_stop_is_a_stop():
    def work(interruption):
        with interruption.leavable():
            try:
                send(signal.SIGTERM)
                wait_to_be_left()
            except BaseException:
                raise ValueError("it cannot be read") from None

    assert str(interrupted(work)).startswith("SIGTERM")


def test_an_error_of_what_cleans_up_after_a_stop_stays_one():
    def work(interruption):
        try:
            with interruption.leavable():
                send(signal.SIGTERM)
                wait_to_be_left()
        finally:
            with interruption.leavable():
                raise ValueError("it cannot be written")

    with pytest.raises(ValueError, match="written"), Interruption(PATIENCE) as interruption:
        work(interruption)


def test_a_stop_that_is_lost_where_no_error_can_leave_comes_again():
    class Sends:
        def __del__(self):
            send(signal.SIGTERM)
            time.sleep(0.01)  # the handler runs here at the latest

    hook = sys.unraisablehook

    def work(interruption):
        with interruption.leavable():
            Sends()
            wait_to_be_left()

    assert str(interrupted(work)).startswith("SIGTERM")
    assert sys.unraisablehook is hook


def test_a_check_after_a_step_stops_a_run():
    seen = []

    def work(interruption):
        interruption.check()
        send(signal.SIGTERM)
        seen.append("the step is finished")
        interruption.check()
        seen.append("not stopped")

    interrupted(work)
    assert seen == ["the step is finished"]


def test_a_signal_that_comes_too_late_for_a_run_ends_what_comes_after_it():
    seen = []

    def work(study):
        with study.leavable():
            with Interruption(PATIENCE):
                send(signal.SIGTERM)
                seen.append("the end of a run")
            seen.append("the next one")

    assert interrupted(work).exit_code == 128 + signal.SIGTERM
    assert seen == ["the end of a run"]


def test_the_state_that_was_reached_last_is_saved_after_its_metrics():
    done = []
    checkpoints = types.SimpleNamespace(
        save=lambda state: done.append(("save", state.step)), wait=lambda: done.append("wait")
    )

    def work(interruption):
        with interruption.saving(checkpoints):
            for step in (3, 4):
                state = types.SimpleNamespace(step=step)
                interruption.hold(state, lambda step=step: done.append(("flush", step)))
            send(signal.SIGTERM)
            interruption.check()

    assert str(interrupted(work)) == "SIGTERM: saved step 4; the same command continues the run"
    assert done == [("flush", 4), ("save", 4), "wait"]


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption(PATIENCE) as interruption:
            send(signal.SIGHUP)
            interruption.check()
            assert interruption.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_than_the_main_one_changes_nothing():
    before, seen = handlers(), []

    def work():
        with Interruption(PATIENCE) as interruption, interruption.leavable():
            seen.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert seen == [before]


PROGRAM = """
import time
from jaxrcnn.training.interruption import Interruption
from jaxrcnn.training.signals import end_now
with Interruption(SECONDS, end=end_now), Interruption(SECONDS):  # of a program, and of its run
    print('ready', flush=True)
    while True: time.sleep(0.1)
"""
NOTEBOOK = """
import signal, time
from jaxrcnn.training.interruption import Interruption
def handlers(): return [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
before = handlers()
try:
    with Interruption(SECONDS):
        print('ready', flush=True)
        time.sleep(3600)
except KeyboardInterrupt as error:
    print(f'{type(error).__name__}: {error}', handlers() == before)
"""


@contextlib.contextmanager
def process_of(code, seconds):
    """A process that ignores a signal in a step without an end."""
    with subprocess.Popen(
        [sys.executable, "-c", code.replace("SECONDS", str(seconds))],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def end_of(process):
    """The exit code and what was printed."""
    said = "".join(process.communicate(timeout=PATIENCE))
    return process.returncode, said.strip()


def test_a_run_that_cannot_end_in_time_is_ended():
    line = "not finished 1.5 s after SIGTERM: ended without saving"
    with process_of(PROGRAM, 1.5) as process, process_of(NOTEBOOK, 1.5) as notebook:
        process.send_signal(signal.SIGTERM)
        notebook.send_signal(signal.SIGTERM)
        assert end_of(process) == (143, line)
        assert end_of(notebook) == (0, f"KeyboardInterrupt: {line} True")


def test_a_second_ctrl_c_ends_a_run_at_once_and_a_scheduler_does_not_by_several_signals():
    line = "SIGINT after SIGTERM: ended without saving"
    with process_of(PROGRAM, 900) as process, process_of(NOTEBOOK, 900) as notebook:
        both = process, notebook
        for number, pause in ((signal.SIGTERM, 0), (signal.SIGINT, 1.3), (signal.SIGTERM, 0.2)):
            for one in both:  # within a second, Ctrl-C is not another one either
                one.send_signal(number)
            time.sleep(pause)
        assert [one.poll() for one in both] == [None, None]
        for one in both:
            one.send_signal(signal.SIGINT)
        assert end_of(process) == (143, line)
        assert end_of(notebook) == (0, f"KeyboardInterrupt: {line} True")


def test_a_stop_that_is_swallowed_is_raised_by_the_next_check():
    """Python goes on after what is raised in __del__."""
    seen = []

    class Deleted:
        def __del__(self):
            send(signal.SIGTERM)
            seen.append("not raised at once")

    def work(interruption):
        with interruption.leavable():
            Deleted()
            seen.append("swallowed")
        interruption.check()
        seen.append("not left")

    interrupted(work)
    assert seen == ["swallowed"]


def test_the_handlers_are_restored_if_one_of_them_raises_at_the_end():
    before = handlers()

    def ctrl_c(*_):
        raise KeyboardInterrupt

    own = signal.signal(signal.SIGHUP, ctrl_c)
    interruption = Interruption(PATIENCE)
    put_back = interruption._put_back
    try:
        interruption.__enter__()

        def interrupted_once():
            interruption._put_back = put_back
            signal.signal(signal.SIGHUP, ctrl_c)
            send(signal.SIGHUP)

        interruption._put_back = interrupted_once
        with pytest.raises(KeyboardInterrupt):
            interruption.__exit__(None, None, None)
        assert handlers() == [*before[:2], ctrl_c]
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGHUP, own)


def test_a_signal_that_comes_too_late_for_a_run_is_that_of_the_notebook():
    with pytest.raises(KeyboardInterrupt), Interruption(PATIENCE):
        send(signal.SIGINT)


def test_a_loop_over_runs_that_goes_on_after_errors_ends_too():
    done = []

    def work(_):
        for number in range(3):
            with contextlib.suppress(Exception), Interruption(PATIENCE) as run, run.leavable():
                done.append(number)
                send(signal.SIGTERM)

    interrupted(work)
    assert done == [0]
