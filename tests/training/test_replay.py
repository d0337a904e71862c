"""What a replay refuses and remarks; that it finds the operation is in tests/cli/test_replay.py."""

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.training.failure import write_failure
from jaxrcnn.training.finite import Taken
from jaxrcnn.training.pieces import own_pieces, write_pieces
from jaxrcnn.training.replay import Replay, remarks
from tests.cli import fork
from tests.steered import CONFIG, PROGRAMS, state_of
from tests.tiny import make_batch

METRICS = {"loss": np.float32(np.nan), "origin_place": -1, "origin_image": -1}


def write(workdir):
    taken = Taken(make_batch(), "joint", METRICS)
    write_failure(workdir, CONFIG, 3, state_of(2, 0.0), taken, "It diverged.", str)


def test_a_run_of_pieces_of_its_own_asks_for_them(tmp_path):
    write_pieces(tmp_path, own_pieces(fork.build(CONFIG.model)))
    write(tmp_path)
    with pytest.raises(ConfigError, match=r"roi_op tests\.cli\.fork\.first_pixels.*--pieces"):
        Replay(tmp_path / "failure")
    assert Replay(tmp_path, fork.build).failure.step == 3


def test_a_run_without_any_takes_none(tmp_path):
    write_pieces(tmp_path, {})
    write(tmp_path)
    assert Replay(tmp_path).folder == tmp_path / "failure"
    with pytest.raises(ConfigError, match="the default pieces"):
        Replay(tmp_path, fork.build)


def test_how_many_steps_before_were_left_out_too_is_no_difference(tmp_path):
    taken = Taken(make_batch(), "joint", {**METRICS, "skipped": 10, "loss_rpn_box": 2.0})
    write_failure(tmp_path, CONFIG, 3, state_of(2, 0.0), taken, "It diverged.", str)
    replay = Replay(tmp_path)
    again = {**METRICS, "skipped": 1, "loss_rpn_box": 2.5}
    replay.programs = PROGRAMS._replace(train_step=lambda *_: (None, again))
    assert replay.repeat() == {"loss_rpn_box": (2.0, 2.5)}


def test_a_batch_is_remarked_upon_only_where_it_is_unusual():
    batch = make_batch()
    assert remarks(batch) == []
    batch.images[0, 0, 0, 0] = np.inf
    batch.boxes[1, 1] = (5, 6, 5, 9)
    batch.boxes[0, 2] = 0  # padding
    assert remarks(batch) == [
        "the batch's images are not finite",
        "image 1 of the batch: ground-truth box 1 is empty (5.0, 6.0, 5.0, 9.0)",
    ]
