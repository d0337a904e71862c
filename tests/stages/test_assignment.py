import functools

import jax
import numpy as np

from jaxrcnn.ops.sampling import sample
from jaxrcnn.stages.assignment import Thresholds, assign
from jaxrcnn.types import Batch

BOXES = np.array(
    [(0, 0, 10, 10), (0, 0, 10, 9), (50, 50, 60, 60), (30, 30, 40, 40), (80, 80, 90, 90)],
    np.float32,
)


def truth(**fields):
    """One object on the first box, a crowd on the third, NaN-free padding."""
    values = {
        "boxes": np.array([(0, 0, 10, 10), (49, 49, 61, 61), (30, 30, 40, 40)], np.float32),
        "labels": np.array([2, 1, 3], np.int32),
        "box_valid": np.array([True, False, False]),
        "box_ignore": np.array([False, True, False]),
        "box_weights": np.array([0.5, 0.0, 0.0], np.float32),
    }
    return Batch(None, None, None, None, **{**values, **fields})


@functools.partial(jax.jit, static_argnums=0)
def draw(thresholds, key, valid, truth):
    return assign(key, BOXES, valid, truth, thresholds, 5, 1.0, sample)


def test_foreground_background_crowd_and_invalid_boxes():
    valid = np.array([True, True, True, True, False])
    drawn = draw(Thresholds(0.5, 0.5), jax.random.key(0), valid, truth())
    rows = {int(i): n for n, i in enumerate(drawn.index) if drawn.valid[n]}
    assert set(rows) == {0, 1, 3}  # 2 lies in the crowd, 4 is not valid; padded truth is no object
    for box, label, weight, matched in (
        (0, 2, 0.5, (0, 0, 10, 10)),
        (1, 2, 0.5, (0, 0, 10, 10)),
        (3, 0, 1.0, (30, 30, 40, 40)),
    ):
        n = rows[box]
        assert drawn.labels[n] == label
        assert drawn.weights[n] == weight
        assert bool(drawn.foreground[n]) == (label > 0)
        np.testing.assert_array_equal(drawn.matched_boxes[n], matched)
    assert not np.asarray(drawn.foreground)[~np.asarray(drawn.valid)].any()


def test_without_objects_everything_valid_is_background():
    none = truth(box_valid=np.zeros(3, bool), box_ignore=np.zeros(3, bool))
    drawn = draw(Thresholds(0.5, 0.5), jax.random.key(0), np.ones(5, bool), none)
    assert drawn.valid.all()
    assert not drawn.foreground.any()
    np.testing.assert_array_equal(drawn.labels, 0)
    np.testing.assert_array_equal(drawn.matched_boxes, BOXES[np.asarray(drawn.index)])
