"""A study from end to end on a tiny config, through its command."""

import errno
import json
import os
import re
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from jaxrcnn.cli import main as jaxrcnn
from jaxrcnn.cli.run import load_run
from jaxrcnn.config import ConfigError
from jaxrcnn.data.datasets import open_datasets, open_test_dataset
from jaxrcnn.data.fingerprint_file import describe_data, write_data
from jaxrcnn.detector import build
from jaxrcnn.runtime.machine import cores
from jaxrcnn.study import records, running
from jaxrcnn.study.plan import Plan, units_of
from jaxrcnn.study.running import Outcome, run_study
from jaxrcnn.study.schemes import SCHEMES
from jaxrcnn.study.study_io import from_json
from jaxrcnn.study.variants import Variant
from jaxrcnn.training import retries
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.workdir import claim
from tests.cli import fork
from tests.study.test_side_by_side import CONFIG

CONFIG_FILE = """
from tests.study.test_side_by_side import CONFIG

def get_config():
    return CONFIG
"""
WORDS = ("--evaluations", "2", "--config.seed", "4")


def study(config_file, workdir, *words):
    words = ["study", "--config", str(config_file), "--workdir", str(workdir), *WORDS, *words]
    return jaxrcnn(words)


def result(workdir):
    return from_json((workdir / "study.json").read_text())


def stamps(workdir):
    return {path: path.stat().st_mtime_ns for path in (workdir / "runs").rglob("*")}


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "small.py"
    path.write_text(CONFIG_FILE)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config_file):
    workdir = tmp_path_factory.mktemp("study")
    assert study(config_file, workdir, "--schemes", "approximate,late", "--seeds", "2") == 0
    return workdir


@pytest.mark.slow
def test_every_scheme_runs_with_every_seed(finished):
    found = result(finished)
    assert (found.title, found.schemes, found.seeds) == ("small", ("approximate", "late"), (4, 5))
    assert found.steps == 4
    assert [(run.scheme, run.seed, run.status) for run in found.runs] == [
        ("approximate", 4, "finished"),
        ("approximate", 5, "finished"),
        ("late", 4, "finished"),
        ("late", 5, "finished"),
    ]
    for run in found.runs:
        assert [point.step for point in run.points] == [2, 4]
        assert [point.images for point in run.points] == [4, 8]
        rows = MetricsWriter.read(finished / run.folder / "metrics.jsonl")
        ends = [row for row in rows if "eval/AP" in row]
        aps = [row["eval/AP"] for row in ends]
        assert [point.scores["AP"] for point in run.points] == pytest.approx(aps, rel=1e-5)
    one, two, late, _ = found.runs
    assert one.losses[0] == late.losses[0] == pytest.approx(late.losses[0])  # closed at first
    assert one.losses != late.losses
    assert one.losses[0] != two.losses[0]


@pytest.mark.slow
def test_each_run_is_an_ordinary_one(finished):
    run = load_run(finished / "runs" / "late-5")
    assert (run.step, run.config.seed) == (4, 5)
    assert run.config.model.proposals.open_after == 1


@pytest.mark.slow
def test_report_and_curves_are_written(finished):
    page = (finished / "report.html").read_text()
    assert "approximate" in page
    assert "late" in page
    assert (finished / "ap.png").is_file()
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", page)


@pytest.mark.slow
def test_the_same_command_again_runs_nothing(finished, config_file, capsys):
    before = stamps(finished)
    study(config_file, finished, "--schemes", "approximate,late", "--seeds", "2")
    assert stamps(finished) == before
    said = capsys.readouterr().out
    assert "late, seed 5 (4 of 4)" in said
    assert "variant" in said
    assert str(finished / "report.html") in said


@pytest.mark.slow
def test_another_config_in_the_same_folder_is_refused(finished, config_file, capsys):
    with pytest.raises(SystemExit):
        study(config_file, finished, "--config.train.optimizer.learning_rate", "0.5")
    assert "train.optimizer.learning_rate" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_study_goes_on_in_the_middle_of_a_run(
    finished, config_file, tmp_path, monkeypatch
):
    save, saved = Checkpoints.save, []

    def save_and_die(self, state):
        save(self, state)
        self.wait()
        saved.append(int(state.step))
        if len(saved) == 3:  # the second run's first
            raise KeyboardInterrupt

    words = (config_file, tmp_path, "--schemes", "approximate,late", "--seeds", "1")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        with pytest.raises(SystemExit, match="130"):
            study(*words)
    assert [run.status for run in result(tmp_path).runs] == ["finished", "waiting"]
    study(*words)
    ours, theirs = result(tmp_path).runs, [run for run in result(finished).runs if run.seed == 4]
    assert [run.losses for run in ours] == [run.losses for run in theirs]
    assert [[p.scores for p in run.points] for run in ours] == [
        [p.scores for p in run.points] for run in theirs
    ]


