"""Which runs share their compiled programs, and that each still has its own seed and gate."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxrcnn.config import Config, OptimizerConfig, ProfileConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.ops.roi_align import roi_align
from jaxrcnn.runtime.xla import jit_once
from jaxrcnn.training.knobs import knobs_of, with_open_gate, with_shut_gate, without_knobs
from jaxrcnn.training.sharding import compile_programs
from tests.tiny import MODEL, change, make_batch

OPTIMIZER = OptimizerConfig(learning_rate=1e-3, warmup_steps=0)
TRACES = []


def counted_roi_align(*arguments):
    TRACES.append(1)
    return roi_align(*arguments)


def config_of(seed=0, **gate):
    model = change(MODEL, proposals=gate)
    return Config(seed, model, train=TrainConfig(batch_size=2, steps=9, optimizer=OPTIMIZER))


def test_knobs_are_the_fields_of_the_config():
    gate = {"stop_gradient": False, "pooling_gradient": 0.25, "open_after": 7, "open_over": 2}
    knobs = knobs_of(config_of(5, **gate))
    assert knobs._asdict() == {
        "seed": 5,
        "pooling_gradient": 0.25,
        "target_gradient": 1,
        "open_after": 7,
        "open_over": 2,
    }
    shut = knobs_of(config_of(pooling_gradient=0.5))
    assert (shut.pooling_gradient, shut.target_gradient) == (0, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"seed": 3}),
        ({"stop_gradient": False}, {"stop_gradient": False, "pooling_gradient": 0.0}),
        ({"stop_gradient": False}, {"stop_gradient": False, "open_after": 9, "open_over": 3}),
        ({}, {"stop_gradient": False, "pooling_gradient": 0.0, "target_gradient": 0.0}),
    ],
)
def test_runs_that_differ_in_knobs_are_one_program(one, other):
    assert without_knobs(config_of(**one)) == without_knobs(config_of(**other))


def test_runs_from_other_weights_are_one_program():
    config = config_of()
    started = dataclasses.replace(config, train=dataclasses.replace(config.train, init="DIR"))
    assert without_knobs(started) == without_knobs(config)


def test_a_run_that_is_profiled_is_the_same_program():
    profiled = dataclasses.replace(config_of(), profile=ProfileConfig(3, 5))
    assert without_knobs(profiled) == without_knobs(config_of())


@pytest.mark.parametrize("gate", [{"stop_gradient": False}, {"nms_iou": 0.5}])
def test_what_is_no_knob_stays(gate):
    assert without_knobs(config_of(**gate)) != without_knobs(config_of())


def test_a_shut_or_open_gate_is_all_that_changes():
    assert with_shut_gate(config_of(2, stop_gradient=False)) == config_of(2)
    narrow = config_of(2, pooling_gradient=0.0, target_gradient=0.5)
    assert with_open_gate(narrow) == config_of(2, stop_gradient=False)


def losses(config, steps=3):
    """Losses of a few steps, with the programs of a run of its own."""
    programs = compile_programs(build(config.model, roi_op=counted_roi_align), config)
    with jax.transfer_guard("disallow"):  # nothing moves to the device that is not sent there
        state, rows = programs.create_state(), []
        for step in range(steps):
            state, metrics = programs.train_step(state, programs.put_batch(make_batch(seed=step)))
            rows.append(metrics["loss"])
    return np.array(jax.device_get(rows))


def test_seeds_and_gates_are_traced_once_and_still_count():
    gate = {"stop_gradient": False}
    TRACES.clear()
    both, other_seed, late = (
        losses(config_of(**gate)),
        losses(config_of(1, **gate)),
        losses(config_of(**gate, open_after=1)),
    )
    assert len(TRACES) == 1
    shut = losses(config_of())
    assert len(TRACES) == 2
    assert other_seed[0] != both[0]
    np.testing.assert_array_equal(late[:2], shut[:2])  # the first opening shows a step later
    assert late[2] != shut[2]
    assert both[1] != shut[1]


def test_a_program_of_a_fixed_seed_gives_the_same_as_a_shared_one():
    from jaxrcnn.training.state import create_state

    config = dataclasses.replace(config_of(), seed=7)
    fixed = jit_once(create_state, static_argnums=(0, 1))(build(config.model), config)
    programs = compile_programs(build(config.model), config)
    jax.tree.map(np.testing.assert_array_equal, fixed, programs.create_state())
