"""What a study says that is not run."""

import pytest

from jaxrcnn.cli import study_dry_run
from jaxrcnn.cli.study_dry_run import dry_run
from jaxrcnn.config import ConfigError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.study.plan import Plan
from jaxrcnn.study.records import gather, write_results
from jaxrcnn.study.variants import Variant
from tests.study.synthetic import make_run
from tests.study.test_side_by_side import CONFIG

PLAN = Plan((Variant("a", CONFIG), Variant("b", CONFIG)), (0, 1), "title", "command")


class Described:
    """In place of a data set."""

    def summary(self):
        return "images"


def test_a_step_is_measured_where_no_run_has_finished(tmp_path, monkeypatch, capsys):
    def measured(config, *_):
        assert config.train.diagnostics.every == 0
        return 0.5

    monkeypatch.setattr(study_dry_run, "seconds_per_step", measured)
    workdir = tmp_path / "new"
    often = replace_fields(CONFIG, {"train.diagnostics.every": 2})
    plan = PLAN._replace(variants=(Variant("a", often), Variant("b", often)))
    assert dry_run(plan, workdir) == 0
    assert not workdir.exists()
    assert capsys.readouterr().out == (
        "run        done\n"
        "a, seed 0  -\n"
        "b, seed 0  -\n"
        "a, seed 1  -\n"
        "b, seed 1  -\n\n"
        "4 of 4 runs to do, 16 steps\n"
        "about 8 s, plus compilation, evaluation and diagnostics (measured: 0.5 s per step of 'a' "
        "on all cores)\n"
    )


def test_runs_that_are_done_say_how_long_the_others_take(tmp_path, capsys):
    run = make_run("a", 0, wall_seconds=10.0, train_seconds=5.0, steps_done=4)
    sets = (Described(), Described())
    write_results(gather(PLAN, {("a", 0): run}, sets, jobs=2), tmp_path)
    assert dry_run(PLAN, tmp_path) == 0
    said = capsys.readouterr().out
    assert "a, seed 0  finished\n" in said
    assert "3 of 4 runs to do, 12 steps: about 15 s, estimated" in said  # 3 times 10 s, 2 at once
    with pytest.raises(ConfigError, match="contains another study"):
        dry_run(PLAN._replace(seeds=(1,)), tmp_path)


def every(plan):
    return [(variant.name, seed) for variant in plan.variants for seed in plan.seeds]


def test_nothing_is_left_of_a_study_that_is_done(tmp_path, capsys):
    runs = {key: make_run(*key) for key in every(PLAN)}
    write_results(gather(PLAN, runs, (Described(), Described())), tmp_path)
    assert dry_run(PLAN, tmp_path) == 0
    assert capsys.readouterr().out.endswith("b, seed 1  finished\n\nall 4 runs are done\n")
