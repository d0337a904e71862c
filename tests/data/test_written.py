import math

import pytest

from jaxrcnn.data.written import written_name, written_number, written_side, written_whole


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *(("1", 1.0), (" -0.5 ", -0.5), (".25", 0.25), ("2.", 2.0), ("1e-3", 0.001)),
        *(("+4E2", 400.0), (7, 7.0), (0.5, 0.5), ("1e400", math.inf), ("-inf", -math.inf)),
    ],
)
def test_numbers_are_read_from_text_or_as_they_are(value, number):
    assert written_number(value, "x") == number


def test_nan_is_a_number():
    assert math.isnan(written_number("NaN", "x"))


@pytest.mark.parametrize(
    "value", ["", ".", "1.2.3", "1_000", "٣", "0x10", "one", None, True, [1], "1 2"]
)
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match=r"^x is .*, not a number$"):
        written_number(value, "x")


def test_a_decimal_comma_is_named():
    with pytest.raises(ValueError, match=r"x is '0,5', not a number: write a decimal point"):
        written_number("0,5", "x")


@pytest.mark.parametrize(("value", "number"), [("3", 3), ("3.0", 3), (3.0, 3), (3, 3), ("-1", -1)])
def test_whole_numbers_may_be_written_as_floats(value, number):
    assert written_whole(value, "class") == number


@pytest.mark.parametrize("value", ["1.5", "nan", "inf", "9" * 30])
def test_what_is_no_whole_number_is_named(value):
    with pytest.raises(ValueError, match=r"class is .*, not a whole number"):
        written_whole(value, "class")


@pytest.mark.parametrize(("value", "side"), [("40", 40), ("", None), (None, None), ("0", None)])
def test_a_size_that_is_missing_or_zero_is_none(value, side):
    assert written_side(value, "width") == side


def test_a_negative_size_is_named():
    with pytest.raises(ValueError, match="width is -4, which is not a valid image size"):
        written_side("-4", "width")


@pytest.mark.parametrize(("value", "name"), [(" big dog ", "big dog"), ("犬", "犬"), (7, "7")])
def test_names_are_text_without_blanks_around(value, name):
    assert written_name(value, "the class") == name


@pytest.mark.parametrize("value", ["", "  ", None, 1.5, True, "\ud800"])
def test_what_is_no_name_is_named(value):
    with pytest.raises(ValueError, match=r"^the class is "):
        written_name(value, "the class")
