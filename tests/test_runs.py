"""What a run checks and says before it trains; whole runs are in tests/test_train.py."""

import contextlib
import dataclasses
import os
import signal
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, EvalConfig, TrainConfig
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.detector import build
from jaxrcnn.runs import describe_start, first_state, run
from jaxrcnn.training.checkpoint import last_step
from jaxrcnn.training.errors import Interrupted, NonFiniteLossError
from jaxrcnn.training.failure import read_failure
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.state import TrainState
from tests import steered
from tests.tiny import MODEL, change, make_variables, write_model


def dataset_of_one():
    """An image of one class that is never read."""
    records = (make_record(1, "one", "", (16, 24), [[2, 2, 8, 8]], [1], [1]),)
    return Dataset("small", records, ("a",), (1,))


def test_a_run_that_goes_on_says_so_and_one_that_is_over_its_score(tmp_path):
    config = Config(train=TrainConfig(steps=20))
    assert describe_start(config, tmp_path, 0) == []
    assert describe_start(config, tmp_path, 10) == [f"{tmp_path}: continuing after step 10 of 20"]
    with MetricsWriter(tmp_path, 0) as writer:
        for step, score in ((10, 0.25), (20, 0.5)):
            writer.write(step, {"eval/AP": score, "eval/loss": 1.0})
    assert describe_start(config, tmp_path, 20) == [
        f"{tmp_path}: all 20 steps are done",
        "step 20  AP 0.500  loss 1.000",
    ]


def test_a_data_set_of_ones_own_has_as_many_classes_as_the_model(tmp_path):
    config = Config()  # of 80 classes
    message = r"^model.num_classes is 80, but small has 1 class: a; data.classes chooses among"
    with pytest.raises(ConfigError, match=message):
        run(config, tmp_path / "run", build(config.model), dataset_of_one(), dataset_of_one())
    assert not (tmp_path / "run").exists()


def config_from(folder, **fields):
    """Of a run that starts from a model's folder, which has three classes."""
    data = dataclasses.replace(Config().data, resize="torchvision")
    train = TrainConfig(init=str(folder), batch_size=1, **fields)
    return Config(model=MODEL, data=data, train=train, eval=EvalConfig(batch_size=1))


@pytest.mark.parametrize(
    ("fields", "model", "message"),
    [
        ({}, change(MODEL, roi={"op": "pool"}), "1 field: model.roi.op: pool here [|] align in"),
        ({}, change(MODEL, box_head={"channels": 8}), "box_head.channels: 8 here [|] 16 in"),
        ({"freeze": ("neck",)}, MODEL, "train.freeze: there is no layer 'neck'"),
        ({"init": ""}, change(MODEL, backbone={"norm": "frozen"}), "needs pretrained weights"),
        ({"init": "nowhere"}, MODEL, "nowhere: there is no such file or folder"),
        (
            {"init_strict": False},
            change(MODEL, box_head={"channels": 8}),
            r"weights does not fit this model: params.box_head.* is \(.*\) there",
        ),
    ],
)
def test_a_run_that_cannot_start_leaves_no_folder(fields, model, message, tmp_path):
    config = config_from(write_model(tmp_path / "model"))
    train = dataclasses.replace(config.train, **fields)
    config = dataclasses.replace(config, model=model, train=train)
    names = ("cat", "dog", "bird")
    dataset = dataclasses.replace(dataset_of_one(), class_names=names, category_ids=(1, 2, 3))
    with pytest.raises(ConfigError, match=message):
        run(config, tmp_path / "run", build(config.model), dataset, dataset)
    assert not (tmp_path / "run").exists()


def test_the_moving_average_starts_from_the_weights(tmp_path):
    config = config_from(write_model(tmp_path / "model"))
    drawn = jax.tree.map(jnp.asarray, make_variables(build(MODEL), seed=7))
    state = TrainState(jnp.int32(0), drawn, (), jax.tree.map(jnp.copy, drawn["params"]))
    programs, progress = mock.Mock(), mock.MagicMock()
    programs.create_state.return_value = state
    first = first_state(config, programs, progress, ("cat", "dog", "bird"))
    loaded = make_variables(build(MODEL))["params"]
    jax.tree.map(np.testing.assert_array_equal, first.variables["params"], loaded)
    jax.tree.map(np.testing.assert_array_equal, first.average, loaded)
    said = [call.args[0] for call in progress.message.call_args_list]
    assert said[0] == f"{tmp_path / 'model'}:"


def test_a_signal_behind_a_step_that_diverged_unseen_saves_the_state_before_it(
    tmp_path, monkeypatch
):
    """On an accelerator, which has begun a step before the loss of the one before is looked at."""
    monkeypatch.setattr("jaxrcnn.training.loop.runs_ahead", lambda: True)

    def train_step(state, batch, stage, *_):
        new, metrics = steered.train_step(state, batch, stage)
        if new.step == 3:
            signal.raise_signal(signal.SIGTERM)
            new, metrics = state, {**metrics, "loss": np.float32(np.nan)}
        names = ("origin_place", "origin_image", "skipped")
        bad = (4, -1, 1) if new is state else (-1, -1, 0)
        return new, {**metrics, **dict(zip(names, np.int32(bad), strict=True))}

    programs = steered.PROGRAMS._replace(train_step=steered.Plain(train_step))
    monkeypatch.setattr("jaxrcnn.run_start.compile_programs", lambda *_: programs)
    with pytest.raises(NonFiniteLossError, match=r"^step 3: .* Checkpoint 2 holds") as caught:
        steered.run(tmp_path, steered.config_of(log_every=8, eval_every=0))
    assert caught.value.step == read_failure(tmp_path).step == 3
    assert last_step(tmp_path) == 2


def test_a_run_whose_output_nobody_reads_any_more_saves_its_state(tmp_path):
    config = steered.config_of(log_every=1)
    reader, writer = os.pipe()

    class Leaves:
        def write(self, step, _):
            if step == 3:
                os.close(reader)

        def close(self):
            pass

    with steered.scored({}):
        steered.run(tmp_path / "whole", config)
        with (
            os.fdopen(writer, "w") as output,
            contextlib.redirect_stdout(output),
            pytest.raises(Interrupted, match=r"^SIGPIPE: saved step 3; ") as caught,
        ):
            steered.run(tmp_path / "left", config, trackers=[Leaves()])
        assert caught.value.exit_code == 141  # as a shell has it for `yes | head`
        assert last_step(tmp_path / "left") == 3
        steered.run(tmp_path / "left", config)
    assert steered.rows_of(tmp_path / "left") == steered.rows_of(tmp_path / "whole")
