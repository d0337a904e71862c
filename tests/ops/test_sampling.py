"""Counts exactly, unbiasedness by frequency."""

import functools

import jax
import numpy as np
import pytest

from jaxrcnn.ops.sampling import sample


@functools.partial(jax.jit, static_argnums=(2, 3))
def run(key, label, size, fraction):
    return sample(key, label, label * 0.0, size, fraction)


def draw(label, size, fraction, seed=0):
    label = np.asarray(label, np.int32)
    index, valid = (np.asarray(x) for x in run(jax.random.key(seed), label, size, fraction))
    assert index.shape == valid.shape == (size,)
    assert ((index >= 0) & (index < len(label))).all()
    chosen = index[valid]
    assert len(set(chosen.tolist())) == len(chosen)
    kinds = label[chosen]
    assert (kinds >= 0).all()
    assert (np.diff(kinds) <= 0).all()  # foreground first
    return chosen, int((kinds == 1).sum()), int((kinds == 0).sum())


def test_foreground_at_most_its_share_and_background_fills_the_rest():
    label = [1] * 50 + [0] * 50 + [-1] * 50
    assert draw(label, 16, 0.25)[1:] == (4, 12)


def test_background_takes_the_places_that_foreground_leaves():
    label = [1] * 2 + [0] * 50
    assert draw(label, 16, 0.5)[1:] == (2, 14)


def test_foreground_does_not_take_the_places_of_background():
    label = [1] * 50 + [0] * 3
    assert draw(label, 16, 0.5)[1:] == (8, 3)


@pytest.mark.parametrize("label", [[-1] * 9, [0] * 3, [1], [1, 0, -1]])
def test_fewer_candidates_than_places_never_fails(label):
    _, foreground, background = draw(label, 32, 0.5)
    assert foreground == label.count(1)
    assert background == label.count(0)


def test_share_is_rounded_down():
    label = [1] * 50 + [0] * 50
    assert draw(label, 7, 0.5)[1:] == (3, 4)


def test_every_candidate_is_as_likely_as_another():
    label = np.array([1] * 8 + [0] * 12 + [-1] * 4, np.int32)
    keys = jax.random.split(jax.random.key(1), 4000)
    index, valid = jax.jit(jax.vmap(lambda key: run(key, label, 8, 0.5)))(keys)
    times = np.bincount(np.asarray(index)[np.asarray(valid)], minlength=24)
    assert (times[20:] == 0).all()
    # 4 of 8 and 4 of 12, in 4000 draws: standard deviations of 32 and 30, bounds of five.
    assert (np.abs(times[:8] - 2000) < 160).all()
    assert (np.abs(times[8:20] - 4000 / 3) < 150).all()


def test_another_key_draws_others_and_the_same_key_the_same():
    label = [0] * 100
    first, again, other = (draw(label, 10, 0.5, seed)[0].tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other
