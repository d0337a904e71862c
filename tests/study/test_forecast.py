"""What is left of a study and how long it takes, by hand."""

import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.study.forecast import find_left, seconds_left, steps_left
from jaxrcnn.study.plan import Plan, folder_of
from jaxrcnn.study.variants import Variant
from jaxrcnn.training.workdir import claim
from tests.study.synthetic import diverged_run, make_run

CONFIG = replace_fields(Config(), {"train.steps": 1000})
PLAN = Plan((Variant("a", CONFIG), Variant("b", CONFIG)), (0, 1, 2), "title", "command")
RESULTS = {
    ("a", 0): make_run("a", 0, wall_seconds=99.9, train_seconds=80.0),
    ("b", 0): diverged_run("b", 0, 137),
    ("a", 1): make_run("a", 1, wall_seconds=299.7, train_seconds=80.0),
}  # of 999 steps: .1 and .3 s each


def test_what_is_done_and_how_far_the_others_are(tmp_path):
    (folder_of(tmp_path, "b", 1) / "checkpoints" / "250").mkdir(parents=True)
    left = find_left(PLAN, RESULTS, tmp_path)
    assert [(str(x.unit), x.describe(1000)) for x in left] == [
        ("a, seed 0", "finished"),
        ("b, seed 0", "diverged"),
        ("a, seed 1", "finished"),
        ("b, seed 1", "at step 250 of 1000"),
        ("a, seed 2", "-"),
        ("b, seed 2", "-"),
    ]
    assert steps_left(PLAN, left) == 750 + 1000 + 1000
    # The median of a's is .2 s a step, and so is that of all for b, which has no finished run.
    assert seconds_left(PLAN, left, RESULTS, 1) == pytest.approx(0.2 * 2750)
    assert seconds_left(PLAN, left, RESULTS, 2) == pytest.approx(0.1 * 2750)
    assert seconds_left(PLAN, left, {}, 1) is None


def test_a_run_that_went_on_took_at_least_the_time_of_its_training(tmp_path):
    run = make_run("a", 0, wall_seconds=1.0, train_seconds=399.6)  # .4 s a step
    results = {("a", 0): run}
    left = find_left(PLAN, results, tmp_path)
    assert seconds_left(PLAN, left, results, 1) == pytest.approx(0.4 * 5000)


def test_runs_side_by_side_share_their_checkpoints(tmp_path):
    (tmp_path / "together" / "1" / "checkpoints" / "250").mkdir(parents=True)
    plan = PLAN._replace(together=True)
    left = find_left(plan, {}, tmp_path)
    assert [x.describe(1000) for x in left] == ["-", "at step 250 of 1000", "-"]
    assert steps_left(plan, left) == 2 * 2750


def test_a_run_of_another_config_is_found(tmp_path):
    claim(folder_of(tmp_path, "a", 2), CONFIG)
    with pytest.raises(ConfigError, match=r"a-2 holds a run with a different config \(seed is 0"):
        find_left(PLAN, {}, tmp_path)
