"""Jobs of a study as processes; what they do here is to wait (tests/study/waiting_job.py)."""

import contextlib
import functools
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.study import jobs
from jaxrcnn.study.jobs import JobError, check_jobs, run_in_jobs, share_cores
from jaxrcnn.study.plan import Plan, units_of
from jaxrcnn.study.variants import Variant, changed
from jaxrcnn.training.errors import Interrupted
from tests.cli import fork
from tests.study.waiting_job import until

PROGRAM = (sys.executable, "-m", "tests.study.waiting_job")
ROOT = pathlib.Path(__file__).parents[2]

needs_two_cores = pytest.mark.skipif(len(share_cores(1)[0]) < 2, reason="one core")


def plan_of(*names, seeds=(0,)):
    """Variants that share no program."""
    variants = [
        changed(Variant("", Config()), name, {"train.log_every": number})
        for number, name in enumerate(names, 1)
    ]
    return Plan(tuple(variants), seeds, "title", "command")


def all_done(plan, workdir, at_once):
    with contextlib.closing(
        run_in_jobs(plan, units_of(plan), workdir, at_once, PROGRAM)
    ) as outcomes:
        return list(outcomes)


@pytest.mark.parametrize(
    ("count", "shares"),
    [(1, [[2, 5, 6, 9]]), (2, [[2, 5], [6, 9]]), (3, [[2], [5], [6, 9]])],
)
def test_cores_are_shared_out(monkeypatch, count, shares):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {9, 2, 6, 5})
    assert share_cores(count) == shares


def test_there_is_a_core_for_each_job(monkeypatch):
    monkeypatch.setattr(jobs, "cores", lambda: 2)
    check_jobs(2, "cpu", [Variant("", Config())])
    with pytest.raises(ConfigError, match="--jobs 3: only 2 cores can be used here"):
        check_jobs(3, "cpu", [])
    with pytest.raises(ConfigError, match="JAX computes on gpu"):
        check_jobs(2, "gpu", [])


def test_jobs_can_import_what_builds_a_detector():
    for inner in (lambda config: fork.build(config), functools.partial(lambda config: config)):
        variant = Variant("mine", Config(), inner)
        with pytest.raises(ConfigError, match="--jobs: mine: another process cannot import") as e:
            check_jobs(1, "cpu", [variant])
        assert "\n" not in str(e.value)
    check_jobs(1, "cpu", [Variant("mine", Config(), fork.build)])


@needs_two_cores
def test_jobs_run_at_once_each_on_its_own_cores(tmp_path):
    found = all_done(plan_of("a after b", "b after a"), tmp_path, 2)
    assert {unit.keys[0] for unit, _ in found} == {("a after b", 0), ("b after a", 0)}
    assert sorted(cores for _, (_, cores, *_) in found) == share_cores(2)
    logs = sorted((tmp_path / "jobs").iterdir())
    assert [(path.name, path.read_text()) for path in logs] == [
        ("1.log", "a after b, seed 0 begins\n"),
        ("2.log", "b after a, seed 0 begins\n"),
    ]


def test_one_job_does_one_unit_after_the_other_in_their_order(tmp_path):
    found = all_done(plan_of("a", "b", seeds=(3, 4)), tmp_path, 1)
    assert [unit.keys[0] for unit, _ in found] == [("a", 3), ("b", 3), ("a", 4), ("b", 4)]
    assert len({process for _, (process, *_) in found}) == 1


def test_a_job_prefers_what_it_has_compiled_but_within_a_seed():
    plan = plan_of("a", "b", seeds=(3, 4))
    a, b, *later = units_of(plan)
    compiled = {plan.variants[1].program()}
    assert jobs._choose([a, b, *later], compiled) == b
    assert jobs._choose([a, *later], compiled) == a
    assert jobs._choose([a, b, *later], set()) == a


def test_what_is_wrong_with_a_run_is_an_error_of_the_study(tmp_path):
    with pytest.raises(JobError, match=r"^wrong, seed 0: this cannot be done$") as stop:
        all_done(plan_of("wrong"), tmp_path, 1)
    assert stop.value.exit_code == 2


def test_a_job_that_dies_names_its_log(tmp_path):
    with pytest.raises(JobError, match=r"dies, seed 0: job 1 ended by SIGKILL; see .*1\.log"):
        all_done(plan_of("dies"), tmp_path, 1)
    with pytest.raises(JobError, match=r"bug, seed 0: job 1 ended with exit code 1; see "):
        all_done(plan_of("bug"), tmp_path, 1)
    assert "AssertionError: a bug" in (tmp_path / "jobs" / "1.log").read_text()


@needs_two_cores
def test_where_one_run_cannot_be_done_the_others_are_saved(tmp_path):
    with pytest.raises(JobError, match="this cannot be done"):
        all_done(plan_of("other 60", "wrong after other"), tmp_path, 2)
    assert (tmp_path / "other-saved").exists()


@needs_two_cores
def test_a_signal_ends_all_jobs_once_they_have_saved(tmp_path):
    def stop():
        for name in ("one", "other"):
            until((tmp_path / f"{name}-begun").exists)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    with pytest.raises(Interrupted, match="SIGTERM: saved the runs; the same command") as ended:
        all_done(plan_of("one 60", "other 60", "third"), tmp_path, 2)
    assert ended.value.exit_code == 143
    assert {path.name for path in tmp_path.glob("*-saved")} == {"one-saved", "other-saved"}


WAIT = """
import pathlib, sys
from jaxrcnn.study.plan import units_of
from jaxrcnn.study.jobs import run_in_jobs
from tests.study.test_jobs import PROGRAM, plan_of
plan = plan_of("one 60")
list(run_in_jobs(plan, units_of(plan), pathlib.Path(sys.argv[1]), 1, PROGRAM))
"""


def test_a_job_ends_when_its_study_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WAIT, str(tmp_path)], cwd=ROOT) as study:
        until((tmp_path / "one-begun").exists)
        study.kill()
    until((tmp_path / "one-saved").exists)
