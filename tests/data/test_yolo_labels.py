import numpy as np
import pytest

from jaxrcnn.data.yolo_labels import are_oriented, parse_labels

NAMES = {0: "cat", 1: "dog", 4: "emu"}


def parse(text, **options):
    return parse_labels(text, NAMES, **options)


def test_lines_are_a_class_and_the_centre_and_sides_of_a_box():
    labels = parse("0 0.5 0.25 0.5 0.25\r\n\r\n  4\t0.1 .2 2e-1 0.4  \n1.0 0.5 0.5 1 1")
    assert [(box.place, box.where, box.name) for box in labels.boxes] == [
        (1, "line 1", "cat"),
        (2, "line 3", "emu"),
        (3, "line 4", "dog"),
    ]
    expected = [(0.25, 0.125, 0.75, 0.375), (0, 0, 0.2, 0.4), (0, 0, 1, 1)]
    np.testing.assert_allclose([box.corners for box in labels.boxes], expected, atol=1e-12)
    assert labels.faults == []


def test_a_polygon_becomes_its_bounding_box():
    (box,) = parse("1 0.5 0.1 0.9 0.6 0.2 0.7").boxes
    assert box.corners == (0.2, 0.1, 0.9, 0.7)


def test_the_same_line_twice_is_two_boxes():
    assert len(parse("0 .5 .5 .1 .1\n0 .5 .5 .1 .1").boxes) == 2


def test_the_rounding_of_six_decimals_does_not_leave_the_image():
    (box,) = parse("0 0.123457 0.876543 0.246915 0.246915").boxes  # -0.0000005, 1.0000005
    assert (box.corners[0], box.corners[3]) == (0, 1)
    (box,) = parse("0 0.12 0.5 0.2402 0.2").boxes
    np.testing.assert_allclose(box.corners[0], -0.0001, atol=1e-12)


def test_keypoints_are_left_out_if_they_are_announced():
    line = "0 0.5 0.5 0.5 0.5 0.1 0.2 2 0.3 0.4 1"
    (box,) = parse(line, keypoint_numbers=6).boxes
    assert box.corners == (0.25, 0.25, 0.75, 0.75)
    (fault,) = parse(line + " 0", keypoint_numbers=6).faults
    assert fault.what == "it has 11 numbers, not 4 and the 6 of kpt_shape"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2 .5 .5 .1 .1", "the class is 2, but the classes are 3 of 0 to 4"),
        ("-1 .5 .5 .1 .1", "the class is -1, but the classes are"),
        ("cat .5 .5 .1 .1", "the class is 'cat', not a number"),
        ("0.5 .5 .5 .1 .1", "the class is '0.5', not a whole number"),
        ("nan .5 .5 .1 .1", "the class is 'nan', not a whole number"),
        ("0 .5 .5 .1 x", "the height is 'x', not a number"),
        ("0 0,5 .5 .1 .1", "x is '0,5', not a number: write a decimal point instead of the comma"),
        ("0 .5 .5 .1 .1 .9", "it has 5 numbers, a box has 4: the fifth is a confidence"),
        ("0", "it has 0 numbers: a box has 4, a polygon 6, 8, 10 or more"),
        ("0 .5 .5 .1", "it has 3 numbers"),
        ("0 .1 .1 .2 .2 .3 .3 .4", "it has 7 numbers"),
        ("0 320 240 100 50", "x is 320, but coordinates are fractions of the image size, 0 to 1"),
        ("0 .1 .1 .2 .2 .3 99", "a coordinate is 99, but coordinates are fractions of the"),
        ("\0", "the class is '\\x00', not a number"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(line, what):
    labels = parse(f"0 .5 .5 .1 .1\n{line}\n")
    assert [box.where for box in labels.boxes] == ["line 1"]
    (fault,) = labels.faults
    assert fault.where == "line 2"
    assert fault.what.startswith(what)


def test_what_is_not_finite_is_left_to_the_check_of_boxes():
    (box,) = parse("0 nan .5 inf .1").boxes
    assert not np.isfinite(box.corners).all()


FOUR = "0 .1 .1 .2 .1 .2 .2 .1 .2"


@pytest.mark.parametrize(
    ("texts", "oriented"),
    [
        ([FOUR, "", FOUR + "\n" + FOUR], True),
        ([FOUR, "0 .5 .5 .1 .1"], False),
        ([FOUR, "0 .1 .1 .2 .1 .2 .2"], False),
        (["0 .5 .5 .1 .1"], False),
        (["", ""], False),
        ([], False),
    ],
)
def test_boxes_are_oriented_if_every_line_has_four_corners(texts, oriented):
    assert are_oriented(parse(text) for text in texts) == oriented


def test_four_corners_among_other_lines_are_a_polygon():
    assert parse(FOUR).boxes[0].corners == (0.1, 0.1, 0.2, 0.2)