@pytest.mark.slow
@pytest.mark.skipif(cores() < 2, reason="one core")
def test_runs_at_a_time_give_what_they_give_one_by_one(finished, config_file, tmp_path, capsys):
    words = ("--schemes", "approximate,late", "--seeds", "2", "--jobs", "2")
    assert study(config_file, tmp_path, *words) == 0
    assert "seed 5: AP 0." in capsys.readouterr().out
    ours, theirs = result(tmp_path), result(finished)
    assert ours.machine["runs at a time"] == "2"
    for run, other in zip(ours.runs, theirs.runs, strict=True):
        assert (run.scheme, run.seed, run.status) == (other.scheme, other.seed, "finished")
        losses, others = (dict(x.losses) for x in (run, other))
        assert losses == pytest.approx(others, rel=2e-3)
    assert sorted(path.name for path in (tmp_path / "jobs").iterdir()) == ["1.log", "2.log"]


@pytest.mark.slow
def test_a_run_that_diverges_is_a_result_and_the_others_go_on(tmp_path):
    """The learning rate times 1e30: the first step makes the parameters infinite."""
    base = SCHEMES["approximate"](CONFIG)
    optimizer = replace(base.train.optimizer, learning_rate=1e28)
    wild = replace(base, train=replace(base.train, optimizer=optimizer))
    plan = Plan((Variant("wild", wild), Variant("approximate", base)), (4,), "divergence", "-")
    found = run_study(plan, tmp_path)
    diverged, other = found.runs
    assert (diverged.status, other.status) == ("diverged", "finished")
    assert diverged.failure.step == 2
    assert "first seen in the backbone's features for image shape" in diverged.failure.message
    assert [point.step for point in other.points] == [2, 4]
    assert json.loads((tmp_path / "study.json").read_text())["runs"][0]["failure"]["step"] == 2
    assert "diverged" in (tmp_path / "report.html").read_text()
    before = stamps(tmp_path)
    assert run_study(plan, tmp_path).runs == found.runs
    assert stamps(tmp_path) == before


@pytest.mark.slow
def test_a_sweep_is_a_study_whose_schemes_are_widths(config_file, tmp_path):
    assert study(config_file, tmp_path, "--sweep", "pooling_gradient=0,1", "--seeds", "1") == 0
    found = result(tmp_path)
    assert found.schemes == ("pooling_gradient=0", "pooling_gradient=1")
    for run, width in zip(found.runs, (0, 1), strict=True):
        assert run.status == "finished"
        assert len(run.points) == 2
        assert load_run(tmp_path / run.folder).config.model.proposals.pooling_gradient == width


