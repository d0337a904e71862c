"""A run that is steered: the best state, an early end, more steps, a test set, trackers."""

import contextlib
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

import jaxrcnn
from configs.tiny import get_config
from jaxrcnn import runs
from jaxrcnn.cli import main as command
from jaxrcnn.config import ConfigError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.fingerprint_file import describe_data
from jaxrcnn.detector import build
from jaxrcnn.run_scores import describe_result
from jaxrcnn.runs import describe_start
from jaxrcnn.training import arrays, checkpoint
from jaxrcnn.training.best import best_so_far, choose
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.history import read_history
from jaxrcnn.training.origin import read_origin
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.workdir import read_config
from tests.damaged import spoil
from tests.events import events
from tests.killed import killed_after_a_checkpoint
from tests.steered import (
    CONFIG,
    PROGRAMS,
    config_of,
    dataset_of,
    rows_of,
    run,
    scored,
    value_of,
)

BEST = config_of(keep_best="eval/AP")
SCORES = {2: 0.1, 4: 0.2, 6: 0.5, 8: 0.5, 10: 0.4, 12: 0.3, 14: 0.2}


def steps_of(workdir):
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.steps


def state_at(workdir, step):
    with Checkpoints(workdir) as checkpoints:
        return value_of(checkpoints.restore_variables(PROGRAMS.state_shapes().variables, step))


def assert_same_run(one, other):
    """All of two runs but their times: checkpoints bit for bit, metrics, what is the best."""
    assert rows_of(one) == rows_of(other)
    assert steps_of(one) == steps_of(other)
    states = []
    for workdir in (one, other):
        with Checkpoints(workdir) as checkpoints:
            states.append(checkpoints.restore(PROGRAMS.state_shapes()))
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert read_config(one) == read_config(other)
    bests = [best_so_far(workdir, read_config(workdir)).best for workdir in (one, other)]
    assert bests[0] == bests[1]


def test_the_best_evaluated_state_is_kept_where_no_checkpoint_was_due(tmp_path, capsys):
    with scored(SCORES) as judged:
        run(tmp_path, BEST)
    assert steps_of(tmp_path) == [6, 8]  # of equal scores, the earlier
    values = {step: value for _, step, value in judged.calls}
    assert state_at(tmp_path, 6) == values[6]
    assert choose(tmp_path, BEST, [6, 8]) == (6, "eval/AP")
    said = capsys.readouterr().out
    assert "step 6  AP 0.500  AP50 1.000  loss 1.000  (best)\n" in said
    assert "step 8  AP 0.500  AP50 1.000  loss 1.000\n" in said
    assert describe_result(BEST, tmp_path) == [
        "best      step 6: AP 0.500  AP50 1.000  loss 1.000, on val, which chose this checkpoint "
        "(eval/AP 0.500)"
    ]


def test_without_a_metric_only_the_last_ones_are_kept(tmp_path):
    with scored(SCORES):
        run(tmp_path)
    assert steps_of(tmp_path) == [8]
    assert describe_result(CONFIG, tmp_path) == []


def killed(workdir, config, times):
    """A run that is killed so many times, each time after a checkpoint is written."""
    for _ in range(times):
        with killed_after_a_checkpoint(), pytest.raises(KeyboardInterrupt):
            run(workdir, config)
    run(workdir, config)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_killed_run_has_the_same_best_state(tmp_path, times):
    """Among them kills between a best state and the line with its score."""
    with scored(SCORES):
        run(tmp_path / "whole", BEST)
        killed(tmp_path / "killed", BEST, times)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_best_state_without_its_score_does_not_cost_the_one_before(tmp_path, monkeypatch):
    save = Checkpoints.save

    def save_and_die(self, state):
        save(self, state)
        self.wait()
        if state.step == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", save_and_die)
    with scored({2: 0.2, 4: 0.1, 6: 0.5}), pytest.raises(KeyboardInterrupt):
        run(tmp_path, BEST)
    assert steps_of(tmp_path) == [2, 6]
    assert choose(tmp_path, BEST, [2, 6]) == (2, "eval/AP")


