import numpy as np
import pytest

from jaxrcnn.data.sample import ImageProposals
from jaxrcnn.data.transforms import (
    RandomFlip,
    crop,
    fitted_size,
    horizontal_flip,
    keep_boxes,
    resize,
    resized_size,
    vertical_flip,
)
from tests.data.small import sample_of
from tests.ops.test_resized_size import float64_sizes

BOX = np.array([[2.0, 1.0, 6.0, 4.0], [0.0, 0.0, 8.0, 6.0]], np.float32)


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((480, 640), (240, 320)),  # the short side decides
        ((640, 480), (320, 240)),
        ((100, 400), (100, 400)),  # the long side decides
        ((240, 320), (240, 320)),
        ((120, 161), (240, 322)),  # a small image grows
        ((1, 4000), (1, 400)),  # never less than one pixel
    ],
)
@pytest.mark.parametrize("method", ["pillow", "torchvision"])
def test_the_smaller_of_two_scales_decides(size, resized, method):
    assert resized_size(size, 240, 400, method) == resized


@pytest.mark.parametrize(
    ("size", "limits", "method", "resized"),
    [
        ((480, 640), (800, 1333), "torchvision", (800, 1066)),  # 1066.7
        ((480, 640), (800, 1333), "pillow", (800, 1067)),
        ((150, 206), (160, 256), "torchvision", (160, 219)),  # 219.7
        # 256 / 163 is a little less in float64, and so is 163 times that than 256 in float32 alone.
        ((100, 163), (160, 256), "torchvision", (157, 256)),
        ((29, 145), (800, 4000), "torchvision", (800, 3999)),  # 145 * (800 / 29) is below 4000
        ((704, 1408), (800, 1333), "pillow", (666, 1333)),  # 666.5, a little less in two steps
        ((183, 275), (320, 640), "torchvision", (320, 480)),
    ],
)
def test_sizes_are_rounded_as_the_peers_round_them(size, limits, method, resized):
    assert resized_size(size, *limits, method) == resized


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pillow", "torchvision"])
def test_every_size_from_1_to_2000_is_that_of_float64(method):
    widths = np.arange(1, 2001)
    for height in range(1, 2001):
        sizes = [resized_size((height, width), 800, 1333, method) for width in range(1, 2001)]
        expected = float64_sizes(height, widths, 800, 1333, method)
        np.testing.assert_array_equal(sizes, expected, err_msg=str(height))


def test_resize_halves_a_image_by_the_mean_of_its_pixels():
    # Columns of constant colour: a triangle filter of two pixels' radius has the weights
    # 1/8, 3/8, 3/8, 1/8 over four neighbours.
    columns = np.array([0, 40, 80, 120, 160, 200, 240, 200], np.uint8)
    image = np.broadcast_to(columns[None, :, None], (6, 8, 3)).copy()
    halved = resize(sample_of(image, BOX), (3, 4))
    resized, boxes = halved.image, halved.boxes
    assert resized.shape == (3, 4, 3)
    assert resized.dtype == np.uint8
    second = 40 * 1 / 8 + 80 * 3 / 8 + 120 * 3 / 8 + 160 * 1 / 8
    np.testing.assert_allclose(resized[:, 1, :], second, atol=1)
    np.testing.assert_array_equal(boxes, [[1, 0.5, 3, 2], [0, 0, 4, 3]])
    assert boxes.dtype == np.float32


def test_torchvision_weighs_the_nearest_pixels_and_does_not_round():
    columns = np.array([0, 40, 80, 120, 160, 200, 240, 201], np.uint8)
    image = np.broadcast_to(columns[None, :, None], (6, 8, 3)).copy()
    halved = resize(sample_of(image, BOX), (3, 4), "torchvision")
    assert halved.image.dtype == np.float32
    np.testing.assert_allclose(halved.image[1, :, 0], [20, 100, 180, 220.5])
    np.testing.assert_array_equal(halved.boxes, [[1, 0.5, 3, 2], [0, 0, 4, 3]])
    assert halved.boxes.dtype == np.float32
    # Thirds: every third pixel as it is, for the others are too far away.
    third = resize(sample_of(image[:, :6], BOX), (2, 2), "torchvision").image
    np.testing.assert_allclose(third[0, :, 2], [40, 160])
    # Twice: centres lie at -1/4, 1/4, 3/4, ... and the first is moved to the border.
    rows = image.transpose(1, 0, 2)
    doubled = resize(sample_of(rows, BOX), (16, 12), "torchvision").image
    np.testing.assert_allclose(doubled[:5, 3, 1], [0, 10, 30, 50, 70])
    np.testing.assert_allclose(doubled[-2:, 3, 1], [0.75 * 201 + 0.25 * 240, 201])


