"""What holds for any input, against plain numpy, on inputs that hypothesis looks for.

HYPOTHESIS_PROFILE=soak tries forty times as many. Coordinates are small whole numbers, exact in
float32, and have many ties, empty boxes and boxes of equal places among them. Each operation is
compiled once, for one shape.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxrcnn.data.checks import check_boxes
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.sample import Sample
from jaxrcnn.data.transforms import (
    crop,
    horizontal_flip,
    resize,
    resized_size,
    vertical_flip,
)
from jaxrcnn.ops import boxes as box_ops
from jaxrcnn.ops.matching import match
from jaxrcnn.ops.nms import Boxes, nms, nms_in_rounds
from jaxrcnn.ops.sampling import sample
from jaxrcnn.wording import legible, one_line

N, G, PLACES = 12, 5, 6
THRESHOLD = 0.4567  # no ratio of small whole numbers is near


def arrays(count, elements, dtype=np.float32):
    return st.lists(elements, min_size=count, max_size=count).map(lambda x: np.array(x, dtype))


def _corners(x, y, width, height):
    return x, y, x + width, y + height


def some_boxes(count, smallest=0):
    sides = st.integers(smallest, 10)
    box = st.builds(_corners, st.integers(-3, 12), st.integers(-3, 12), sides, sides)
    return arrays(count, box)


def flags(count):
    return arrays(count, st.booleans(), bool)


def iou_of(a, b):
    """Of two boxes, in Python's floats."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = float(max(width, 0) * max(height, 0))
    union = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared
    return shared / union if union else 0.0


def ious(a, b):
    return np.array([[iou_of(x, y) for y in b] for x in a])


@jax.jit
def _overlaps(a, b):
    pairs = a[:G], b
    return (
        *(box_ops.iou_matrix(a, b), box_ops.coverage_matrix(a, b), box_ops.clip(a, (9, 11))),
        *(box_ops.generalized_iou(*pairs), box_ops.distance_iou(*pairs)),
        box_ops.complete_iou(*pairs),
    )


@given(some_boxes(N), some_boxes(G))
def test_overlaps(a, b):
    iou, covered, clipped, generalized, distance, complete = map(np.asarray, _overlaps(a, b))
    np.testing.assert_allclose(iou, ious(a, b), atol=1e-6)
    assert ((covered >= iou - 1e-6) & (covered <= 1 + 1e-6)).all()
    np.testing.assert_array_equal(clipped, np.clip(a, 0, [11, 9, 11, 9]))
    plain = np.diagonal(iou[:G])
    for other in (generalized, distance, complete):
        assert np.isfinite(other).all()
        assert (other <= plain + 1e-6).all()
        assert (other >= -2.01).all()


@jax.jit
def _there_and_back(boxes, anchors):
    weights = (10.0, 10.0, 5.0, 5.0)
    return box_ops.decode(box_ops.encode(boxes, anchors, weights), anchors, weights)


@given(some_boxes(N, smallest=1), some_boxes(N, smallest=1))
def test_decoding_is_the_inverse_of_encoding(boxes, anchors):
    np.testing.assert_allclose(_there_and_back(boxes, anchors), boxes, atol=1e-4)


_match = jax.jit(
    functools.partial(match, foreground_iou=0.7, background_iou=0.3),
    static_argnames="low_quality_matches",
)


@given(some_boxes(N), some_boxes(G), flags(G), st.booleans())
def test_matching(anchors, truth, valid, low_quality):
    iou = ious(anchors, truth).astype(np.float32)
    found = jax.tree.map(np.asarray, _match(iou, valid, low_quality_matches=low_quality))
    for anchor in range(N):
        row = np.where(valid, iou[anchor], -1)
        best = max(row.max(), 0)
        promoted = low_quality and any(
            valid[g] and iou[anchor, g] > 0 and iou[anchor, g] == iou[:, g].max() for g in range(G)
        )
        label = 1 if best >= np.float32(0.7) or promoted else 0 if best < np.float32(0.3) else -1
        assert found.index[anchor] == row.argmax()
        assert found.label[anchor] == label
        assert found.overlap[anchor] == best


_sample = jax.jit(lambda seed, label: sample(jax.random.key(seed), label, label, PLACES, 0.5))


@given(st.integers(0, 2**31 - 1), arrays(N, st.sampled_from((-1, 0, 1)), np.int32))
def test_sampling(seed, label):
    index, valid = map(np.asarray, _sample(seed, label))
    chosen = index[valid]
    foreground = min((label == 1).sum(), PLACES // 2)
    background = min((label == 0).sum(), PLACES - foreground)
    assert len(set(chosen)) == len(chosen) == foreground + background
    assert label[chosen].tolist() == [1] * foreground + [0] * background
    assert not index[~valid].any()


@jax.jit
def _suppress(boxes, scores, valid, groups):
    def some(index):
        return Boxes(boxes[index], groups[index], valid[index])

    left = jnp.where(valid, scores, -jnp.inf)
    return (
        nms(boxes, scores, valid, THRESHOLD, PLACES, groups),
        nms_in_rounds(left, some, THRESHOLD, PLACES, 4),
    )


SCORES = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0))