def test_a_score_is_written_only_once_its_best_state_is_whole(tmp_path, monkeypatch):
    write, rows = arrays.write_arrays, {}

    def note(path, tree, origin):
        rows[int(tree.step)] = [row["step"] for row in rows_of(tmp_path) if "eval/AP" in row]
        write(path, tree, origin)

    monkeypatch.setattr(checkpoint, "write_arrays", note)
    with scored(SCORES):
        run(tmp_path, BEST)
    assert rows[2] == []
    assert rows[6] == [2, 4]


@pytest.mark.parametrize("evaluates", [0, 2])
def test_a_run_whose_last_checkpoint_is_damaged_stops_or_ends_as_the_whole_one(
    tmp_path, capsys, evaluates
):
    config = config_of(checkpoint_every=2, keep_checkpoints=3, eval_every=evaluates)
    with scored(SCORES):
        run(tmp_path / "whole", config)
        with contextlib.suppress(KeyboardInterrupt), killed_after_a_checkpoint(3):
            run(tmp_path / "run", config)
        assert steps_of(tmp_path / "run") == [2, 4, 6]
        spoil(tmp_path / "run" / "checkpoints" / "6")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(CheckpointError, match=r"that of step 4: train\.on_bad_checkpoint=last"):
            run(tmp_path / "run", config)
        assert sorted(tmp_path.rglob("*")) == before
        capsys.readouterr()
        mended = config_of(
            checkpoint_every=2,
            keep_checkpoints=3,
            eval_every=evaluates,
            on_bad_checkpoint="last_good",
        )
        run(tmp_path / "run", mended)
    said = capsys.readouterr().out
    assert "It is renamed to bad_6, and training resumes from step 4\n" in said
    assert "continuing after step 4 of 8" in said
    assert (tmp_path / "run" / "checkpoints" / "bad_6").is_dir()
    assert steps_of(tmp_path / "run") == steps_of(tmp_path / "whole")
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "whole")
    assert state_at(tmp_path / "run", 8) == state_at(tmp_path / "whole", 8)


def test_a_best_checkpoint_that_is_damaged_is_one_line_whatever_the_last(tmp_path):
    config = replace(BEST, train=replace(BEST.train, on_bad_checkpoint="last_good"))
    with scored(SCORES):
        run(tmp_path, config)
    spoil(tmp_path / "checkpoints" / "6")
    for checkpoint_of in ("best", 6):
        with Checkpoints(tmp_path) as checkpoints:
            step, _ = choose(tmp_path, config, checkpoints.steps, checkpoint_of)
            with pytest.raises(CheckpointError, match="The last good checkpoint is that of step 8"):
                checkpoints.restore_variables(PROGRAMS.state_shapes().variables, step)


@pytest.mark.parametrize(
    ("metric", "known"), [("eval/mAP", "eval/AP, "), ("eval/loss_pose", "eval/AP, eval/AP50, ")]
)
def test_a_metric_that_there_is_not_is_an_error(metric, known, tmp_path):
    """Before training, but for a loss, whose names are the detector's."""
    with scored(SCORES), pytest.raises(ConfigError) as caught:
        run(tmp_path, config_of(keep_best=metric))
    assert str(caught.value).startswith(
        f"train.keep_best={metric} is not a metric of this evaluation, which has {known}"
    )
    assert (tmp_path / "config.json").exists() == (metric == "eval/loss_pose")


def test_a_metric_that_is_given_later_counts_from_the_state_that_the_run_goes_on_from(tmp_path):
    with scored({2: 0.9, 4: 0.2, 8: 0.1, 12: 0.3}):
        run(tmp_path, config_of(steps=4))
        assert steps_of(tmp_path) == [4]
        longer = config_of(steps=10, keep_best="eval/AP")
        run(tmp_path, longer)
        assert steps_of(tmp_path) == [4, 10]
        assert choose(tmp_path, longer, [4, 10]) == (4, "eval/AP")
        with pytest.raises(ConfigError, match="has no best checkpoint"):
            choose(tmp_path, CONFIG, [4, 10], "best")


LONGER = {"keep_best": "eval/AP", "checkpoint_every": 2, "log_every": 2}


