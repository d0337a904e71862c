import threading
import time
import types

import pytest

from jaxrcnn import run_start, runs
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.watchdog import Watchdog, report_stuck
from tests import steered

PATIENCE = 60.0  # seconds, for a machine that is busy
TICK = 0.01


class Reports(list):
    """What a watchdog reports, and a wait for it."""

    def __init__(self):
        super().__init__()
        self.came = threading.Event()

    def __call__(self, silence, usual):
        self.append((silence, usual))
        self.came.set()


def watch(reports, multiple=3.0, least=5 * TICK, first=20 * TICK):
    return Watchdog(multiple, reports, TICK, least, first)


def steps(watchdog, number):
    for _ in range(number):
        watchdog.beat()
        time.sleep(2 * TICK)


def test_a_run_that_stands_still_is_reported_once_and_again_after_a_step():
    reports = Reports()
    with watch(reports) as watchdog:
        steps(watchdog, 10)
        assert reports.came.wait(PATIENCE)
        time.sleep(20 * TICK)
        ((silence, usual),) = reports
        assert silence > 5 * TICK
        assert usual > TICK
        reports.came.clear()
        steps(watchdog, 1)
        assert reports.came.wait(PATIENCE)


def test_a_first_step_has_a_bound_of_its_own():
    reports = Reports()
    with watch(reports):
        assert reports.came.wait(PATIENCE)
    assert reports[0][0] > 20 * TICK
    assert reports[0][1] is None


def test_what_comes_before_the_steps_may_be_slow():
    reports = Reports()
    watchdog = watch(reports)
    time.sleep(30 * TICK)  # such as reading the data
    assert not reports
    with watchdog:
        assert reports.came.wait(PATIENCE)


def test_a_step_is_done_when_its_loss_is_there():
    reports = Reports()
    ready = threading.Event()
    loss = types.SimpleNamespace(is_ready=ready.is_set)
    with watch(reports) as watchdog:
        steps(watchdog, 5)
        for _ in range(40):  # begun ahead of what the device does
            watchdog.beat(loss)
            time.sleep(TICK)
        assert reports
        ready.set()


def test_activities_between_the_steps_are_not_watched():
    reports = Reports()
    watchdog = watch(reports)
    with Progress(10, watchdog=watchdog) as progress, watchdog:
        with progress.activity("evaluating"):
            time.sleep(40 * TICK)
        assert not reports
        progress.follow(1, None)
        assert reports.came.wait(PATIENCE)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "disabled"])
def test_what_does_not_watch_reports_nothing(closed):
    reports = Reports()
    with watch(reports, multiple=3.0 if closed else 0.0) as watchdog:
        if closed:
            watchdog.close()
        time.sleep(30 * TICK)
    assert not reports


def test_a_report_shows_what_each_thread_does(tmp_path, capsys):
    waiting = threading.Event()

    def wait_for_a_peer():
        waiting.wait(PATIENCE)

    thread = threading.Thread(target=wait_for_a_peer)
    thread.start()
    report_stuck(tmp_path, 75.0, 0.5)
    waiting.set()
    thread.join()
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("stuck_")
    stacks = path.read_text()
    assert "in wait_for_a_peer" in stacks
    assert "in test_a_report_shows_what_each_thread_does" in stacks
    said = capsys.readouterr().err
    assert said == (
        f"no step for 1 min 15 s (usually 0.5 s each): {path} says what each thread is doing\n"
    )


def test_a_run_that_reads_its_data_or_waits_for_its_disk_is_not_stuck(tmp_path, monkeypatch):
    """Neither while a save waits for the one before, nor while metrics are written."""
    watchdog, watched = Watchdog(), []
    monkeypatch.setattr(runs, "Watchdog", lambda *_: watchdog)

    def noted(function):
        def call(*arguments):
            watched.append(not (watchdog._pauses or watchdog._closed.is_set()))
            return function(*arguments)

        return call

    for name in ("save", "wait", "close"):
        monkeypatch.setattr(Checkpoints, name, noted(getattr(Checkpoints, name)))
    for name in ("write", "close"):
        monkeypatch.setattr(MetricsWriter, name, noted(getattr(MetricsWriter, name)))
    monkeypatch.setattr(run_start, "describe_data", noted(run_start.describe_data))
    config = steered.config_of(keep_best="eval/AP")
    with steered.scored({2: 0.1, 6: 0.2}):
        steered.run(tmp_path, config)
    assert len(watched) > 12
    assert not any(watched)