def test_resize_scales_each_axis_by_its_own_true_ratio():
    boxes = resize(sample_of((6, 8), BOX), (9, 10)).boxes
    expected = BOX * np.array([10 / 8, 9 / 6, 10 / 8, 9 / 6])
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)


def test_resize_to_the_same_size_and_without_boxes_changes_nothing():
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    same = resize(sample_of(image), (6, 8))
    np.testing.assert_array_equal(same.image, image)
    assert same.boxes.shape == (0, 4)


def test_a_label_map_is_resized_by_the_centres_of_its_pixels():
    columns = np.array([1, 2, 3, 4, 5], np.int32)
    labels = np.tile(columns, (4, 1)) + 10 * np.arange(4, dtype=np.int32)[:, None]
    sample = sample_of((4, 5), extra={"labels": labels, "scale": np.array([4.0, 5.0])})
    # Centres of three columns in five: 5/6, 15/6, 25/6; of two rows in four: 1, 3, which is the
    # border of two pixels, of which the second one has it.
    smaller = resize(sample, (2, 3)).extra
    np.testing.assert_array_equal(smaller["labels"], [[11, 13, 15], [31, 33, 35]])
    assert smaller["labels"].dtype == np.int32
    np.testing.assert_array_equal(smaller["scale"], [4, 5])
    # Ten columns: two of each; six rows in four: 1/3, 1, 5/3, 7/3, 3, 11/3.
    larger = resize(sample, (6, 10)).extra["labels"]
    np.testing.assert_array_equal(larger[0], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    np.testing.assert_array_equal(larger[:, 0] // 10, [0, 1, 1, 2, 3, 3])
    masks = np.stack([labels > 12, labels < 12], axis=2)  # (H, W, 2)
    both = resize(sample_of((4, 5), extra={"masks": masks}), (2, 3), "torchvision").extra["masks"]
    np.testing.assert_array_equal(both[..., 0], [[False, True, True], [True, True, True]])


@pytest.mark.parametrize(
    ("size", "canvas", "fitted"),
    [
        ((96, 64), (64, 96), (64, 43)),  # 64 / 96 of 64: 42.7
        ((64, 96), (96, 64), (43, 64)),
        ((10, 20), (30, 30), (15, 30)),
        ((1000, 1), (32, 64), (32, 1)),  # never less than one pixel
        ((7, 9), (70, 90), (70, 90)),
    ],
)
def test_the_largest_size_that_fits_a_canvas(size, canvas, fitted):
    assert fitted_size(size, canvas) == fitted


def test_flip_moves_boxes_with_the_pixels():
    image = np.zeros((6, 8, 3), np.uint8)
    image[1:4, 2:6] = 255
    boxes = horizontal_flip(sample_of(image, BOX)).boxes
    np.testing.assert_array_equal(boxes, [[2, 1, 6, 4], [0, 0, 8, 6]])
    flipped = horizontal_flip(sample_of(image[:, :7], BOX[:1]))  # now 7 wide, so not symmetric
    np.testing.assert_array_equal(flipped.boxes, [[1, 1, 5, 4]])
    assert (flipped.image[1:4, 1:5] == 255).all()
    assert flipped.image.sum() == 255 * 3 * 4 * 3
    assert flipped.boxes.dtype == np.float32


def test_vertical_flip_moves_boxes_with_the_pixels():
    image = np.zeros((7, 8, 3), np.uint8)
    image[1:4, 2:6] = 255
    flipped = vertical_flip(sample_of(image, BOX[:1]))
    np.testing.assert_array_equal(flipped.boxes, [[2, 3, 6, 6]])
    assert (flipped.image[3:6, 2:6] == 255).all()
    assert flipped.image.sum() == image.sum()
    assert flipped.boxes.dtype == np.float32


@pytest.mark.parametrize("flip", [horizontal_flip, vertical_flip])
def test_flip_of_no_boxes_keeps_their_shape(flip):
    assert flip(sample_of((2, 2))).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("flip", "mirrored", "box"),
    [
        (horizontal_flip, [[3, 2, 1], [6, 5, 4]], [1, 0, 3, 1]),
        (vertical_flip, [[4, 5, 6], [1, 2, 3]], [0, 1, 2, 2]),
    ],
)
def test_flip_takes_maps_and_proposals_along_and_leaves_the_rest(flip, mirrored, box):
    extra = {"map": np.array([[1, 2, 3], [4, 5, 6]]), "other": np.array([[1, 2], [3, 4]])}
    proposals = ImageProposals(np.array([[0, 0, 2, 1]], np.float32), np.ones(1, np.float32))
    sample = sample_of(
        (2, 3),
        [[0, 0, 2, 1]],
        extra=extra,
        box_extra={"angle": np.array([0.5])},
        proposals=proposals,
    )
    flipped = flip(sample)
    np.testing.assert_array_equal(flipped.extra["map"], mirrored)
    np.testing.assert_array_equal(flipped.extra["other"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(flipped.box_extra["angle"], [0.5])
    np.testing.assert_array_equal(flipped.boxes, [box])
    np.testing.assert_array_equal(flipped.proposals.boxes, [box])


def test_a_random_flip_is_drawn_and_never_in_evaluation():
    sample, rng = sample_of((2, 8), [[1, 0, 3, 2]]), np.random.default_rng(0)
    flips = [RandomFlip(horizontal_flip, p)(sample, None, rng).boxes[0, 0] for p in (0.0, 1.0)]
    assert flips == [1, 5]
    assert RandomFlip(horizontal_flip, 1.0)(sample, None, None) is sample
    half = RandomFlip(horizontal_flip, 0.5)
    drawn = {float(half(sample, None, rng).boxes[0, 0]) for _ in range(20)}
    assert drawn == {1, 5}


def test_boxes_are_kept_with_their_rows():
    boxes = [[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]]
    rows = {"angle": np.array([0.5, 1.5, 2.5]), "mask": np.arange(12).reshape(3, 2, 2)}
    sample = sample_of((4, 4), boxes, ignore=np.array([False, True, True]), box_extra=rows)
    kept = keep_boxes(sample, np.array([True, False, True]))
    np.testing.assert_array_equal(kept.boxes, [[0, 0, 1, 1], [0, 0, 3, 3]])
    np.testing.assert_array_equal(kept.labels, [1, 3])
    np.testing.assert_array_equal(kept.ignore, [False, True])
    np.testing.assert_array_equal(kept.box_extra["angle"], [0.5, 2.5])
    np.testing.assert_array_equal(kept.box_extra["mask"][1], [[8, 9], [10, 11]])
    assert len(sample.boxes) == 3


def test_a_crop_clips_what_is_inside_and_drops_what_is_not():
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    boxes = [
        [1, 1, 4, 4],  # its centre (2.5, 2.5) is inside: what is left is 2, 1 to 4, 4
        [0, 1, 3, 4],  # its centre (1.5, 2.5) is left of x = 2
        [4, 2, 8, 4],  # its centre (6, 3) lies on the border, which is no longer inside
        [0, 0, 3, 3],  # to be ignored: a part is left
        [0, 0, 2, 6],  # to be ignored: nothing is left
    ]
    proposals = ImageProposals(
        np.array([[0, 0, 8, 6], [0, 0, 2, 6], [5, 4, 7, 6]], np.float32),
        np.array([3, 2, 1], np.float32),
    )
    sample = sample_of(
        image,
        boxes,
        ignore=np.array([False, False, False, True, True]),
        extra={"map": image[..., 0], "flag": np.array(7)},
        box_extra={"angle": np.arange(5)},
        proposals=proposals,
    )
    cut = crop(sample, (1, 2, 5, 6))
    np.testing.assert_array_equal(cut.image, image[1:5, 2:6])
    np.testing.assert_array_equal(cut.extra["map"], image[1:5, 2:6, 0])
    assert cut.extra["flag"] == 7
    np.testing.assert_array_equal(cut.boxes, [[0, 0, 2, 3], [0, 0, 1, 2]])
    np.testing.assert_array_equal(cut.labels, [1, 4])
    np.testing.assert_array_equal(cut.ignore, [False, True])
    np.testing.assert_array_equal(cut.box_extra["angle"], [0, 3])
    np.testing.assert_array_equal(cut.proposals.boxes, [[0, 0, 4, 4], [3, 3, 4, 4]])
    np.testing.assert_array_equal(cut.proposals.scores, [3, 1])
    assert cut.boxes.dtype == np.float32
    assert crop(sample_of((4, 4)), (0, 0, 4, 4)).proposals is None


def test_a_crop_is_resized_by_as_much_as_the_whole_would_be():
    sample = sample_of((6, 8), final_size=(12, 4))
    assert crop(sample, (1, 2, 5, 6)).final_size == (8, 2)
    assert crop(sample, (0, 0, 6, 1)).final_size == (12, 1)  # half a pixel is one
    assert crop(sample_of((6, 8)), (1, 2, 5, 6)).final_size is None


@pytest.mark.parametrize("window", [(-1, 0, 2, 2), (0, 0, 7, 2), (0, 3, 2, 3), (0, 0, 2, 9)])
def test_a_window_that_is_empty_or_reaches_out_is_refused(window):
    with pytest.raises(ValueError, match=r"^crop: the window .* the image of 8x6 pixels"):
        crop(sample_of((6, 8)), window)
