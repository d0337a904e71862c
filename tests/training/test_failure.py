"""The folder that repeats a step: written, read again, kept and replaced."""

import json
import pickle
import shutil
from unittest import mock

import jax
import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.training import hosts
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.errors import CheckpointError, NonFiniteLossError
from jaxrcnn.training.failure import read_failure, recorded_failure, write_failure
from jaxrcnn.training.finite import LastSteps, Taken
from jaxrcnn.training.pieces import Piece, write_pieces
from jaxrcnn.types import Proposals
from tests.steered import CONFIG, state_of
from tests.tiny import make_batch

METRICS = {
    "loss": np.float32(np.nan),
    "loss_box_reg": np.float32(0.1),
    "gradient_norm": np.float32(-np.inf),
    "origin_place": np.int32(4),
    "origin_image": np.int32(30),
    "origin_box": np.int32(5),
    **{f"origin_{name}": np.float32(k) for k, name in enumerate(("x0", "y0", "x1", "y1"))},
    "skipped": np.int32(1),
    "diagnostics/width/1": np.float32(1),
}
BATCH = make_batch(seed=3)._replace(image_weights=np.float32([1, 0]))
GIVEN = BATCH._replace(
    proposals=Proposals(np.ones((2, 5, 4)), np.ones((2, 5)), np.ones((2, 5), bool)),
    extra={"mask": np.arange(6).reshape(2, 3)},
)


def name_of(index):
    return f"<{index}>.jpg"


def write(workdir, step=12, batch=BATCH, stage="joint"):
    taken = Taken(batch, stage, METRICS)
    return write_failure(
        workdir, CONFIG, step, state_of(step - 1, 2.5), taken, "It diverged.", name_of
    )


@pytest.mark.parametrize(("batch", "stage"), [(BATCH, "joint"), (GIVEN, "fast_rcnn")])
def test_what_is_written_is_read(tmp_path, batch, stage):
    assert write(tmp_path, batch=batch, stage=stage).endswith(
        f"jaxrcnn replay {tmp_path / 'failure'}"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"failure"}
    for folder in (tmp_path, tmp_path / "failure"):
        failure = read_failure(folder)
        assert (failure.config, failure.step, failure.stage) == (CONFIG, 12, stage)
        assert failure.images == ("<30>.jpg", "")  # the second is padding
        assert jax.tree.structure(failure.batch) == jax.tree.structure(batch)
        jax.tree.map(np.testing.assert_array_equal, failure.batch, batch)
        assert np.isnan(failure.metrics["loss"])
        assert failure.metrics["gradient_norm"] == -np.inf
        assert np.float32(failure.metrics["loss_box_reg"]) == np.float32(0.1)
    with Checkpoints(tmp_path / "failure") as checkpoints:
        state = checkpoints.restore(state_of(0, 0.0))
    assert (int(state.step), float(state.variables["params"]["box_head"]["w"])) == (11, 2.5)


def test_a_person_can_read_what_happened(tmp_path):
    write(tmp_path)
    tree = json.loads((tmp_path / "failure/failure.json").read_text())
    assert tree["message"] == "It diverged."
    assert tree["first_not_finite"] == {
        "tensor": "box_deltas",
        "where": "first seen in the box head's box deltas for image <30>.jpg, RoI 5 at "
        "(0.0, 1.0, 2.0, 3.0)",
        "image": "<30>.jpg",
    }
    assert tree["metrics"]["loss"] == "nan"
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(CONFIG.seed), 1), 11)
    assert tree["key"] == jax.random.key_data(key).tolist()
    assert tree["versions"]["jax"] == jax.__version__


def test_only_the_pieces_of_the_step_are_named(tmp_path):
    own = {name: Piece(f"my.{name}", None) for name in ("roi_op", "optimizer", "train_transforms")}
    write_pieces(tmp_path, own)
    assert write(tmp_path).endswith("failure --pieces ... (as in training)")
    assert json.loads((tmp_path / "failure/pieces.json").read_text()).keys() == {
        *("roi_op", "optimizer")
    }


