import numpy as np
import pytest

from jaxrcnn.fonts import Fonts
from jaxrcnn.tags import COVERED, MANY, font_size, plan_tags, shortened, tag_size

FONTS = Fonts(12)
RED = (230, 57, 70)


def boxes_at_random(number, side, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, side - 60, (number, 2))
    return [tuple(row) for row in np.hstack([corner, corner + rng.integers(5, 60, (number, 2))])]


def plan(boxes, side, texts=None):
    texts = texts or [f"cell {0.99 - i / 1000:.2f}" for i in range(len(boxes))]
    return plan_tags(texts, [RED] * len(boxes), boxes, (side, side), FONTS)


def painted(tags, side):
    """How often each pixel is covered."""
    count = np.zeros((side, side), int)
    for tag in tags:
        x0, y0, x1, y1 = tag.place
        count[y0 : y1 + 1, x0 : x1 + 1] += 1
    return count


def test_few_boxes_have_a_tag_each_as_large_as_its_text():
    boxes = boxes_at_random(MANY, 900)
    tags = plan(boxes, 900)
    assert len(tags) == MANY
    for tag in tags:
        x0, y0, x1, y1 = tag.place
        assert (x1 - x0 + 1, y1 - y0 + 1) == tag_size(tag.text, FONTS.of(tag.text))


def test_the_tags_of_many_boxes_leave_the_image_and_each_other_free():
    tags = plan(boxes_at_random(300, 900), 900)
    count = painted(tags, 900)
    assert count.max() == 1
    assert 0.5 * COVERED < count.mean() <= COVERED
    assert tags[0].text == "cell 0.99"  # the best has one


def test_a_tag_of_many_is_where_it_hides_no_other_box():
    crowd = [(400, 380, 480, 399)] + [(600 + i, 10, 602 + i, 12) for i in range(MANY)]
    tags = plan([(400, 400, 480, 440), *crowd], 900)
    x0, y0, _, y1 = tags[0].place
    assert x0 == 400
    assert y0 == 441 or (y0 == 400 and y1 < 440)  # below it or inside, not on the box above


def test_text_is_smaller_and_never_tiny_for_many():
    assert font_size(1000, 5) == 20
    assert 10 <= font_size(1000, 300) < 12
    assert font_size(100, 5) == 11


def test_a_long_name_loses_its_middle():
    name = "a_very_long_class_name_of_a_part_number_0123456789_revision_B 0.61"
    short = shortened(name, FONTS, 360)
    start, end = short.split("…")
    assert name.startswith(start)
    assert name.endswith(end)
    assert abs(len(start) - len(end)) <= 1
    assert 150 < FONTS.of(short).getlength(short) <= 180
    assert shortened("cat 0.50", FONTS, 360) == "cat 0.50"


@pytest.mark.parametrize(
    ("text", "line"),
    [("two\nlines", "two lines"), ("a\t b ", "a b"), ("", ""), ("\ud800x", "?x")],
)
def test_any_text_is_one_line_that_can_be_written(text, line):
    assert shortened(text, FONTS, 360) == line
