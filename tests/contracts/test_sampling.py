"""Our own sampler keeps the contract, and one that breaks a promise is found out."""

import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.ops.sampling import Sample, sample
from tests.contracts import check_sampler


def test_our_sampler_keeps_the_contract():
    check_sampler(sample)


def first_come(key, label, overlap, size, foreground_fraction):
    """Keeps every promise of a sampler: lowest index first. Those below break one each."""
    del key, overlap
    limit = int(size * foreground_fraction)
    foreground = (label == 1) & (jnp.cumsum(label == 1) <= limit)
    index = jnp.nonzero(foreground | (label == 0), size=size, fill_value=-1)[0].astype(jnp.int32)
    return Sample(jnp.maximum(index, 0), index >= 0)


def too_few_places(key, label, overlap, size, foreground_fraction):
    return first_come(key, label, overlap, size - 1, foreground_fraction)


def float_index(*args):
    drawn = first_come(*args)
    return drawn._replace(index=drawn.index.astype(jnp.float32))


def whole_number_mask(*args):
    drawn = first_come(*args)
    return drawn._replace(valid=drawn.valid.astype(jnp.int32))


def padded_with_minus_one(*args):
    drawn = first_come(*args)
    return drawn._replace(index=jnp.where(drawn.valid, drawn.index, -1))


def twice(*args):
    drawn = first_come(*args)
    return drawn._replace(index=jnp.where(drawn.valid, jnp.max(drawn.index), 0))


def draws_the_forbidden(key, label, overlap, size, foreground_fraction):
    return first_come(key, jnp.maximum(label, 0), overlap, size, foreground_fraction)


def too_much_foreground(key, label, overlap, size, foreground_fraction):
    return first_come(key, label, overlap, size, 1.0)


def hidden_key(key, label, overlap, size, foreground_fraction, count=[0]):  # noqa: B006
    count[0] += 1
    return sample(jax.random.key(count[0]), label, overlap, size, foreground_fraction)


def test_a_good_sampler_passes():
    check_sampler(first_come)


@pytest.mark.parametrize(
    ("sampler", "promise"),
    [
        (too_few_places, "as many places"),
        (float_index, "index is int32"),
        (whole_number_mask, "valid is bool"),
        (padded_with_minus_one, "in range"),
        (twice, "twice"),
        (draws_the_forbidden, "never drawn"),
        (too_much_foreground, "no more than"),
        (hidden_key, "under vmap"),
    ],
)
def test_a_broken_sampler_is_found_out(sampler, promise):
    with pytest.raises(AssertionError, match=promise):
        check_sampler(sampler)