def test_the_same_step_replaces_its_folder_and_another_is_kept(tmp_path):
    for step in (5, 5, 9, 5, 9):
        write(tmp_path, step)
        assert read_failure(tmp_path).step == step
    assert {path.name for path in tmp_path.iterdir()} == {*("failure", "failure_step_5")} or {
        path.name for path in tmp_path.iterdir()
    } == {*("failure", "failure_step_5", "failure_step_9")}
    assert read_failure(tmp_path / "failure_step_5").step == 5


def test_a_folder_that_cannot_be_written_is_said_and_leaves_none(tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez_compressed", mock.Mock(side_effect=OSError(28, "No space")))
    assert "could not be written" in (said := write(tmp_path))
    assert "No space" in said
    assert not (tmp_path / "failure").exists()


def spoil(folder, fault):
    if fault == "cut":
        path = folder / "batch.npz"
        path.write_bytes(path.read_bytes()[:-40])
    elif fault == "no batch":
        (folder / "batch.npz").unlink()
    elif fault == "no config":
        (folder / "config.json").unlink()
    elif fault == "list":
        (folder / "failure.json").write_text("[1]")
    elif fault == "torn":
        (folder / "failure.json").write_text('{"step": 1')
    else:
        shutil.rmtree(folder)


@pytest.mark.parametrize("fault", ["cut", "no batch", "no config", "list", "torn", "gone"])
def test_a_damaged_folder_is_one_line(tmp_path, fault):
    write(tmp_path)
    spoil(tmp_path / "failure", fault)
    with pytest.raises(ConfigError, match="failure") as caught:
        read_failure(tmp_path / "failure")
    assert "\n" not in str(caught.value)


class Kept:
    """In place of the checkpoints."""

    def __init__(self, error=None):
        self.error, self.calls = error, []

    def save(self, state):
        self.calls.append(int(state.step))

    def wait(self):
        self.calls.append("wait")
        if self.error:
            raise self.error


def diverge(workdir, kept, step=12):
    last = LastSteps(CONFIG)
    last.add(12, state_of(11, 1.0), BATCH, "joint", METRICS)
    with recorded_failure(workdir, CONFIG, last, kept, name_of):
        raise NonFiniteLossError(step, "step 12: loss is not finite.")


def test_a_run_that_diverges_saves_its_state_and_says_where_everything_is(tmp_path):
    kept = Kept()
    with pytest.raises(NonFiniteLossError) as caught:
        diverge(tmp_path, kept)
    assert kept.calls == [11, "wait"]
    assert str(caught.value) == (
        "step 12: loss is not finite. Checkpoint 11 holds the state before this step. To repeat "
        f"this step and find the operation, run: jaxrcnn replay {tmp_path / 'failure'}"
    )
    assert (caught.value.step, caught.value.exit_code) == (12, 3)
    assert "To repeat" not in read_failure(tmp_path).message


def test_a_state_that_cannot_be_saved_does_not_hide_why_the_run_ends(tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"could not be saved \(disk full\)\. To repeat"):
        diverge(tmp_path, Kept(CheckpointError("disk full")))


def test_a_step_that_is_no_more_there_leaves_no_folder(tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"step 12: loss is not finite\.$"):
        diverge(tmp_path, Kept(), step=3)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def second_of_two(monkeypatch):
    """As the second of two processes; what it asks of the first, which has written the folder."""
    asked = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(hosts, "client", mock.Mock())
    monkeypatch.setattr(hosts, "_receive", lambda key, *_: asked.append(key) or pickle.dumps(False))
    return asked


def test_a_process_waits_until_the_first_one_has_written_the_folder(tmp_path, second_of_two):
    """If it ended sooner, the first would end with it, in the middle of its writing."""
    assert write(tmp_path).startswith("To repeat this step")
    assert len(second_of_two) == 1
    assert not list(tmp_path.iterdir())


def test_processes_write_the_folder_together_even_if_the_state_cannot_be_saved(
    tmp_path, second_of_two
):
    with pytest.raises(NonFiniteLossError, match=r"could not be saved \(disk full\)\. To repeat"):
        diverge(tmp_path, Kept(CheckpointError("disk full")))
    assert len(second_of_two) == 1
