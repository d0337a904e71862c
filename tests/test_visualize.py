import pathlib

import matplotlib
import numpy as np
import pytest
from PIL import Image

from jaxrcnn import visualize
from jaxrcnn.data.records import make_record
from jaxrcnn.evaluation.coco import ImageDetections

NAMES = ("cat", "traffic light", "dog")
GREY = np.full((400, 500, 3), 90, np.uint8)


def draw(boxes, labels, scores=None, image=GREY):
    scores = None if scores is None else np.array(scores, np.float32)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return visualize.draw_boxes(image, boxes, np.array(labels, np.int32), scores, NAMES)


def tag_shows(drawn, color, corner):
    """Whether the tag's colour fills the few pixels at a corner (y, x)."""
    y, x = corner
    return bool(np.all(drawn[y : y + 3, x : x + 3] == color))


def test_box_edges_have_the_class_colour_at_the_right_pixels():
    drawn = draw([(100, 150, 300, 350)], [3], [0.5])
    color = visualize.class_color(3)
    assert drawn.shape == GREY.shape
    assert drawn.dtype == np.uint8
    for y, x in ((150, 250), (349, 250), (250, 100), (250, 299)):
        assert tuple(drawn[y, x]) == color, (y, x)
    for y, x in ((350, 250), (250, 99), (250, 300), (250, 200)):
        assert tuple(drawn[y, x]) == (90, 90, 90), (y, x)


def test_labels_have_different_colours_that_repeat_after_the_palette():
    colors = [visualize.class_color(label) for label in range(1, len(visualize.PALETTE) + 1)]
    assert len(set(colors)) == len(colors)
    assert visualize.class_color(len(colors) + 1) == colors[0]


def test_the_image_is_not_modified():
    image = GREY.copy()
    image.flags.writeable = False
    draw([(100, 150, 300, 350)], [1], [0.5], image)
    np.testing.assert_array_equal(image, GREY)


def test_no_boxes_leave_the_image_as_it_is():
    np.testing.assert_array_equal(draw([], []), GREY)
    np.testing.assert_array_equal(draw([], [], []), GREY)


def test_boxes_out_of_the_image_are_clipped():
    color = visualize.class_color(2)
    drawn = draw([(-50, -1e6, 1e6, 900)], [2], [0.5])
    for y, x in ((200, 0), (200, 499), (0, 400), (399, 250)):
        assert tuple(drawn[y, x]) == color, (y, x)
    assert tuple(drawn[200, 250]) == (90, 90, 90)
    for outside in ((600, 600, 700, 700), (-90, -90, -50, -50)):
        assert draw([outside], [1]).shape == GREY.shape


@pytest.mark.parametrize("size", [(400, 500), (400, 40), (30, 500), (1500, 2400)])
def test_tags_stay_inside_the_image(size):
    height, width = size
    image = np.full((height, width, 3), 90, np.uint8)
    corners = [(0, 0), (width - 8, 0), (0, height - 8), (width - 8, height - 8)]
    for x, y in corners:
        drawn = draw([(x, y, x + 8, y + 8)], [2], [0.5], image)
        of_color = np.all(drawn == visualize.class_color(2), axis=-1)
        assert of_color.sum() > 200  # the tag, not only the box
        assert drawn.shape == image.shape


def test_a_box_too_small_for_its_tag_is_not_hidden_by_it():
    image = np.full((1500, 2400, 3), 90, np.uint8)
    drawn = draw([(2300, 2, 2380, 40)], [2], None, image)
    assert tuple(drawn[20, 2340]) == (90, 90, 90)


def test_tags_of_boxes_in_one_place_do_not_cover_each_other():
    drawn = draw([(100, 150, 300, 350)] * 2, [1, 3], [0.9, 0.8])
    assert tag_shows(drawn, visualize.class_color(1), (146, 101))  # above the left corner
    assert tag_shows(drawn, visualize.class_color(3), (146, 296))  # above the right one


def test_boxes_that_are_not_numbers_are_left_out():
    nan = float("nan")
    boxes = [(nan, nan, nan, nan), (100, 150, 300, 350), (nan, 150, 300, 350)]
    np.testing.assert_array_equal(
        draw(boxes, [1, 3, 2], [0.9, 0.5, 0.8]), draw(boxes[1:2], [3], [0.5])
    )


def test_a_box_without_a_text_has_no_tag_and_each_its_colour():
    boxes = np.array([(100, 150, 200, 250), (250, 150, 350, 250)])
    drawn = visualize.draw_tagged(GREY, boxes, ["missed", ""], [(255, 0, 0), (0, 0, 255)])
    assert tuple(drawn[200, 100]) == (255, 0, 0)
    assert tuple(drawn[200, 250]) == (0, 0, 255)
    assert (drawn[130:150, 100:200] == (255, 0, 0)).all(axis=-1).sum() > 300
    np.testing.assert_array_equal(drawn[:150, 250:], GREY[:150, 250:])


def test_many_boxes_have_thin_lines_and_leave_most_of_the_image_free():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 900, (300, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 60, (300, 2))], 1)
    image = np.full((960, 960, 3), 90, np.uint8)
    drawn = draw(boxes, [1] * 300, rng.uniform(0.5, 1, 300), image)
    assert (drawn == 90).all(axis=-1).mean() > 0.75
    alone = np.array([[300, 300, 400, 400]] + [[0, 0, 5, 5]] * 50)
    row = draw(alone, [1] * 51, None, image)[350, 290:310]
    assert int(np.all(row == visualize.class_color(1), axis=-1).sum()) == 1


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3)])
def test_images_of_any_size_are_drawn_on(size):
    image = np.zeros((*size, 3), np.uint8)
    scale = visualize.enlargement(*size)
    drawn = visualize.draw_boxes(image, [[0, 0, 1, 1]], [1], np.array([0.9]), ["x"])
    assert drawn.shape == (size[0] * scale, size[1] * scale, 3)


