"""By how much a save holds up training, with the state of a ResNet-50 FPN detector."""

import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import Config
from jaxrcnn.detector import build
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.sharding import compile_programs

SAVES = 5


def make_state():
    """The state of the default config, of numbers that compress as trained ones do."""
    config = Config()
    shapes = compile_programs(build(config.model), config).state_shapes()
    rng = np.random.default_rng(0)

    def draw(x):
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return jnp.zeros(x.shape, x.dtype)
        return jax.device_put(rng.standard_normal(x.shape, np.float32))

    return jax.tree.map(draw, shapes)


@jax.jit
def step(x):
    """As a training step: a fraction of a second of products on all cores."""
    return jax.lax.fori_loop(0, 12, lambda _, y: jnp.tanh(y @ x), x)


def steps_per_second(x, seconds, more=lambda: False):
    """How many steps a second, for so long and as long as `more` says so."""
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or more():
        jax.block_until_ready(step(x))
        done += 1
    return done / (time.perf_counter() - began)


def _is_running(background):
    return not background.done()


@pytest.mark.soak
def test_a_save_holds_up_training_for_a_moment(tmp_path, capsys):
    """Prints what a save costs; the bounds are generous, since machines are busy."""
    state = make_state()
    megabytes = sum(x.nbytes for x in jax.tree.leaves(state)) / 1e6
    x = jnp.asarray(np.random.default_rng(1).standard_normal((1024, 1024), np.float32) / 64)
    jax.block_until_ready(step(x))
    blocked, wrote, ratios = [], [], []
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for number in range(SAVES):
            alone = steps_per_second(x, 3)
            state = state._replace(step=jnp.int32(number + 1))
            began = time.perf_counter()
            checkpoints.save(state)
            blocked.append(time.perf_counter() - began)
            background = checkpoints._background._begun
            beside = steps_per_second(x, 0, functools.partial(_is_running, background))
            wrote.append(time.perf_counter() - began)
            ratios.append(beside / alone)
    block, write, ratio = map(statistics.median, (blocked, wrote, ratios))
    held_up = block + (1 - ratio) * (write - block)
    with capsys.disabled():
        print(
            f"\n{megabytes:.0f} MB: save() returns after {block:.2f} s (at most "
            f"{max(blocked):.2f}), the thread writes for {write:.1f} s, in which steps run at "
            f"{ratio:.0%} of their speed; {held_up:.2f} s of training in all, which are 5 % of "
            f"{held_up / 0.05:.0f} s"
        )
    assert block < 0.2 * write
    assert held_up < write
