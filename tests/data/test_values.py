import math
import re

import pytest

from jaxrcnn.data.values import described, flag, number, string, whole_number

NO = [None, False, 0, 0.0, "0", "false", " False "]
YES = [True, 1, 1.0, "1", "true", "True"]


@pytest.mark.parametrize("value", NO)
def test_what_is_certainly_no(value):
    assert flag(value, "iscrowd") is False


@pytest.mark.parametrize("value", YES)
def test_what_is_certainly_yes(value):
    assert flag(value, "iscrowd") is True


@pytest.mark.parametrize(
    ("read", "value", "said"),
    [
        (flag, "yes", "x is 'yes' (str), neither 0 nor 1"),
        (flag, "", "x is '' (str), neither 0 nor 1"),
        (flag, 2, "x is 2 (int), neither 0 nor 1"),
        (flag, [1], "x is [1] (list), neither 0 nor 1"),
        (number, "64", "x is '64' (str), not a number"),
        (number, True, "x is True (bool), not a number"),
        (number, None, "x is None (NoneType), not a number"),
        (whole_number, "64", "x is '64' (str), not a whole number"),
        (whole_number, 6.5, "x is 6.5 (float), not a whole number"),
        (whole_number, math.nan, "x is nan (float), not a whole number"),
        (whole_number, math.inf, "x is inf (float), not a whole number"),
        (whole_number, False, "x is False (bool), not a whole number"),
        (whole_number, 2**63, "x is 9223372036854775808 (int), beyond 64 bits"),
        (whole_number, -(2.0**70), "x is -1180591620717411303424 (int), beyond 64 bits"),
        (string, 7, "x is 7 (int), not a name"),
        (string, " ", "x is ' ' (str), not a name"),
    ],
)
def test_other_values_are_named_with_their_type(read, value, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        read(value, "x")


def test_numbers_of_certain_meaning_are_converted():
    assert type(number(3, "x")) is float
    assert number(10**400, "x") == math.inf
    assert number(-(10**400), "x") == -math.inf
    assert type(whole_number(7.0, "x")) is int
    assert whole_number(-(2**63), "x") == -(2**63)
    assert string(" a ", "x") == " a "


def test_a_long_value_is_shortened():
    assert len(described("a" * 1000)) < 50
    assert len(described(10**3000)) < 60
