import dataclasses

import pytest

from jaxrcnn.config import Config, ConfigError, DeltaGradientConfig
from jaxrcnn.study.results import Failure, Point, read_run, shown_settings
from tests.study.synthetic import make_config, write_run
from tests.study.test_run_files import write_analysis


def test_a_finished_run(tmp_path):
    rows = [
        {"step": 10, "train/loss": 3.0, "train/images_per_second": 0.5},
        {"step": 20, "train/loss": 2.0, "train/images_per_second": 8.0},
        {"step": 20, "eval/loss": 1.5, "eval/AP": 0.25, "eval/AP50": 0.5, "eval/APs": None},
        {"step": 20, "diagnostics/cosine": -0.5, "diagnostics/width_q50": None},
        {"step": 30, "train/loss": 1.0, "train/images_per_second": 8.0, "diagnostics/cosine": 0.5},
        {"step": 30, "eval/loss": 1.0, "eval/AP": 0.5, "eval/AP50": 0.75, "eval/APs": None},
    ]
    folder = write_run(tmp_path / "runs" / "exact-2", make_config("exact", batch_size=4), rows)
    run = read_run(folder, "exact", 2, "finished", wall_seconds=100.0)
    assert (run.scheme, run.seed, run.folder) == ("exact", 2, "runs/exact-2")
    assert (run.status, run.failure, run.wall_seconds) == ("finished", None, 100.0)
    assert run.settings == {"model.proposals.stop_gradient": "False"}
    assert run.phase_starts == (0,)
    assert (run.steps_done, run.train_seconds) == (30, 15.0)
    assert run.points == (
        Point(20, 80, 10.0, {"loss": 1.5, "AP": 0.25, "AP50": 0.5}),
        Point(30, 120, 15.0, {"loss": 1.0, "AP": 0.5, "AP50": 0.75}),
    )
    assert run.losses == ((10, 3.0), (20, 2.0), (30, 1.0))
    assert run.diagnostics == ({"step": 20, "cosine": -0.5}, {"step": 30, "cosine": 0.5})


def test_the_end_of_a_run_has_the_recall_of_its_proposals(tmp_path):
    rows = [
        {"step": 10, "train/loss": 3.0, "train/images_per_second": 8.0},
        {"step": 10, "eval/loss": 1.5, "eval/AP": 0.25},
        {"step": 20, "eval/loss": 1.0, "eval/AP": 1 / 3},
    ]
    folder = write_run(tmp_path / "exact-2", make_config("exact"), rows)
    write_analysis(folder, step=20)
    (folder / "origin.json").write_text('{"code": {"revision": "abc123"}}')
    run = read_run(folder, "exact", 2, "finished")
    assert [point.scores for point in run.points] == [
        {"loss": 1.5, "AP": 0.25},
        {"loss": 1.0, "AP": 0.333333, "recall50": 0.75, "recall70": 0.5},
    ]
    assert (run.commit, run.machine) == ("abc123", "")


def test_many_losses_are_thinned(tmp_path):
    rows = [
        {"step": step, "train/loss": 2.0, "train/loss_box": 1.0, "train/images_per_second": 8.0}
        for step in range(1, 101)
    ]
    run = read_run(write_run(tmp_path / "late-0", make_config("late"), rows), "late", 0, "finished")
    assert run.losses == tuple((step, 2.0) for step in range(2, 101, 2))


def test_an_alternating_run(tmp_path):
    rows = [
        {"step": 40, "train/loss": 1.0, "train/images_per_second": 4.0},
        {"step": 60, "train/loss": 2.0, "train/images_per_second": 2.0},
        {"step": 60, "eval/loss": 1.5, "eval/AP": 0.25},
        {"step": 100, "train/loss": 1.0, "train/images_per_second": 16.0},
        {"step": 120, "train/loss": 2.0, "train/images_per_second": 8.0},
        {"step": 120, "eval/loss": 1.0, "eval/AP": 0.5},
    ]
    folder = write_run(tmp_path / "alternating-0", make_config("alternating", batch_size=4), rows)
    run = read_run(folder, "alternating", 0, "finished")
    assert run.phase_starts == (0, 40, 60, 100)
    assert [point.seconds for point in run.points] == [80.0, 100.0]
    assert run.settings == {
        "train.scheme": "alternating",
        "train.alternating.steps": "rpn 40, fast_rcnn 20, rpn 40, fast_rcnn 20",
    }


def test_a_diverged_run_has_its_finite_losses(tmp_path):
    rows = [
        {"step": 10, "train/loss": 3.0, "train/images_per_second": 8.0},
        {"step": 20, "train/loss": None, "train/images_per_second": 8.0},
    ]
    folder = write_run(tmp_path / "exact-0", make_config("exact"), rows)
    failure = Failure(17, "step 17: loss not finite")
    run = read_run(folder, "exact", 0, "diverged", failure=failure)
    assert (run.failure, run.losses, run.points) == (failure, ((10, 3.0),), ())
    assert (run.steps_done, run.train_seconds) == (20, 10.0)


def test_a_run_that_diverged_before_its_first_line(tmp_path):
    folder = write_run(tmp_path / "exact-0", make_config("exact"), [])
    (folder / "metrics.jsonl").unlink()
    run = read_run(folder, "exact", 0, "diverged", failure=Failure(1, "lost"))
    assert (run.steps_done, run.train_seconds, run.losses) == (0, 0.0, ())


def test_a_waiting_run_needs_no_folder(tmp_path):
    run = read_run(tmp_path / "runs" / "late-1", "late", 1, "waiting")
    assert (run.folder, run.status, run.points) == ("runs/late-1", "waiting", ())


def test_settings_are_the_fields_that_make_the_scheme(tmp_path):
    config = make_config("late", steps=90)
    proposals = dataclasses.replace(
        config.model.proposals, pre_nms_train=7, delta_gradient=DeltaGradientConfig(clip=0.5)
    )
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, proposals=proposals)
    )
    run = read_run(write_run(tmp_path / "late-0", config, []), "late", 0, "finished")
    assert run.settings == {
        "model.proposals.stop_gradient": "False",
        "model.proposals.open_after": "30",
        "model.proposals.delta_gradient.clip": "0.5",
    }


def test_settings_are_also_those_in_which_variants_differ():
    fields = ("train.optimizer.learning_rate", "model.rpn.box_weight", "model.proposals.open_after")
    found = shown_settings(Config(), fields)
    rate = Config().train.optimizer.learning_rate  # the gate is as by default
    assert found == {"train.optimizer.learning_rate": str(rate), "model.rpn.box_weight": "1.0"}


def test_folders_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="not the folder of a run"):
        read_run(tmp_path, "exact", 0, "finished")
    folder = write_run(tmp_path / "exact-0", make_config(), [])
    (folder / "metrics.jsonl").write_text("{\n{}\n")
    with pytest.raises(ConfigError, match=r"metrics.jsonl cannot be read: .*line 1"):
        read_run(folder, "exact", 0, "finished")
