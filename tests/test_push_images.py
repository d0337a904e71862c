import numpy as np
import pytest

from jaxrcnn.push_images import AWAY, LONGEST, NEARER, Pushed, push_panel
from jaxrcnn.step_images import TRUTH, Canvas, Truth

IMAGE = np.full((190, 380, 3), 100, np.uint8)  # the panel is twice as large
OBJECTS = Truth(np.array([[150.0, 40, 250, 140]]), np.array([1]), np.array([False]))


@pytest.fixture(scope="module")
def canvas():
    return Canvas(IMAGE, (190, 380))


def is_color(image, color):
    return np.abs(image.astype(int) - color).max(-1) < 40


def assert_reaches(mask, rows, columns):
    """The mask has pixels from the first to the last of these rows and columns, about."""
    for found, wanted in zip(np.nonzero(mask), (rows, columns), strict=True):
        np.testing.assert_allclose([found.min(), found.max()], wanted, atol=4)


def test_arrows_go_from_the_corners_along_the_steps_in_the_colour_of_the_change(canvas):
    boxes = np.array([[20.0, 40, 120, 160], [280, 40, 360, 160]])
    # Of the left box the upper left corner goes right; of the right one it goes down, and the lower
    # right corner up, half as far.
    steps = np.array([[4.0, 0, 0, 0], [0, 4, 0, -2]])
    panel = push_panel(canvas, OBJECTS, "Pooling", Pushed(boxes, steps, np.array([True, False])))
    assert panel.title == "Pooling: IoU rises for 1 of 2"
    left, right = is_color(panel.image, NEARER), is_color(panel.image, AWAY)
    assert_reaches(left[:200], rows=(80 - 6, 80 + 6), columns=(40, 40 + LONGEST))
    assert_reaches(left[200:], rows=(320 - 200 - 2, 320 - 200 + 2), columns=(240 - 2, 240 + 2))
    assert_reaches(right[:200], rows=(80, 80 + LONGEST), columns=(560 - 6, 560 + 6))
    assert_reaches(right[200:], rows=(120 - LONGEST / 2, 120), columns=(720 - 6, 720 + 6))


def test_objects_are_outlined_and_without_proposals_there_is_nothing_else(canvas):
    nothing = Pushed(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0, bool))
    panel = push_panel(canvas, OBJECTS, "Targets", nothing)
    assert panel.title == "Targets: IoU rises for 0 of 0"
    assert is_color(panel.image, TRUTH)[2 * 80, 2 * 150]
    assert not (is_color(panel.image, NEARER) | is_color(panel.image, AWAY)).any()
