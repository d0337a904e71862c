import numpy as np
import pytest

from jaxrcnn.data.padding import Room, check_room, empty_row, pad_extras, pad_sample, stack
from jaxrcnn.data.sample import ImageProposals
from tests.data.small import sample_of

ROOM = Room(boxes=3, proposals=None)


def test_maps_and_rows_are_padded_with_zeros():
    padded = pad_extras(
        {"mask": np.ones((2, 3), np.uint8), "flow": np.ones((2, 3, 2))},
        {"angle": np.array([1.5, 2.5], np.float32), "corners": np.ones((2, 4, 2), np.int32)},
        (4, 5),
        ROOM,
    )
    np.testing.assert_array_equal(padded["mask"], [[1] * 3 + [0] * 2] * 2 + [[0] * 5] * 2)
    assert padded["mask"].dtype == np.uint8
    assert padded["flow"].shape == (4, 5, 2)
    assert padded["flow"].sum() == 2 * 3 * 2
    np.testing.assert_array_equal(padded["angle"], [1.5, 2.5, 0])
    assert padded["corners"].shape == (3, 4, 2)
    np.testing.assert_array_equal(padded["corners"].sum((1, 2)), [8, 8, 0])


def test_a_row_by_hand():
    place = np.zeros((4, 5, 3), np.uint8)
    sample = sample_of(
        np.full((2, 3, 3), 9, np.uint8),
        [[0, 0, 1, 1], [0, 0, 3, 2]],
        ignore=np.array([False, True]),
        proposals=ImageProposals(np.ones((1, 4), np.float32), np.array([2], np.float32)),
    )
    row = pad_sample(sample, {"a": np.ones(1)}, 7, place, Room(3, 2))
    assert place.sum() == 2 * 3 * 3 * 9
    assert (place[:2, :3] == 9).all()
    np.testing.assert_array_equal(row["image_sizes"], [2, 3])
    assert (row["image_index"], row["image_weights"]) == (7, 1)
    np.testing.assert_array_equal(row["boxes"], [[0, 0, 1, 1], [0, 0, 3, 2], [0, 0, 0, 0]])
    np.testing.assert_array_equal(row["labels"], [1, 2, 0])
    np.testing.assert_array_equal(row["box_valid"], [True, False, False])
    np.testing.assert_array_equal(row["box_ignore"], [False, True, False])
    np.testing.assert_array_equal(row["box_weights"], [1, 0, 0])
    np.testing.assert_array_equal(row["proposals"]["boxes"], [[1] * 4, [0] * 4])
    np.testing.assert_array_equal(row["proposals"]["scores"], [2, -np.inf])
    np.testing.assert_array_equal(row["proposals"]["valid"], [True, False])
    assert list(row["extra"]) == ["a"]


def test_more_boxes_or_proposals_than_there_is_room_for_are_refused():
    boxes = np.zeros((4, 4), np.float32)
    check_room(sample_of((2, 2), boxes[:3]), ROOM, "p7")
    with pytest.raises(ValueError, match=r"^image p7 has 4 boxes .* box_room to at least 4$"):
        check_room(sample_of((2, 2), boxes), ROOM, "p7")
    proposals = ImageProposals(boxes, np.zeros(4, np.float32))
    check_room(sample_of((2, 2), proposals=proposals), Room(3, 4), "p7")
    with pytest.raises(ValueError, match=r"^image p7 has 4 proposals .* room for 3; keep the best"):
        check_room(sample_of((2, 2), proposals=proposals), Room(3, 3), "p7")


def stacked(*extras):
    images = np.zeros((len(extras), 2, 2, 3), np.uint8)
    rows = [{**empty_row(i, images[i], ROOM), "extra": extra} for i, extra in enumerate(extras)]
    return stack(rows, images, [f"p{i}" for i in range(len(extras))])


def test_extras_are_stacked_by_their_names():
    batch = stacked({"a": np.ones(2), "b": np.array(1)}, {"b": np.array(2), "a": np.zeros(2)})
    np.testing.assert_array_equal(batch.extra["a"], [[1, 1], [0, 0]])
    np.testing.assert_array_equal(batch.extra["b"], [1, 2])
    np.testing.assert_array_equal(batch.image_index, [0, 1])
    assert stacked({}, {}).extra is None


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"a": np.ones(2)}, {}, "extra 'a': image p0 has it, image p1 does not"),
        ({}, {"a": np.ones(2)}, "extra 'a': image p1 has it, image p0 does not"),
        (
            {"a": np.ones(2, np.float32)},
            {"a": np.ones(3, np.float32)},
            r"extra 'a': float32 \(2,\) for image p0, but float32 \(3,\) for image p1",
        ),
        (
            {"a": np.ones(2, np.float32)},
            {"a": np.ones(2, np.int32)},
            r"extra 'a': float32 \(2,\) for image p0, but int32 \(2,\) for image p1",
        ),
    ],
)
def test_extras_that_differ_between_images_are_refused(first, second, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        stacked(first, second)
