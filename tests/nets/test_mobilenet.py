import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import BackboneConfig
from jaxrcnn.nets.mobilenet import InvertedResidual, Layer, MobileNetV3, frozen_modules
from jaxrcnn.nets.resnet import ConvNorm

FROZEN = BackboneConfig("mobilenet_v3_large", norm="frozen", frozen_stages=0)
IMAGE = jnp.zeros((1, 64, 96, 3))


def test_has_the_published_number_of_parameters_and_two_maps_of_stride_32():
    batch = dataclasses.replace(FROZEN, norm="batch")
    maps, variables = jax.eval_shape(MobileNetV3(batch).init_with_output, jax.random.key(0), IMAGE)
    assert [x.shape for x in maps] == [(1, 2, 3, 160), (1, 2, 3, 960)]
    # torchvision publishes 5 483 032 with its classifier, 960 x 1280 + 1280 x 1000 and biases.
    classifier = 960 * 1280 + 1280 + 1280 * 1000 + 1000
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == 5_483_032 - classifier


def hard_sigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


@pytest.mark.parametrize("hard_swish", [False, True])
def test_a_block_agrees_with_numpy(numpy_conv, hard_swish):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 6, 3))
    layer = Layer(3, 8, 3, 4, hard_swish, 1)
    block = InvertedResidual(ConvNorm("none", False, "float32"), layer)
    shapes = jax.eval_shape(block.init, jax.random.key(0), x)["params"]
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)

    def conv(name, x, **options):
        return numpy_conv(x, params[name]["kernel"], **options) + params[name]["bias"]

    def activate(x):
        return x * hard_sigmoid(x) if hard_swish else np.maximum(x, 0)

    y = activate(conv("expand_conv", x))
    y = activate(conv("depthwise_conv", y, padding=1, groups=8))
    weights = conv("squeeze", y.mean((1, 2), keepdims=True))
    y = y * hard_sigmoid(conv("excite", np.maximum(weights, 0)))
    expected = x + conv("project_conv", y)
    got = jax.jit(block.apply)({"params": params}, x)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_a_block_of_another_shape_has_no_shortcut():
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 8)).astype(np.float32)
    block = InvertedResidual(ConvNorm("none", False, "float32"), Layer(3, 8, 8, 0, False, 2))
    variables = jax.eval_shape(block.init, jax.random.key(0), x)
    assert set(variables["params"]) == {"depthwise_conv", "project_conv"}  # 8 channels stay 8
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), variables)
    np.testing.assert_array_equal(jax.jit(block.apply)(zeros, x), np.zeros((1, 2, 2, 8)))


def test_frozen_modules_are_torchvisions_first_stages():
    assert frozen_modules(0) == ()
    assert frozen_modules(1) == ("stem_conv", "stem_bn", "layer_1")
    assert frozen_modules(3)[-1] == "layer_6"
    assert frozen_modules(5)[-1] == "layer_15"


@pytest.mark.parametrize("frozen_stages", [4, 5])
def test_the_frozen_stages_alone_have_no_gradient(frozen_stages):
    net = MobileNetV3(dataclasses.replace(FROZEN, frozen_stages=frozen_stages))
    image = np.random.default_rng(0).normal(size=IMAGE.shape).astype(np.float32)
    shapes = jax.eval_shape(net.init, jax.random.key(0), image)
    variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01), shapes)

    def loss(params):
        return sum(jnp.sum(x) for x in net.apply({**variables, "params": params}, image))

    grads = jax.jit(jax.grad(loss))(variables["params"])
    still = {name for name, part in grads.items() if not any(map(np.any, jax.tree.leaves(part)))}
    assert still == set(frozen_modules(frozen_stages)) & set(grads)
    assert still < set(grads)