@pytest.mark.parametrize("times", [0, 1])
def test_a_run_that_goes_on_is_one_that_had_its_steps_from_the_start(tmp_path, times, capsys):
    with scored(SCORES):
        run(tmp_path / "whole", config_of(steps=14, **LONGER))
        run(tmp_path / "parts", config_of(steps=4, **LONGER))
        run(tmp_path / "parts", config_of(steps=8, **LONGER))
        capsys.readouterr()
        killed(tmp_path / "parts", config_of(steps=14, **LONGER), times)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert "from step 8 on, train.steps=14 (was 8)\n" in capsys.readouterr().out
    history = read_history(tmp_path / "parts")
    assert [(x.step, x.field, x.before, x.after) for x in history] == [
        *((4, "train.steps", 4, 8), (8, "train.steps", 8, 14))
    ]
    assert not (tmp_path / "whole" / "history.json").exists()


def test_a_run_goes_on_with_other_evaluations_and_checkpoints(tmp_path):
    with scored(SCORES) as judged:
        run(tmp_path, config_of(steps=4))
        judged.calls.clear()
        run(tmp_path, config_of(steps=10, eval_every=3, checkpoint_every=5, keep_checkpoints=3))
    assert [step for _, step, _ in judged.calls] == [6, 9, 10]
    assert steps_of(tmp_path) == [4, 5, 10]
    assert len(read_history(tmp_path)) == 4


def test_what_would_change_the_past_is_refused_and_changes_nothing(tmp_path):
    with scored(SCORES):
        run(tmp_path, config_of(steps=4))
        before = {path: path.read_bytes() for path in tmp_path.glob("*.json*")}
        for changed in (
            config_of(steps=8, batch_size=3),
            config_of(steps=3),
            replace_fields(config_of(steps=8), {"train.optimizer.milestones": (1, 80000)}),
        ):
            with pytest.raises(ConfigError, match=rf"^{tmp_path}: "):
                run(tmp_path, changed)
        with pytest.raises(ConfigError, match="the default pieces"):
            run(tmp_path, config_of(steps=8), optimizer=print)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.json*")} == before


PATIENT = config_of(steps=20, keep_best="eval/AP", patience=2)


def test_each_checkpoint_says_where_it_comes_from(tmp_path):
    with scored(SCORES):
        run(tmp_path, BEST)
        origin = read_origin(tmp_path)
        run(tmp_path, replace(BEST, train=replace(BEST.train, steps=12)))
    with Checkpoints(tmp_path) as checkpoints:
        first, last = (checkpoints.origin(step) for step in (6, 12))
    assert first == origin
    assert last == read_origin(tmp_path)
    assert first["config"] != last["config"]
    assert {**first, "config": last["config"]} == last
    assert first["data"] == describe_data(BEST, dataset_of(5), dataset_of(1, "val")).summary()


def test_a_run_goes_on_where_its_data_were_moved(tmp_path, capsys):
    with scored(SCORES):
        run(tmp_path / "whole")
        with killed_after_a_checkpoint(), pytest.raises(KeyboardInterrupt):
            run(tmp_path / "moved")
        moved = replace(CONFIG, data=replace(CONFIG.data, root="y"))
        run(tmp_path / "moved", moved)
    assert rows_of(tmp_path / "whole") == rows_of(tmp_path / "moved")
    assert state_at(tmp_path / "whole", 8) == state_at(tmp_path / "moved", 8)
    assert read_config(tmp_path / "moved") == moved
    assert [x.field for x in read_history(tmp_path / "moved")] == ["data.root"]
    assert "from step 4 on, data.root=y (was x)\n" in capsys.readouterr().out


def test_a_run_that_does_not_know_its_data_stays_where_it_is(tmp_path):
    with scored(SCORES):
        run(tmp_path)
        (tmp_path / "fingerprint.json").unlink()
        with pytest.raises(ConfigError, match=r"data\.root is 'x' there, 'y' here"):
            run(tmp_path, replace(CONFIG, data=replace(CONFIG.data, root="y")))


