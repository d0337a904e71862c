import numpy as np

from jaxrcnn.recipe.image_sides import Limits, choose_sides

LIMITS = Limits(usual=320, largest=640, long=1000)


def sizes_of(*sizes):
    return np.array(sizes)


def test_small_images_keep_their_size():
    sides = choose_sides(sizes_of((200, 300), (200, 300)), np.array([50.0]), LIMITS)
    assert (sides.short, sides.long) == (200, 300)
    assert sides.reason == "the shorter sides of the images have a median of 200 pixels"


def test_large_images_are_shrunk_to_the_usual_size():
    sides = choose_sides(sizes_of((480, 640)), np.array([100.0]), LIMITS)
    assert (sides.short, sides.long) == (320, 427)  # 320 * 640 / 480 = 426.7
    assert sides.reason.endswith("median of 480 pixels, reduced to 320 to train in reasonable time")


def test_small_objects_need_larger_images():
    # A tenth of the boxes have 15 pixels: 12 of them are left at 480 * 12 / 15 = 384.
    sides = choose_sides(sizes_of((480, 640)), np.array([15.0] * 5 + [100.0] * 5), LIMITS)
    assert (sides.short, sides.long) == (384, 512)
    assert sides.reason == (
        "a tenth of the boxes are smaller than 15 pixels in images whose shorter sides have a "
        "median of 480"
    )


def test_they_are_never_larger_than_the_images_or_the_limit():
    tiny = np.array([4.0])
    assert choose_sides(sizes_of((480, 640)), tiny, LIMITS)[:2] == (480, 640)
    assert choose_sides(sizes_of((3000, 4000)), tiny, LIMITS)[:2] == (640, 854)


def test_the_longer_side_has_a_limit():
    sides = choose_sides(sizes_of((400, 4000)), np.array([100.0]), LIMITS)
    assert (sides.short, sides.long) == (320, 1000)


def test_without_boxes():
    assert choose_sides(sizes_of((480, 640)), np.zeros(0), LIMITS)[:2] == (320, 427)
