"""Runs side by side against each run alone."""

import dataclasses
import os
import signal
from unittest import mock

import jax
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, DataConfig, EvalConfig, OptimizerConfig, TrainConfig
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.detector import build
from jaxrcnn.runs import run
from jaxrcnn.study import side_by_side
from jaxrcnn.study.side_by_side import (
    Logs,
    compile_side_by_side,
    diverged_before,
    run_side_by_side,
)
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.errors import Interrupted
from jaxrcnn.training.failure import read_failure
from jaxrcnn.training.lock import locked
from jaxrcnn.training.pieces import write_pieces
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.watchdog import Watchdog
from jaxrcnn.training.workdir import claim
from tests.cli import fork
from tests.killed import killed_after_a_checkpoint
from tests.steered import rows_of
from tests.tiny import MODEL, change, make_batch

WIDTHS = (0.0, 0.25, 1.0)
CONFIG = Config(
    model=change(MODEL, proposals={"stop_gradient": False, "target_gradient": 0.0}),
    data=DataConfig(
        format="shapes", short_side=64, long_side=64, num_train_images=4, num_eval_images=2
    ),
    train=TrainConfig(
        batch_size=2,
        steps=4,
        log_every=1,
        eval_every=2,
        checkpoint_every=2,
        optimizer=OptimizerConfig(learning_rate=0.01, warmup_steps=0, milestones=(), ema_decay=0.5),
    ),
    eval=EvalConfig(batch_size=2, images=0),
)
CONFIG = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, num_classes=4))


def with_width(width, config=CONFIG):
    return dataclasses.replace(
        config, model=change(config.model, proposals={"pooling_gradient": width})
    )


@pytest.fixture(scope="module")
def sets():
    return open_datasets(CONFIG)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, sets):
    folder = tmp_path_factory.mktemp("sweep")
    configs = {folder / f"{width:g}": with_width(width) for width in WIDTHS}
    assert run_side_by_side(configs, folder / "together", *sets) == {}
    return folder


@pytest.mark.slow
def test_each_is_as_a_run_alone(finished, sets, tmp_path):
    config = with_width(0.25)
    run(config, tmp_path / "run", build(config.model), *sets)
    ours, alone = rows_of(finished / "0.25"), rows_of(tmp_path / "run")
    assert [row.keys() for row in ours] == [row.keys() for row in alone]
    for row, other in zip(ours, alone, strict=True):
        losses = [name for name in row if "loss" in name or "gate" in name]
        assert [row[k] for k in losses] == pytest.approx([other[k] for k in losses], rel=2e-3)


@pytest.mark.slow
def test_each_has_its_own_gate_and_goes_its_own_way(finished):
    rows = {width: rows_of(finished / f"{width:g}") for width in WIDTHS}
    for width in WIDTHS:
        assert {row["train/gate_pooling"] for row in rows[width] if "train/loss" in row} == {width}
    losses = {width: [row.get("train/loss") for row in rows[width]] for width in WIDTHS}
    assert losses[0.0][0] == pytest.approx(losses[1.0][0], rel=1e-5)  # the same first batch
    assert len({tuple(values) for values in losses.values()}) == 3


@pytest.mark.slow
def test_the_end_is_a_checkpoint_of_each_run(finished):
    for width in WIDTHS:
        with Checkpoints(finished / f"{width:g}") as checkpoints:
            assert checkpoints.steps == [4]


def test_a_folder_of_a_sweep_is_not_shared_with_another_run(sets, tmp_path):
    configs = {tmp_path / f"{width:g}": with_width(width) for width in WIDTHS}
    with (
        locked(tmp_path / "0.25", print),
        pytest.raises(ConfigError, match=r"0\.25 is in use by process"),
    ):
        run_side_by_side(configs, tmp_path / "together", *sets)
    assert not list(tmp_path.glob("*/*.json"))


def test_the_steps_of_a_sweep_are_watched(sets, tmp_path, monkeypatch):
    configs = {tmp_path / f"{width:g}": with_width(width) for width in WIDTHS}
    watched = []

    class Seen(Watchdog):
        def __enter__(self):
            watched.append(self._multiple)
            return super().__enter__()

    class Stopped(Exception):
        """In place of steps."""

    monkeypatch.setattr(side_by_side, "Watchdog", Seen)
    monkeypatch.setattr(side_by_side.Loop, "run", mock.Mock(side_effect=Stopped))
    with pytest.raises(Stopped):
        run_side_by_side(configs, tmp_path / "together", *sets)
    assert watched == [with_width(0).train.watchdog] != [0]


