import numpy as np
import pytest

from jaxrcnn import step_images
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.step_images import Canvas, Truth
from jaxrcnn.visualize import class_color

# A canvas of 380 x 190 pixels, whose image is 300 x 190; panels are twice as large.
SCALE = 2
IMAGE = np.full((190, 380, 3), 100, np.uint8)
TRUTH = Truth(
    np.array([[20, 40, 120, 100], [200, 50, 260, 120]], np.float32),
    np.array([2, 1], np.int32),
    np.array([False, True]),
)
NAMES = ("cat", "dog")


@pytest.fixture
def canvas():
    return Canvas(IMAGE, (190, 300))


def edges(box):
    """Pixels (y, x) at the middle of the left and of the upper edge of a box of the image."""
    x0, y0, x1, y1 = (SCALE * x for x in box)
    return [((y0 + y1) // 2, x0), (y0, (x0 + x1) // 2)]


def test_padding_is_striped_and_the_image_is_as_it_is(canvas):
    pixels = np.array(canvas.start())
    assert pixels.shape == (380, 760, 3)
    assert (pixels[:, :600] == 100).all()
    stripes = {tuple(x) for x in pixels[:, 600:].reshape(-1, 3).tolist()}
    assert stripes == set(step_images.PADDING)


def test_the_ground_truth_has_its_colours_and_what_is_ignored_is_hatched(canvas):
    panel = step_images.truth_panel(canvas, TRUTH, NAMES)
    assert panel.title == "Ground truth: 1"
    for y, x in edges((20, 40, 120, 100)):
        assert tuple(panel.image[y, x]) == class_color(2)
    assert [entry.text for entry in panel.legend] == ["padding", "ignored (1)"]
    hatched = panel.image[2 * 60 : 2 * 110, 2 * 210 : 2 * 250]
    share = (hatched != 100).any(axis=2).mean()
    assert 0.1 < share < 0.6  # the image shines through
    border = panel.image[2 * 50, 2 * 200 : 2 * 260]
    assert 0.3 < (border == step_images.IGNORED).all(axis=1).mean() < 0.8  # dashes
    outside = panel.image[2 * 60 : 2 * 110, 2 * 130 : 2 * 190]
    assert (outside == 100).all()


def test_anchors_and_rois_have_their_colours(canvas):
    box, other = np.array([[30.0, 45, 130, 105]]), np.array([[150.0, 20, 180, 90]])
    panel = step_images.anchor_panel(canvas, TRUTH, box, 99)
    assert panel.title == "Anchors: 1 foreground of 100"
    for y, x in edges(box[0].astype(int)):
        close(panel.image[y, x], step_images.ANCHOR)
    panel = step_images.roi_panel(canvas, TRUTH, box, other)
    assert panel.title == "RoIs: 1 foreground of 2"
    for y, x in edges(box[0].astype(int)):
        close(panel.image[y, x], step_images.FOREGROUND)
    for y, x in edges(other[0].astype(int)):
        close(panel.image[y, x], step_images.BACKGROUND, 90)
    y, x = edges((20, 40, 120, 100))[0]
    assert tuple(panel.image[y, x]) == step_images.TRUTH
    assert panel.image[300, 100].tolist() == [round(100 * step_images.DIMMED)] * 3


def close(pixel, color, tolerance=35):
    assert np.abs(pixel.astype(int) - color).max() <= tolerance


def test_detections_say_from_which_score_on(canvas):
    found = ImageDetections(np.array([[20, 40, 120, 100]]), np.array([0.75]), np.array([1]))
    panel = step_images.detection_panel(canvas, found, NAMES, 0.3)
    assert panel.title == "Detections above 0.30: 1"
    assert tuple(panel.image[SCALE * 70, SCALE * 20]) == class_color(1)


def test_empty_panels_are_drawn(canvas):
    nothing = np.zeros((0, 4))
    truth = Truth(nothing, np.zeros(0, int), np.zeros(0, bool))
    assert step_images.truth_panel(canvas, truth, NAMES).title == "Ground truth: 0"
    step_images.anchor_panel(canvas, truth, nothing, 0)
    step_images.roi_panel(canvas, truth, nothing, nothing)


@pytest.mark.parametrize(("shape", "number", "columns"), [((380, 760), 4, 2), ((760, 380), 4, 4)])
def test_wide_panels_stand_two_in_a_row(shape, number, columns):
    panel = step_images.Panel("title", np.full((*shape, 3), 7, np.uint8), ())
    sheet = step_images.sheet("t" * 500, "s" * 500, [panel] * number)
    gap = step_images.GAP
    assert sheet.shape[1] == gap + columns * (shape[1] + gap)
    starts = np.flatnonzero(np.diff((sheet == 7).all(axis=2).any(axis=0).astype(int)) == 1)
    assert len(starts) == columns
    assert (sheet[:, -gap // 2 :] == 255).all()  # long titles end before