def test_every_run_has_the_plans_detector(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(running, "run", lambda *given: asked.append(given))
    sets: Any = ("training", "evaluation")
    assert running.run_alone(CONFIG, tmp_path, sets, fork.build) is None
    assert asked == [(CONFIG, tmp_path, fork.build(CONFIG.model), *sets)]


def test_every_run_has_the_studys_choice_of_held_out_images(tmp_path, monkeypatch):
    (tmp_path / "split.json").write_text("{}")
    seen = []

    def run_alone(config, folder, sets, build):
        seen.append((folder.name, (folder / "split.json").read_text()))

    monkeypatch.setattr(running, "run_alone", run_alone)
    plan = Plan((Variant("a", CONFIG), Variant("b", CONFIG)), (3,), "", "")
    sets: Any = ("training", "evaluation")
    for unit in units_of(plan):
        assert running.run_unit(plan, unit, tmp_path, sets).failures == {}
    assert seen == [("a-3", "{}"), ("b-3", "{}")]


def test_a_run_that_has_begun_is_of_the_plans_detector_and_data(tmp_path):
    sets = open_datasets(CONFIG)
    claim(tmp_path, CONFIG)
    write_data(tmp_path, describe_data(CONFIG, *sets))
    running.claim(tmp_path, CONFIG, fork.build, sets)
    running.claim(tmp_path, CONFIG, fork.build, sets)
    with pytest.raises(ConfigError, match=r"not with the default; .* build= or --pieces$"):
        running.claim(tmp_path, CONFIG, build, sets)
    other = open_test_dataset(CONFIG, sets[0].class_names)
    with pytest.raises(ConfigError, match="evaluation set"):
        running.claim(tmp_path, CONFIG, fork.build, (sets[0], other))


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", [("--schemes", "approximate"), ("--sweep", "pooling_gradient=0,1")]
)
def test_a_fork_is_studied_and_its_runs_say_so(config_file, tmp_path, capsys, what):
    given = (*what, "--seeds", "1", "--pieces", "tests.cli.fork:build")
    assert study(config_file, tmp_path, *given) == 0
    (first, *others) = sorted((tmp_path / "runs").iterdir())
    assert load_run(first, pieces="tests.cli.fork:build").detector.roi_op is fork.first_pixels
    assert len(others) == (what[0] == "--sweep")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        study(config_file, tmp_path, *given[:-2])
    assert "--pieces" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--schemes", "exact,exakt"), "'exakt'"),
        (("--sweep", "nms_iou=0.5"), "pooling_gradient"),
        (("--sweep", "pooling_gradient=0,2"), "'2'"),
        (("--seeds", "0"), "'0'"),
        (("--nonsense",), "--nonsense"),
        (("--pieces", "no_fork:build"), "there is no module no_fork"),
        (("--config.train.stepz", "4"), "train.steps"),
    ],
)
def test_wrong_arguments_are_one_line(config_file, tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        study(config_file, tmp_path, *words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_study_compares_last_states_after_equal_steps(config_file, tmp_path, monkeypatch, capsys):
    class Planned(Exception):
        pass

    def planned(plan, *_):
        raise Planned(plan)

    monkeypatch.setattr("jaxrcnn.cli.study.run_study", planned)
    best = ("--config.train.keep_best", "eval/AP", "--config.train.patience", "3")
    with pytest.raises(Planned) as stop:
        study(config_file, tmp_path, *best)
    configs = [variant.config for variant in stop.value.args[0].variants]
    assert {(x.train.keep_best, x.train.patience) for x in configs} == {("", 0)}
    assert capsys.readouterr().err == (
        "note: a study compares final states: train.keep_best and train.patience are ignored\n"
    )


def test_a_study_of_more_steps_does_not_go_on_with_shorter_runs(tmp_path):
    folder = tmp_path / "run"
    claim(folder, CONFIG)
    longer = replace(CONFIG, train=replace(CONFIG.train, steps=2 * CONFIG.train.steps))
    with pytest.raises(ConfigError, match=r"train\.steps is"):
        running.run_alone(longer, folder, None, build)


def without_runs(monkeypatch, text):
    """A study whose only run gives a text as results."""
    ended = {("late", 4): "the run"}
    for name, value in (("open_sets", (None, None)), ("read_results", ended), ("gather", None)):
        monkeypatch.setattr(running, name, lambda *_, value=value: value)
    monkeypatch.setattr(running, "run_unit", lambda *_: Outcome({}, 1.0))
    monkeypatch.setattr(running, "compare_runs", lambda *_: None)
    monkeypatch.setattr(records, "to_json", lambda _: text)
    return Plan((Variant("late", CONFIG),), (4,), "title", "command")


def test_results_and_report_are_written_once_a_full_disk_has_room_again(
    tmp_path, monkeypatch, capsys
):
    plan = without_runs(monkeypatch, "results")
    monkeypatch.setattr(retries, "PAUSES", (0,))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    report = mock.Mock(side_effect=[full, None])
    monkeypatch.setattr(running, "write_report", report)
    monkeypatch.setattr("os.fsync", mock.Mock(side_effect=[full, None]))
    run_study(plan, tmp_path)
    assert (tmp_path / "study.json").read_text() == "results"
    assert report.call_count == 2
    said = capsys.readouterr().out
    for name in ("study.json", "report.html"):
        assert f"note: {tmp_path / name} was not written (No space left on device); trying" in said


def test_a_study_that_is_killed_as_it_writes_its_results_has_those_before(tmp_path, monkeypatch):
    plan = without_runs(monkeypatch, "after")
    monkeypatch.setattr(running, "known_results", lambda _: {})
    (tmp_path / "study.json").write_text("before")
    monkeypatch.setattr(running, "write_report", lambda *_: None)
    monkeypatch.setattr("os.fsync", mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_study(plan, tmp_path)
    assert (tmp_path / "study.json").read_text() == "before"


def test_a_study_that_is_done_still_says_how_many_runs_were_done_at_a_time(tmp_path, monkeypatch):
    plan = without_runs(monkeypatch, "results")
    seen = []
    monkeypatch.setattr(running, "known_results", lambda _: {("late", 4): "the run"})
    monkeypatch.setattr(running, "runs_at_a_time", lambda _: 3)
    monkeypatch.setattr(running, "gather", lambda *given: seen.append(given[3]))
    monkeypatch.setattr(running, "write_report", lambda *_: None)
    run_study(plan, tmp_path)
    assert seen == [3]


def test_a_report_is_written_as_soon_as_all_runs_of_a_seed_have_ended(tmp_path, monkeypatch):
    plan = without_runs(monkeypatch, "results")
    plan = plan._replace(variants=(*plan.variants, Variant("exact", CONFIG)), seeds=(4, 5))
    order = []
    monkeypatch.setattr(running, "run_unit", lambda _, unit, *__: order.append(unit.keys[0]))
    monkeypatch.setattr(
        running, "read_results", lambda _, unit, *__: dict.fromkeys(unit.keys, "the run")
    )
    monkeypatch.setattr(running, "write_report", lambda *_: order.append("report"))
    run_study(plan, tmp_path)
    assert order == [("late", 4), ("exact", 4), "report", ("late", 5), ("exact", 5), "report"]