@given(some_boxes(N), arrays(N, SCORES), flags(N), arrays(N, st.integers(0, 1), np.int32))
def test_nms_is_the_greedy_one(boxes, scores, valid, groups):
    kept = []
    for i in sorted(range(N), key=lambda i: -scores[i]):
        rivals = (k for k in kept if groups[k] == groups[i])
        if valid[i] and all(iou_of(boxes[k], boxes[i]) <= THRESHOLD for k in rivals):
            kept.append(i)
    for index, mask in _suppress(boxes, scores, valid, groups):
        assert np.asarray(index)[np.asarray(mask)].tolist() == kept[:PLACES]
        assert not np.asarray(index)[~np.asarray(mask)].any()


HEIGHT, WIDTH = 7, 9


def _inside(x0, y0, x1, y1):
    return min(x0, x1), min(y0, y1), max(x0, x1) + 1, max(y0, y1) + 1


INSIDE = st.builds(_inside, *(st.integers(0, side - 1) for side in (WIDTH, HEIGHT, WIDTH, HEIGHT)))


def _sample_of(boxes, ignore):
    image = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    return Sample(image, boxes, np.arange(1, G + 1, dtype=np.int32), ignore)


SAMPLES = st.builds(_sample_of, arrays(G, INSIDE), flags(G))


def pixels_of(given_sample, box):
    x0, y0, x1, y1 = box.astype(int)
    return np.sort(given_sample.image[y0:y1, x0:x1].reshape(-1))


@given(SAMPLES, st.sampled_from((horizontal_flip, vertical_flip)))
def test_a_flip_keeps_what_is_in_the_boxes_and_is_its_own_inverse(before, flip):
    after = flip(before)
    for old, new in zip(before.boxes, after.boxes, strict=True):
        np.testing.assert_array_equal(pixels_of(before, old), pixels_of(after, new))
    again = flip(after)
    np.testing.assert_array_equal(again.image, before.image)
    np.testing.assert_array_equal(again.boxes, before.boxes)


@given(SAMPLES, INSIDE)
def test_a_crop_keeps_the_boxes_whose_centres_are_inside(before, window):
    x0, y0, x1, y1 = window
    after = crop(before, (y0, x0, y1, x1))
    np.testing.assert_array_equal(after.image, before.image[y0:y1, x0:x1])
    expected = []
    for (a0, b0, a1, b1), label, ignore in zip(
        before.boxes.tolist(), before.labels, before.ignore, strict=True
    ):
        has_centre = x0 <= (a0 + a1) / 2 < x1 and y0 <= (b0 + b1) / 2 < y1
        box = [max(a0, x0) - x0, max(b0, y0) - y0, min(a1, x1) - x0, min(b1, y1) - y0]
        if (has_centre or ignore) and box[0] < box[2] and box[1] < box[3]:
            expected.append((label, box))
    assert [*zip(after.labels, after.boxes.tolist(), strict=True)] == expected


@given(SAMPLES, st.integers(1, 20), st.integers(1, 20), st.sampled_from(("pillow", "torchvision")))
def test_a_resized_sample_has_its_boxes_in_the_same_places(before, height, width, method):
    after = resize(before, (height, width), method)
    assert after.image.shape == (height, width, 3)
    assert after.image.min() >= before.image.min() - 1e-3
    assert after.image.max() <= before.image.max() + 1e-3
    shares = after.boxes / [width, height, width, height]
    np.testing.assert_allclose(
        shares, before.boxes / [WIDTH, HEIGHT, WIDTH, HEIGHT], rtol=1e-5, atol=1e-6
    )


SIDES, LIMITS = st.integers(1, 5000), st.integers(1, 1500)
METHODS = st.sampled_from(("pillow", "torchvision"))


@given(
    SIDES,
    SIDES,
    st.integers(1, 1500),
    st.integers(1, 1500),
    st.sampled_from(("pillow", "torchvision")),
)
def test_the_size_after_resizing_keeps_the_sides_limits(height, width, short, more, method):
    long = short + more
    new = resized_size((height, width), short, long, method)
    assert min(new) >= 1
    assert max(new) <= long
    assert min(new) <= short
    assert (height - width) * (new[0] - new[1]) >= 0
    assert min(new) >= short - 1 or max(new) >= long - 1


COORDINATES = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-2, 12).map(float)


@given(arrays(G, st.tuples(*[COORDINATES] * 4), np.float64))
def test_checked_boxes_are_inside_the_image_whatever_was_annotated(corners):
    with np.errstate(all="ignore"):
        checked = check_boxes(corners, HEIGHT, WIDTH)
    good = checked.boxes[checked.good]
    assert np.isfinite(good).all()
    assert (good >= 0).all()
    assert (good <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
    assert (good[:, :2] < good[:, 2:]).all()


@given(st.text(st.characters(exclude_categories=())))
def test_a_message_is_one_line_that_leaves_a_terminal_as_it_is(text):
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert all(
        character.isprintable() or character in "\t\u200c\u200d" or not character.isascii()
        for character in line
    )
    assert "\x9b" not in line
    line.encode()
    assert legible(line) == line
    assert str(DataError(text)) == line
