import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.benchmark.agreement import (
    Difference,
    case_differences,
    cpu,
    detector_differences,
    differences,
)
from jaxrcnn.benchmark.ops import Case
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.config import Config
from jaxrcnn.detector import build
from tests.tiny import MODEL, make_variables


def test_the_largest_difference_of_every_tree_by_hand():
    expected = {"x": [np.array([1.0, -4.0]), np.array(2)], "flags": np.array([True, False])}
    found = {"x": [np.array([1.5, -4.0]), np.array(1)], "flags": np.array([True, True])}
    assert differences(expected, found) == [Difference("x", 4, 1), Difference("flags", 1, 1)]
    assert Difference("x", 4, 1).relative == 0.25
    assert Difference("nothing", 0, 0.5).relative == 0.5


def test_what_is_not_a_number_is_no_agreement():
    (found,) = differences({"x": np.ones(2)}, {"x": np.array([1, np.nan])})
    assert np.isnan(found.error)
    assert np.isnan(found.relative)


def test_an_op_is_called_on_both_devices():
    case = Case("double", jax.jit(lambda x: 2 * x), (jnp.arange(3.0),))
    assert case_differences([case], cpu()) == [Difference("double", 4, 0)]


@pytest.fixture(scope="module")
def detector_rows():
    variables = make_variables(build(MODEL))
    return detector_differences(Config(model=MODEL), variables, cpu(), Shape(1, 64, 64))


def test_a_device_agrees_with_itself_along_all_arrows(detector_rows):
    full, by_default = detector_rows
    assert {x.error for x in full} == {0}
    assert full == by_default
    sizes = {x.name: x.largest for x in full}
    assert {"features", "RPN's logits and deltas", "losses", "gradient in box_head"} <= set(sizes)
    assert min(sizes.values()) > 0