@pytest.mark.slow
def test_a_killed_sweep_ends_as_if_it_had_not_been(finished, sets, tmp_path):
    configs = {tmp_path / f"{width:g}": with_width(width) for width in WIDTHS}
    with killed_after_a_checkpoint(), pytest.raises(KeyboardInterrupt):
        run_side_by_side(configs, tmp_path / "together", *sets)
    assert run_side_by_side(configs, tmp_path / "together", *sets) == {}
    for width in WIDTHS:
        assert rows_of(tmp_path / f"{width:g}") == rows_of(finished / f"{width:g}")


@pytest.mark.slow
def test_a_stopped_sweep_ends_as_if_it_had_not_been(finished, sets, tmp_path, monkeypatch):
    configs = {tmp_path / f"{width:g}": with_width(width) for width in WIDTHS}
    together, add = tmp_path / "together", Logs.add

    def stop_and_add(self, metrics, padded):
        os.kill(os.getpid(), signal.SIGTERM)
        add(self, metrics, padded)

    with monkeypatch.context() as patch:
        patch.setattr(Logs, "add", stop_and_add)
        with pytest.raises(Interrupted, match="SIGTERM: saved step 1"):
            run_side_by_side(configs, together, *sets)
    assert run_side_by_side(configs, together, *sets) == {}
    for width in WIDTHS:
        assert rows_of(tmp_path / f"{width:g}") == rows_of(finished / f"{width:g}")


@pytest.mark.slow
def test_one_that_diverges_leaves_the_others_alone(finished, sets, tmp_path, monkeypatch):
    """The middle run's loss is made infinite in its second step."""
    compiled = compile_side_by_side

    def compile_with_a_fault(*arguments):
        programs = compiled(*arguments)

        def step(state, batch, stage, skipped=None):
            counts = () if skipped is None else (skipped,)
            state, metrics = programs.train_step(state, batch, stage, *counts)
            if int(state.step) == 2:
                loss, skipped = (metrics[name].at[1] for name in ("loss", "skipped"))
                metrics |= {"loss": loss.add(jax.numpy.inf), "skipped": skipped.set(1)}
            return state, metrics

        faulty = mock.Mock(
            side_effect=step,
            is_ready=programs.train_step.is_ready,
            compile=programs.train_step.compile,
        )
        return programs._replace(train_step=faulty)

    monkeypatch.setattr("jaxrcnn.study.side_by_side.compile_side_by_side", compile_with_a_fault)
    configs = {tmp_path / f"{width:g}": with_width(width) for width in WIDTHS}
    (failure,) = (failures := run_side_by_side(configs, tmp_path / "together", *sets)).values()
    assert list(failures) == [tmp_path / "0.25"]
    assert failure.step == 2
    assert "step 2: loss is not finite" in failure.message
    assert failure.message.endswith(f"jaxrcnn replay {tmp_path / '0.25' / 'failure'}")
    assert read_failure(tmp_path / "0.25").config == with_width(0.25)
    for width in (0.0, 1.0):
        assert rows_of(tmp_path / f"{width:g}") == rows_of(finished / f"{width:g}")
    assert [row["step"] for row in rows_of(tmp_path / "0.25")] == [1, 2]
    assert diverged_before(tmp_path / "0.25").step == 2
    assert diverged_before(tmp_path / "1") is None


@pytest.mark.slow
def test_together_under_a_vmap_is_as_one_by_one(sets):
    configs = [with_width(width) for width in WIDTHS]
    detector = build(CONFIG.model)
    programs = compile_programs(detector, configs[0])
    batch = programs.put_batch(make_batch(seed=3))
    losses = []
    for at_once in (1, 3):
        state = programs.create_state()
        states = jax.tree.map(lambda x: jax.numpy.stack([x] * 3), state)._replace(step=state.step)
        step = compile_side_by_side(detector, configs, programs, at_once).train_step
        for _ in range(3):
            states, metrics = step(states, batch, "joint")
        losses.append(metrics["loss"])
        assert int(states.step) == 3
    assert len(set(losses[0].tolist())) == 3
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


def test_runs_of_other_pieces_do_not_go_on(sets, tmp_path):
    folder, config = tmp_path / "0", with_width(0.0)
    claim(folder, config)
    write_pieces(folder, {})
    with pytest.raises(ConfigError, match=r"not with roi_op tests.cli.fork.first_pixels"):
        run_side_by_side({folder: config}, tmp_path / "together", *sets, fork.build)


def test_runs_that_differ_in_more_than_their_gates_are_refused():
    other = dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, steps=5))
    programs = compile_programs(build(CONFIG.model), CONFIG)
    with pytest.raises(ValueError, match="differ in more"):
        compile_side_by_side(build(CONFIG.model), [CONFIG, other], programs)
