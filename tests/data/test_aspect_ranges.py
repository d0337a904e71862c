"""Dynamic programming beside every division that there is."""

import itertools

import numpy as np
import pytest

from jaxrcnn.data.aspect_ranges import PAYS, divide_by_aspect


def area(sizes, buckets):
    """Pixels of the images, each padded to the largest sides of its bucket."""
    total = 0
    for bucket in np.unique(buckets):
        own = sizes[buckets == bucket]
        total += int(own.max(axis=0).prod()) * len(own)
    return total


def least_area(sizes, most, least):
    """The same for the best of all divisions into ranges of aspect ratios, found by trying all."""
    ratios = sizes[:, 1] / sizes[:, 0]
    kinds = np.unique(ratios)
    best = np.inf
    for ends in itertools.combinations(range(1, len(kinds)), most - 1):
        bucket_of_kind = np.searchsorted(ends, np.arange(len(kinds)), side="right")
        buckets = bucket_of_kind[np.searchsorted(kinds, ratios)]
        if np.bincount(buckets).min() >= least:
            best = min(best, area(sizes, buckets))
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("most", "least"), [(2, 1), (3, 1), (3, 12), (4, 5)])
def test_no_division_has_a_smaller_area(seed, most, least):
    rng = np.random.default_rng(seed)
    kinds = 32 * rng.integers(4, 14, (9, 2))
    sizes = kinds[rng.integers(len(kinds), size=80)]
    found = divide_by_aspect(sizes, most, least)
    used = found.max() + 1
    assert np.bincount(found).min() >= (least if used > 1 else 0)
    tried = {1: area(sizes, np.zeros(80, int))}
    tried |= {k: least_area(sizes, k, least) for k in range(2, most + 1)}
    assert area(sizes, found) == tried[used]
    for more in range(used + 1, most + 1):  # those that were left out would save too little
        assert tried[more] > tried[used] * (1 - PAYS * (more - used))


def test_buckets_are_numbered_from_the_tallest():
    sizes = np.array([[64, 128], [128, 64], [96, 96], [128, 64]])
    np.testing.assert_array_equal(divide_by_aspect(sizes, 3, 1), [2, 0, 1, 0])


def test_too_few_images_share_one():
    sizes = np.array([[64, 128], [128, 64]])
    np.testing.assert_array_equal(divide_by_aspect(sizes, 3, 2), [0, 0])
