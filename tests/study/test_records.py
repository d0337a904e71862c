"""study.json as a study goes on: what it knows, and whose it is."""

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.study.plan import Plan
from jaxrcnn.study.records import (
    check_results,
    describe_run,
    gather,
    known_results,
    runs_at_a_time,
    write_results,
)
from jaxrcnn.study.variants import Variant
from tests.study.synthetic import diverged_run, make_run
from tests.study.test_side_by_side import CONFIG

PLAN = Plan(
    (Variant("approximate", CONFIG), Variant("a, b", CONFIG)), (0, 1), "title", "command",
    baseline="a, b",
)  # fmt: skip


@pytest.fixture(scope="module")
def sets():
    return open_datasets(CONFIG)


def test_a_study_names_all_its_runs_and_its_baseline(sets):
    run = make_run("a, b", 0)
    study = gather(PLAN, {("a, b", 0): run}, sets)
    assert (study.schemes, study.seeds) == (("approximate", "a, b"), (0, 1))
    assert (study.baseline, study.steps, study.batch_size) == ("a, b", 4, 2)
    assert [(x.folder, x.status) for x in study.runs] == [
        ("runs/approximate-0", "waiting"),
        ("runs/approximate-1", "waiting"),
        ("runs/a, b-0", "finished"),
        ("runs/a+b-1", "waiting"),
    ]
    assert "test split" not in study.eval_set
    assert "test split" in gather(PLAN._replace(split="test"), {}, sets).eval_set


def test_what_has_ended_is_known_again(sets, tmp_path):
    assert known_results(tmp_path) == {}
    assert runs_at_a_time(tmp_path) == 1
    results = {("a, b", 0): make_run("a, b", 0), ("a, b", 1): diverged_run("a, b", 1)}
    write_results(gather(PLAN, results, sets, jobs=2), tmp_path)
    assert known_results(tmp_path) == results
    assert runs_at_a_time(tmp_path) == 2


def test_a_folder_of_another_study_is_refused(tmp_path):
    check_results({("a, b", 0): None}, PLAN, tmp_path)
    with pytest.raises(ConfigError, match=r"contains another study, with 'exact', seed 0: to "):
        check_results({("a, b", 0): None, ("exact", 0): None}, PLAN, tmp_path)
    with pytest.raises(ConfigError, match=r"with 'a, b', seed 7 and 1 more run: "):
        check_results({("a, b", 7): None, ("a, b", 8): None}, PLAN, tmp_path)


def test_a_line_says_how_a_run_ended():
    run = make_run("exact", 3, (0.1, 0.5), wall_seconds=192.0)
    line = "exact, seed 3: AP 0.500  AP50 0.700  AP75 0.550, 3 min 12 s"
    assert describe_run(run) == line
    assert describe_run(diverged_run("exact", 3, 12, wall_seconds=5.0)) == (
        "exact, seed 3: diverged at step 12, 5 s"
    )
