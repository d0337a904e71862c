import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import Config, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training.knobs import knobs_of
from jaxrcnn.training.state import TrainState, create_state, eval_variables
from tests.tiny import MODEL

CONFIG = Config(
    seed=3, model=MODEL, train=TrainConfig(optimizer=OptimizerConfig(name="adamw", ema_decay=0.5))
)


@pytest.fixture(scope="module")
def create():
    program = jax.jit(lambda knobs, draw: create_state(build(MODEL), CONFIG, knobs, draw))
    return lambda seed=CONFIG.seed, draw=0: program(
        knobs_of(dataclasses.replace(CONFIG, seed=seed)), draw
    )


def kernels(state):
    """All kernels in one row."""
    leaves = jax.tree_util.tree_leaves_with_path(state.variables["params"])
    return np.concatenate([np.ravel(x) for path, x in leaves if path[-1].key == "kernel"])


def test_the_average_begins_as_a_copy_and_the_moments_at_zero(create):
    state = create()
    assert state.step == 0
    assert state.step.dtype == jnp.int32
    jax.tree.map(np.testing.assert_array_equal, state.average, state.variables["params"])
    moments = [x for x in jax.tree.leaves(state.opt_state) if x.ndim == 4]
    assert moments
    assert not any(map(np.any, moments))


def test_seed_and_draw_decide_the_parameters_and_nothing_else_does(create):
    one, same, *others = (kernels(create(*x)) for x in ((3, 0), (3, 0), (4, 0), (3, 1), (3, 2)))
    np.testing.assert_array_equal(one, same)
    drawn = [one, *others]
    for i, x in enumerate(drawn):
        for y in drawn[i + 1 :]:
            assert np.mean(x == y) < 0.01


def test_no_average_is_kept_unless_it_is_asked_for():
    config = dataclasses.replace(CONFIG, train=TrainConfig())
    shapes = jax.eval_shape(lambda: create_state(build(MODEL), config))
    assert shapes.average is None


def test_the_average_is_evaluated_where_there_is_one():
    variables = {"params": "of the last step", "constants": "the same"}
    state = TrainState(jnp.int32(1), variables, opt_state=None, average="averaged")
    assert eval_variables(state) == {"params": "averaged", "constants": "the same"}
    assert eval_variables(state._replace(average=None)) is variables