def test_other_data_stop_a_run_unless_it_may_go_on_with_them(tmp_path, capsys):
    def run_on(images, **fields):
        config = config_of(keep_best="eval/AP", steps=12, **fields)
        sets = dataset_of(5), dataset_of(images, "val")
        runs.run(config, tmp_path, build(config.model), *sets)

    with scored(SCORES):
        run(tmp_path, BEST)
        before = rows_of(tmp_path), read_config(tmp_path)
        with pytest.raises(ConfigError, match=r"evaluation set: 1 new image \(.2.\)\. Restore"):
            run_on(2)
        assert (rows_of(tmp_path), read_config(tmp_path)) == before
        assert best_so_far(tmp_path, BEST).best.step == 6
        run_on(2, on_changed_data="continue")
    said = capsys.readouterr().out
    assert "from step 8 on, the data differ: evaluation set: 1 new image ('2')\n" in said
    assert "fingerprint.evaluation" in [change.field for change in read_history(tmp_path)]
    # The scores of before are of other images: what counts is step 8's own, and those after it.
    assert best_so_far(tmp_path, config_of(keep_best="eval/AP")).best.step == 8


def test_evaluations_without_a_better_score_end_the_run(tmp_path, capsys):
    with scored(SCORES) as judged:
        run(tmp_path, PATIENT)
        assert judged.calls[-1][1] == 10  # the best is that of step 6
        assert steps_of(tmp_path) == [6, 10]
        end = (
            "training ended at step 10: 2 evaluations without a better eval/AP than 0.500 at step "
            "6 (train.patience=2)"
        )
        assert f"{end}\n" in capsys.readouterr().out
        rows, judged.calls[:] = rows_of(tmp_path), []
        run(tmp_path, PATIENT)
        assert (rows_of(tmp_path), judged.calls) == (rows, [])
        again = f"{tmp_path}: {end}; a larger value, or 0, continues it"
        assert describe_start(PATIENT, tmp_path, 10) == [again]
        assert f"{again}\n" in capsys.readouterr().out
        run(tmp_path, config_of(steps=20, keep_best="eval/AP", patience=3))
        assert judged.calls[-1][1] == 12
        run(tmp_path, config_of(steps=20, keep_best="eval/AP"))
        assert judged.calls[-1][1] == 20


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_killed_run_ends_as_early(tmp_path, times):
    with scored(SCORES):
        run(tmp_path / "whole", PATIENT)
        killed(tmp_path / "killed", PATIENT, times)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def scored_on_test(calls):
    return [value for name, _, value in calls if name == "test"]


@pytest.mark.parametrize(("config", "step"), [(BEST, 6), (CONFIG, 8)])
def test_the_test_set_is_scored_once_with_the_chosen_state(config, step, tmp_path, capsys):
    config = replace_fields(config, {"data.test_split": "held"})
    with scored(SCORES) as judged:
        for _ in range(2):
            run(tmp_path, config, test_set=dataset_of(1, "test"))
    values = {step: value for name, step, value in judged.calls if name == "val"}
    assert scored_on_test(judged.calls) == [values[step]]
    row = rows_of(tmp_path)[-1]
    assert row["step"] == 8
    assert row["test/step"] == step
    assert row["test/AP"] == 0  # of nothing found
    assert json.loads((tmp_path / "eval" / "test_detections.json").read_text()) == []
    line = describe_result(config, tmp_path)[-1]
    assert line.startswith(f"test      step {step}: AP 0.000")
    assert line.endswith(", on held")
    assert "scored before" not in capsys.readouterr().out


def test_a_test_set_that_was_scored_before_is_said_to_be(tmp_path, capsys):
    options = {"test_set": dataset_of(1, "test")}
    with scored(SCORES) as judged:
        run(tmp_path, config_of(steps=4), **options)
        run(tmp_path, **options)
    assert len(scored_on_test(judged.calls)) == 2
    assert "note: the test set was already scored at step 4" in capsys.readouterr().out


def test_a_test_set_needs_a_detector(tmp_path):
    config = replace_fields(
        CONFIG,
        {
            "train.scheme": "alternating",
            "train.alternating.steps": ({"trains": "rpn", "steps": 8},),
            "data.test_split": "held",
        },
    )
    with scored({}), pytest.raises(ConfigError, match=r"^data\.test_split=held cannot"):
        run(tmp_path, config, test_set=dataset_of(1, "test"))


