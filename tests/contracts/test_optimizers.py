"""Our own optimiser keeps the contract, and one that breaks a promise is found out."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

from jaxrcnn.config import Config, OptimizerConfig, TrainConfig
from jaxrcnn.training.optimizer import default_optimizer, with_rate
from tests.contracts import check_optimizer
from tests.slow import slow_but
from tests.tiny import MODEL

CONFIG = Config(
    model=MODEL,
    train=TrainConfig(optimizer=OptimizerConfig(learning_rate=0.01, warmup_steps=0)),
)
FIELDS = {
    "sgd": {},
    "adamw": {"name": "adamw", "clip_norm": 1.0},
    "accumulated": {"accumulate": 2, "schedule": "cosine"},
}


def config_with(**fields):
    optimizer = dataclasses.replace(CONFIG.train.optimizer, **fields)
    train = dataclasses.replace(CONFIG.train, optimizer=optimizer)
    return dataclasses.replace(CONFIG, train=train)


@pytest.mark.parametrize("name", slow_but(("accumulated",), FIELDS))
def test_our_optimizer_keeps_the_contract(name):
    check_optimizer(default_optimizer, config_with(**FIELDS[name]))


def plain(config, first_step):
    """Keeps every promise; those below break one each."""
    return optax.sgd(0.1)


def of_an_update(update):
    """A transformation without a state whose updates are made of the gradients."""
    return optax.GradientTransformation(
        lambda params: optax.EmptyState(), lambda g, state, params=None: (update(g), state)
    )


def a_number(config, first_step):
    return 0.1


class Grown(NamedTuple):
    count: jax.Array


def grows(config, first_step):
    return optax.GradientTransformation(
        lambda params: optax.EmptyState(), lambda g, state, params=None: (g, Grown(jnp.zeros(())))
    )


def float_count(config, first_step):
    return optax.GradientTransformation(
        lambda params: Grown(jnp.zeros((), jnp.int32)),
        lambda g, state, params=None: (g, Grown(state.count + 1.0)),
    )


def half_updates(config, first_step):
    return of_an_update(lambda g: jax.tree.map(lambda x: x.astype(jnp.bfloat16), g))


def infinite(config, first_step):
    return of_an_update(lambda g: jax.tree.map(lambda x: x / 0, g))


def nothing_moves(config, first_step):
    return optax.set_to_zero()


def rate_of_each(config, first_step):
    return with_rate(optax.sgd(0.1), lambda step: jnp.ones(2))


def endless_rate(config, first_step):
    return with_rate(optax.sgd(0.1), lambda step: 1 / (0.0 * step))


def negative_rate(config, first_step):
    return with_rate(optax.sgd(0.1), lambda step: -0.1 - 0.0 * step)


def test_a_good_optimizer_passes():
    check_optimizer(plain, CONFIG)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (a_number, "a transformation of optax"),
        (grows, "keeps its structure"),
        (float_count, "the state keeps its shapes and dtypes"),
        (half_updates, "updates have the shapes and dtypes"),
        (infinite, "updates are finite"),
        (nothing_moves, "something is trained"),
        (rate_of_each, "the rate is a scalar"),
        (endless_rate, "the rate is finite"),
        (negative_rate, "not negative"),
    ],
)
def test_a_broken_optimizer_is_found_out(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_optimizer(broken, CONFIG)


def test_an_optimizer_that_reads_the_first_step_while_traced_is_found_out():
    def reads(config, first_step):
        return optax.sgd(0.1 if first_step < 5 else 0.01)

    with pytest.raises(jax.errors.TracerBoolConversionError):
        check_optimizer(reads, CONFIG)
