import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.ops import sampling

draw = jax.jit(sampling.sample, static_argnums=(3, 4))


def sample(label, size, fraction, seed=0):
    label = np.asarray(label, np.int32)
    overlap = np.zeros(label.shape, np.float32)
    return draw(jax.random.key(seed), label, overlap, size, fraction)


def chosen(result):
    return np.asarray(result.index)[np.asarray(result.valid)]


def labels_of(foreground, background, ignored):
    """Labels in a fixed scrambled order."""
    label = np.array([1] * foreground + [0] * background + [-1] * ignored, np.int32)
    return np.random.default_rng(0).permutation(label)


@pytest.mark.parametrize(
    ("foreground", "background", "size", "fraction", "expected"),
    [
        (40, 40, 16, 0.5, (8, 8)),  # both abound
        (3, 40, 16, 0.5, (3, 13)),  # the background fills up
        (40, 3, 16, 0.5, (8, 3)),  # the foreground does not
        (40, 40, 10, 0.25, (2, 8)),  # rounded down
        (0, 40, 16, 0.5, (0, 16)),
        (40, 0, 16, 0.5, (8, 0)),
        (0, 0, 16, 0.5, (0, 0)),
        (40, 40, 16, 0.0, (0, 16)),
        (40, 40, 16, 1.0, (16, 0)),
        (8, 8, 16, 0.5, (8, 8)),  # an exact fit
    ],
)
def test_counts_of_foreground_and_background(foreground, background, size, fraction, expected):
    label = labels_of(foreground, background, 20)
    for seed in range(3):
        result = sample(label, size, fraction, seed)
        drawn = label[chosen(result)]
        assert ((drawn == 1).sum(), (drawn == 0).sum()) == expected
        assert len(drawn) == sum(expected)
        assert len(set(chosen(result).tolist())) == len(drawn)


def test_foreground_comes_first_and_padding_last_with_index_zero():
    result = sample(labels_of(5, 6, 30), 16, 0.25)
    assert result.valid.tolist() == [True] * 10 + [False] * 6
    assert result.index[10:].tolist() == [0] * 6
    assert labels_of(5, 6, 30)[chosen(result)].tolist() == [1] * 4 + [0] * 6
    assert result.index.dtype == jnp.int32
    assert result.valid.dtype == jnp.bool_


def test_everything_is_taken_where_it_fits():
    label = labels_of(5, 6, 4)
    for size in (16, 64):  # 64 places are more than the 15 candidates
        result = sample(label, size, 0.5)
        assert result.index.shape == (size,)
        assert sorted(chosen(result).tolist()) == np.flatnonzero(label >= 0).tolist()


def test_fewer_candidates_than_places_still_share_out_the_foreground():
    result = sample([1, 1, 1, 0, -1], 6, 0.5)
    assert sorted(chosen(result).tolist()) == [0, 1, 2, 3]
    result = sample([1, 1, 1, 0, -1], 6, 0.17)
    assert len(chosen(result)) == 2
    assert chosen(result)[1] == 3


def test_no_candidates_at_all_give_padding():
    result = sample([], 4, 0.5)
    assert result.index.tolist() == [0] * 4
    assert not result.valid.any()


def test_every_candidate_of_a_label_is_drawn_equally_often():
    label = np.array([1] * 30 + [-1] * 5 + [0] * 65, np.int32)
    keys = jax.random.split(jax.random.key(7), 4000)
    overlap = np.zeros(100, np.float32)
    many = jax.jit(jax.vmap(lambda key: sampling.sample(key, label, overlap, 20, 0.5)))(keys)
    assert many.valid.all()
    counts = np.bincount(np.asarray(many.index).ravel(), minlength=100)
    assert (counts[30:35] == 0).all()
    for group, share in ((counts[:30], 10 / 30), (counts[35:], 10 / 65)):
        deviation = np.sqrt(4000 * share * (1 - share))
        assert np.abs(group - 4000 * share).max() < 5 * deviation
        # Equal to chance, not better: draws that were spread evenly would stand out below.
        assert 0.5 < group.std() / deviation < 1.5


def test_pairs_are_drawn_together_as_often_as_chance_has_it():
    keys = jax.random.split(jax.random.key(8), 4000)
    label, overlap = np.zeros(6, np.int32), np.zeros(6, np.float32)
    many = jax.jit(jax.vmap(lambda key: sampling.sample(key, label, overlap, 2, 0.5)))(keys)
    pairs = np.sort(np.asarray(many.index), axis=1)
    counts = np.bincount(pairs[:, 0] * 6 + pairs[:, 1])
    counts = counts[counts > 0]
    assert len(counts) == 15
    deviation = np.sqrt(4000 / 15 * (1 - 1 / 15))
    assert np.abs(counts - 4000 / 15).max() < 5 * deviation


def test_the_key_alone_decides_the_draw():
    label = labels_of(40, 40, 10)
    first, again, other = (
        sample(label, 16, 0.5, 1),
        sample(label, 16, 0.5, 1),
        sample(label, 16, 0.5, 2),
    )
    assert first.index.tolist() == again.index.tolist()
    assert first.index.tolist() != other.index.tolist()


def test_overlaps_even_nan_change_nothing():
    label = labels_of(40, 40, 10)
    result = draw(jax.random.key(0), label, np.full(90, np.nan, np.float32), 16, 0.5)
    assert result.index.tolist() == sample(label, 16, 0.5).index.tolist()


def test_images_of_a_batch_are_drawn_as_they_would_be_alone():
    labels = np.stack([labels_of(40, 40, 10), labels_of(2, 80, 8), labels_of(0, 3, 87)])
    keys = jax.random.split(jax.random.key(3), 3)
    overlap = np.zeros(90, np.float32)
    batch = jax.jit(jax.vmap(lambda k, x: sampling.sample(k, x, overlap, 16, 0.5)))(keys, labels)
    for i in range(3):
        alone = draw(keys[i], labels[i], overlap, 16, 0.5)
        assert batch.index[i].tolist() == alone.index.tolist()
        assert batch.valid[i].tolist() == alone.valid.tolist()


def test_priorities_are_ordinary_positive_floats():
    priority = jax.jit(sampling._priorities, static_argnums=1)(jax.random.key(0), 100_000)
    assert priority.dtype == jnp.float32
    assert np.isfinite(priority).all()
    assert float(priority.min()) >= np.finfo(np.float32).tiny
    # 2**30 values leave 4.7 pairs in expectation; uniform floats would give about 600.
    assert len(np.unique(priority)) > 100_000 - 30


def test_sample_is_a_sampler():
    sampler: sampling.Sampler = sampling.sample
    assert sampler(jax.random.key(0), jnp.zeros(3, jnp.int32), jnp.zeros(3), 2, 0.5).valid.all()