def test_ones_own_trackers_get_every_line(tmp_path):
    class Kept:
        def __init__(self):
            self.rows = []

        def write(self, step, metrics):
            self.rows.append({"step": step, **metrics})

        def close(self):
            self.rows.append("closed")

    kept = Kept()
    with scored(SCORES):
        run(tmp_path, trackers=(kept,))
    assert kept.rows.pop() == "closed"
    for row in kept.rows:
        row.pop("train/images_per_second", None)
    assert kept.rows == rows_of(tmp_path)
    assert not (tmp_path / "tensorboard").exists()


def real(workdir, **train):
    """A run of configs/tiny.py with a constant learning rate, and its best state kept."""
    config = get_config()
    optimizer = replace(config.train.optimizer, schedule="constant")
    train = {"optimizer": optimizer, "keep_best": "eval/loss", "keep_checkpoints": 1, **train}
    config = replace(config, train=replace(config.train, **train))
    runs.run(config, workdir, build(config.model), *open_datasets(config))


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """Two runs of 6 steps: one that had them from the start, and one that had 4 at first."""
    folder = tmp_path_factory.mktemp("runs")
    real(folder / "whole", steps=6)
    real(folder / "parts", steps=4)
    real(folder / "parts", steps=6)
    return folder


def test_more_steps_give_the_run_that_had_them_from_the_start_bit_for_bit(longer):
    whole, parts = longer / "whole", longer / "parts"
    config = read_config(whole)
    assert read_config(parts) == config
    assert rows_of(parts) == rows_of(whole)
    like = compile_programs(build(config.model), config).state_shapes()
    states = []
    for workdir in (whole, parts):
        with Checkpoints(workdir) as checkpoints:
            assert checkpoints.steps[-1] == 6
            states.append(checkpoints.restore(like))
    assert len(jax.tree.leaves(states[0].opt_state)) > 10
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert json.loads((parts / "history.json").read_text())[0]["field"] == "train.steps"


def test_tensorboard_has_an_image_of_each_evaluation(longer):
    shown = [
        (event.step, value.image.width > 0)
        for event in events(longer / "whole")
        for value in event.summary.value
        if value.tag == "eval/detections"
    ]
    assert shown == [(2, True), (4, True), (6, True)]


@pytest.mark.slow
def test_a_real_run_that_is_killed_has_the_same_best_state(longer, tmp_path):
    with killed_after_a_checkpoint(), pytest.raises(KeyboardInterrupt):
        real(tmp_path, steps=6)
    real(tmp_path, steps=6)
    whole = longer / "whole"
    assert rows_of(tmp_path) == rows_of(whole)
    assert steps_of(tmp_path) == steps_of(whole)
    one, other = (jaxrcnn.load(folder) for folder in (tmp_path, whole))
    assert (one.step, one.best_by) == (other.step, other.best_by)
    jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)


def test_the_commands_take_the_best_state_and_say_so(longer, tmp_path, capsys):
    folder = longer / "whole"
    rows = {row["step"]: row["eval/loss"] for row in rows_of(folder) if "eval/loss" in row}
    best = min(rows, key=rows.__getitem__)
    model = jaxrcnn.load(folder)
    assert (model.step, model.best_by) == (best, "eval/loss")
    assert f"step {best} (best eval/loss)" in repr(model)
    assert jaxrcnn.load(folder, checkpoint="last").step == 6
    assert jaxrcnn.load(folder, checkpoint=6).step == 6
    capsys.readouterr()
    assert command(["evaluate", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"{folder}, step {best} (best eval/loss), on " in said
    assert "on the evaluation set, which chose this checkpoint\n" in said
    found = json.loads((folder / "eval" / f"step_{best}" / "metrics.json").read_text())
    assert found["eval/loss"] == pytest.approx(rows[best], abs=1e-6)
    image = tmp_path / "a.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(image)
    for words, step in (([], f"{best} (best eval/loss)"), (["--checkpoint", "last"], "6")):
        out = str(tmp_path / "found")
        assert command(["predict", str(folder), str(image), "--out", out, *words]) == 0
        step += " (best eval/loss)" if words and best == 6 else ""
        assert capsys.readouterr().out.startswith(f"checkpoint  step {step}\n")
    other = ["--config.data.num_eval_images", "3"]  # did not choose it
    assert command(["evaluate", str(folder), *other]) == 0
    assert "which chose" not in capsys.readouterr().out
