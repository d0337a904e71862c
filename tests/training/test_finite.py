"""Steps that are not finite: the rule by itself, and a real step with a poisoned batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrcnn.config import Config, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training.divergence import PLACES
from jaxrcnn.training.finite import SKIPPED, LastSteps, guard, most_skipped
from jaxrcnn.training.knobs import knobs_of
from jaxrcnn.training.optimizer import chosen
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.state import create_state
from jaxrcnn.training.step import train_step
from tests.tiny import MODEL, change, make_batch

STOP = Config(train=TrainConfig(on_nonfinite="stop"))
SKIP = Config(train=TrainConfig(on_nonfinite="skip", max_skipped=3))


def follow(config, flags):
    """What `guard` says of steps that are finite or not: (applied, steps done, count) of each."""
    step, skipped, told = jnp.int32(7), jnp.int32(0), []
    for finite in flags:
        applied, step, skipped = guard(config, step, jnp.bool_(finite), skipped)
        told.append((bool(applied), int(step), int(skipped)))
    return told


def test_a_run_that_stops_stays_before_the_first_bad_step_whatever_comes_after():
    assert most_skipped(STOP) == 1
    assert follow(STOP, [True, False, True, True]) == [
        *((True, 8, 0), (False, 8, 1), (False, 8, 1), (False, 8, 1))
    ]


def test_a_run_that_skips_goes_on_until_so_many_in_a_row():
    assert follow(SKIP, [False, False, True, False, False, False, True, False]) == [
        *((False, 8, 1), (False, 9, 2), (True, 10, 0)),
        *((False, 11, 1), (False, 12, 2), (False, 12, 3)),  # the last is not done
        *((False, 12, 3), (False, 12, 3)),
    ]


def test_choosing_keeps_bits_of_either():
    new, old = {"a": jnp.float32([1, jnp.nan])}, {"a": jnp.float32([-0.0, 3])}
    for applied, wanted in ((True, new), (False, old)):
        found = chosen(jnp.bool_(applied), new, old)
        assert np.asarray(found["a"]).tobytes() == np.asarray(wanted["a"]).tobytes()


def test_the_last_steps_are_those_that_can_still_be_asked_for():
    last = LastSteps(SKIP)
    assert last.counts == ()
    for step, count in enumerate((0, 1, 2, 3, 3), 1):
        last.add(step, f"state {step}", f"batch {step}", "joint", {SKIPPED: np.int32(count)})
        assert last.counts == (count,)
        assert last.state == f"state {step}"
        assert list(last.taken) == [max(step - 1, 1), step][step == 1 :]
        if step == 4:
            assert not last.ends(3)
            assert last.ends(4)
    assert last.taken[4].batch == "batch 4"
    assert not last.ends(5)  # it was said


def test_of_runs_side_by_side_each_ends_once():
    last = LastSteps(STOP)
    told = []
    for step, counts in enumerate(([0, 0], [0, 1], [0, 1], [1, 1], [1, 1])):
        last.add(step, None, None, "joint", {SKIPPED: np.int32(counts)})
        told.append(last.ends(step))
    assert told == [False, True, False, True, False]


def test_a_step_of_ones_own_need_not_count():
    last = LastSteps(STOP)
    last.add(1, None, None, "joint", {"loss": np.nan})
    assert last.counts == ()
    assert not last.ends(1)


def bytes_of(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def poisoned(seed):
    batch = make_batch(seed=seed)
    batch.images[1, 3, 3, 0] = np.nan
    return batch


@pytest.mark.slow
def test_a_poisoned_step_changes_nothing_of_the_state():
    """With batch norm, an average of the parameters, and gradients that are accumulated."""
    optimizer = OptimizerConfig(
        learning_rate=1e-3, warmup_steps=0, milestones=(), ema_decay=0.9, accumulate=2
    )
    train = TrainConfig(
        batch_size=2, steps=20, on_nonfinite="skip", max_skipped=2, optimizer=optimizer
    )
    config = Config(model=change(MODEL, backbone={"norm": "batch"}), train=train)
    programs = compile_programs(build(config.model), config)
    state, counts, told = programs.create_state(), (), []
    for seed, bad in enumerate((0, 1, 0, 0, 1, 1, 0)):
        before = bytes_of(state[1:])
        step = int(state.step)
        batch = poisoned(seed) if bad else make_batch(seed=seed)
        state, metrics = programs.train_step(state, programs.put_batch(batch), "joint", *counts)
        counts = (metrics[SKIPPED],)
        told.append((before == bytes_of(state[1:]), int(state.step) - step, int(*counts)))
        assert np.isnan(metrics["loss"]) == bad
        if bad:
            assert list(PLACES)[int(metrics["origin_place"])] == "features"
    assert told == [
        *((False, 1, 0), (True, 1, 1), (False, 1, 0), (False, 1, 0)),
        *((True, 1, 1), (True, 0, 2), (True, 0, 2)),  # the limit: even a good one changes nothing
    ]
    assert int(state.opt_state.gradient_step) == 1  # of three good steps
    assert int(state.opt_state.mini_step) == 1


def wild(config, first_step):
    """An optimiser whose update is not finite although the gradient is."""
    return optax.scale(np.inf)


@pytest.mark.slow
def test_an_optimiser_of_ones_own_may_be_what_is_not_finite():
    detector, config = build(MODEL), Config(model=MODEL, train=TrainConfig(batch_size=2))
    state = create_state(detector, config, optimizer=wild)
    step = jax.jit(train_step, static_argnums=(0, 1), static_argnames=("stage", "optimizer"))
    new, metrics = step(detector, config, state, make_batch(), knobs_of(config), optimizer=wild)
    assert list(PLACES)[int(metrics["origin_place"])] == "parameters"
    assert np.isfinite(metrics["loss"])
    assert int(metrics[SKIPPED]) == 1
    assert bytes_of(new) == bytes_of(state)