def test_names_are_written_in_the_font_that_is_given():
    plain = visualize.draw_boxes(GREY, [[50, 50, 90, 90]], [1], None, ["猫"])
    font = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "LastResortHE-Regular.ttf")
    other = visualize.draw_boxes(GREY, [[50, 50, 90, 90]], [1], None, ["猫"], font=font)
    assert (plain != other).any()


def test_better_boxes_are_drawn_over_worse_ones():
    boxes = [(100, 150, 300, 350)] * 2
    assert tuple(draw(boxes, [1, 3], [0.8, 0.9])[250, 100]) == visualize.class_color(3)
    assert tuple(draw(boxes, [1, 3], [0.9, 0.8])[250, 100]) == visualize.class_color(1)


def test_small_images_are_enlarged_with_their_boxes():
    image = np.full((96, 128, 3), 90, np.uint8)
    assert visualize.enlargement(96, 128) == 3
    assert visualize.enlargement(480, 640) == 1
    drawn = draw([(10, 20, 60, 80)], [1], None, image)
    assert drawn.shape == (288, 384, 3)
    for y, x in ((239, 100), (150, 30), (150, 179)):
        assert tuple(drawn[y, x]) == visualize.class_color(1), (y, x)
    assert tuple(drawn[150, 180]) == (90, 90, 90)


def test_lines_grow_with_the_image():
    thickness = []
    for side in (400, 3200):
        image = np.full((side, side, 3), 90, np.uint8)
        drawn = draw([(0.25 * side, 0.25 * side, 0.75 * side, 0.75 * side)], [1], None, image)
        row = drawn[side // 2, : side // 2]
        thickness.append(int(np.all(row == visualize.class_color(1), axis=-1).sum()))
    assert thickness == [2, 10]


def test_comparison_has_the_truth_on_the_left_and_good_detections_on_the_right():
    truth = make_record(1, "", "", (400, 500), np.array([(100, 150, 300, 350)]), [1], [1])
    detections = ImageDetections(
        np.array([(100, 150, 300, 350), (350, 50, 450, 100)], np.float32),
        np.array([0.9, 0.1], np.float32),
        np.array([3, 2], np.int32),
    )
    drawn = visualize.draw_comparison(GREY, detections, truth, NAMES)
    top, middle = drawn.shape[0] - 400, drawn.shape[1] - 500
    assert middle > 500
    assert tuple(drawn[top + 250, 100]) == visualize.class_color(1)
    assert tuple(drawn[top + 250, middle + 100]) == visualize.class_color(3)
    assert not np.all(drawn == visualize.class_color(2), axis=-1).any()
    title = drawn[:top]
    assert title[:, :500].std() > 0
    assert title[:, middle:].std() > 0
    low = visualize.draw_comparison(GREY, detections, truth, NAMES, min_score=0.05)
    assert tuple(low[top + 75, middle + 350]) == visualize.class_color(2)


def test_where_nothing_is_drawn_the_title_says_so(monkeypatch):
    from PIL import ImageDraw

    titles = []
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda self, place, text, *_, **__: titles.append(text)
    )
    truth = make_record(1, "a", "", GREY.shape[:2], [], [], [])
    none = ImageDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    low = ImageDetections(np.array([[2, 2, 9, 9]]), np.array([0.29]), np.array([1]))
    for found in (none, low):
        titles.clear()
        visualize.draw_comparison(GREY, found, truth, NAMES)
        assert titles == ["ground truth", "nothing above 0.30"]
    titles.clear()
    visualize.draw_comparison(GREY, low, truth, NAMES, min_score=0.2)
    assert "detections" in titles


def test_sheet_holds_every_image_in_rows_of_one_height(tmp_path):
    colors = [(200, 10 * i, 30) for i in range(5)]
    sizes = [(60, 80), (80, 60), (10, 10), (60, 80), (4000, 10)]
    images = [
        np.full((*size, 3), color, np.uint8) for size, color in zip(sizes, colors, strict=True)
    ]
    path = tmp_path / "new" / "sheet.png"
    visualize.save_image_sheet(path, images)
    with Image.open(path) as sheet:
        pixels = np.array(sheet)
    places = [np.argwhere(np.all(pixels == color, axis=-1)) for color in colors]
    for place, (height, width) in zip(places, sizes, strict=True):
        rows, columns = place.max(axis=0) - place.min(axis=0) + 1
        assert len(place) == rows * columns  # a whole rectangle
        assert columns / rows == pytest.approx(width / height, rel=0.05) or columns == 1
    tops, bottoms = zip(*((place[:, 0].min(), place[:, 0].max()) for place in places), strict=True)
    assert (tops[0], bottoms[0]) == (tops[1], bottoms[1])  # one row
    assert tops[2] == tops[3] == tops[4] > bottoms[0]
    assert bottoms[2] == bottoms[3] == bottoms[4]
    assert tuple(pixels[0, 0]) == (255, 255, 255)


def test_of_a_long_name_the_beginning_is_drawn(monkeypatch):
    """More is outside of the image, and takes long to measure."""
    seen = []
    monkeypatch.setattr(visualize, "plan_tags", lambda texts, *_: seen.extend(texts) or [])
    visualize.draw_boxes(GREY, [[1, 1, 20, 20]], [1], None, ["z" * 100_000])
    assert seen == ["z" * visualize.LONGEST_TAG]
