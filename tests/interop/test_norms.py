"""A division by a variance of nearly 0, beside float64."""

import jax
import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import build
from jaxrcnn.interop.norms import SMALLEST, without_denormals
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.transfer import dump, load
from tests.interop.detectors import TINY, state_dict
from tests.tiny import change, make_variables

ZERO = change(TINY, backbone={"norm_epsilon": 0.0})
NORM = "backbone.body.layer1.0.bn1"


@pytest.fixture(scope="module")
def like():
    return make_variables(build(ZERO))


@pytest.fixture
def tensors():
    return state_dict(TORCHVISION)


def loaded(tensors, like, model):
    variables, account = load(tensors, TORCHVISION, model, like)
    return without_denormals(variables, TORCHVISION, model), account


def test_ordinary_variances_stay(tensors, like):
    (variables, changed, lines), _ = loaded(tensors, like, ZERO)
    jax.tree.map(
        np.testing.assert_array_equal, variables, load(tensors, TORCHVISION, ZERO, like)[0]
    )
    assert not changed
    assert not lines


def test_a_denormal_variance_divides_as_it_did_and_goes_back_bit_for_bit(tensors, like):
    tensors[f"{NORM}.running_var"][3] = 1e-40
    tensors[f"{NORM}.weight"][3] = 1e-8
    (variables, changed, lines), account = loaded(tensors, like, ZERO)
    norm = variables["constants"]["backbone"]["body"]["layer1_0"]["bn1"]
    assert norm["var"].min() >= SMALLEST
    factors = norm["scale"].astype(np.float64) / np.sqrt(norm["var"].astype(np.float64))
    variance = tensors[f"{NORM}.running_var"].astype(np.float64)
    expected = tensors[f"{NORM}.weight"].astype(np.float64) / np.sqrt(variance)
    np.testing.assert_allclose(factors, expected, rtol=1e-6)
    assert len(lines) == 1
    assert f"1 channel of {NORM}.running_var" in lines[0]
    back = dump(variables, TORCHVISION, ZERO, account.kept | changed)
    for name, x in tensors.items():
        if "bbox_pred" not in name:
            np.testing.assert_array_equal(back[name], x, err_msg=name)


@pytest.mark.parametrize(
    ("variance", "scale"), [(0.0, 1.0), (0.0, 0.0), (1e-40, 1e30), (-1.0, 1.0)]
)
def test_a_division_that_is_not_finite_is_named(variance, scale, tensors, like):
    tensors[f"{NORM}.running_var"][3] = variance
    tensors[f"{NORM}.weight"][3] = scale
    with pytest.raises(ConfigError) as error:
        loaded(tensors, like, ZERO)
    assert f"{NORM}.running_var: dividing by the root of 1 variance (the" in str(error.value)
    assert "--config.model.backbone.norm_epsilon 1e-5" in str(error.value)


def test_with_an_epsilon_a_dead_channel_is_no_matter(tensors, like):
    tensors[f"{NORM}.running_var"][3] = 0.0
    (variables, changed, lines), _ = loaded(tensors, like, TINY)
    norm = variables["constants"]["backbone"]["body"]["layer1_0"]["bn1"]
    np.testing.assert_array_equal(norm["var"], tensors[f"{NORM}.running_var"])
    assert not changed
    assert not lines
