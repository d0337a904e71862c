"""Optimisers of a run."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from configs.tiny import get_config
from jaxrcnn.config import Config
from jaxrcnn.detector import build
from jaxrcnn.training.optimizer import Optimizer, build_optimizer
from tests.contracts.shared import check_static, quick_jit
from tests.tiny import make_variables


def check_optimizer(optimizer: Optimizer, config: Config | None = None) -> None:
    """Check an optimiser: what it makes, its updates, and that its state can be saved.

    Args:
        optimizer: of a run, (config, first_step) -> a transformation of optax.
        config: of the run, by default configs/tiny.py's.
    """
    check_static(optimizer)
    config = get_config() if config is None else config
    made = optimizer(config, 0)
    assert hasattr(made, "init"), "it makes a transformation of optax, with init and update"
    assert hasattr(made, "update"), "it makes a transformation of optax, with init and update"
    params = jax.tree.map(jnp.asarray, make_variables(build(config.model))["params"])

    def update(step: Any, state: Any, gradients: Any) -> Any:
        transformation = build_optimizer(config, step, optimizer)
        updates, state = transformation.update(gradients, state, params)
        return updates, state, getattr(optimizer(config, step), "rate", jnp.zeros_like)(step)

    state = quick_jit(build_optimizer(config, 0, optimizer).init)(params)
    gradients = jax.tree.map(jnp.ones_like, params)
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), (params, state))
    new = jax.eval_shape(update, jnp.int32(0), state, gradients)
    _check_rate(new[2], shape=True)
    same = jax.tree.structure(new[1]) == jax.tree.structure(state)
    assert same, "the state keeps its structure, or no checkpoint can be read"
    after = jax.tree.map(lambda x: (x.shape, x.dtype), new[:2])
    assert after[0] == shapes[0], "updates have the shapes and dtypes of the parameters"
    assert after[1] == shapes[1], "the state keeps its shapes and dtypes"
    run, moved = quick_jit(update), False
    for step in range(2 * config.train.optimizer.accumulate):
        updates, state, rate = run(jnp.int32(step), state, gradients)
        finite = all(jnp.isfinite(x).all() for x in jax.tree.leaves(updates))
        assert finite, "updates are finite"
        _check_rate(rate)
        moved = moved or optax.tree.norm(updates) > 0
    assert moved, "something is trained"


def _check_rate(rate: Any, shape: bool = False) -> None:
    if shape:
        assert rate.shape == (), "the rate is a scalar"
    else:
        assert jnp.isfinite(rate), "the rate is finite"
        assert rate >= 0, "the rate is not negative"
