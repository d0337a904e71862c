import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.nets.conv import build_conv
from jaxrcnn.nets.initializers import HE_NORMAL


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (1, {}),
        (1, {"stride": 2}),
        (1, {"groups": 2}),
        (3, {"bias": False}),
        (3, {"stride": 2}),
        (3, {"dilation": 2}),
        (3, {"stride": 2, "dilation": 2, "groups": 2}),
        (7, {"stride": 2}),
    ],
)
def test_pads_as_torch_does(numpy_conv, size, options):
    rng = np.random.default_rng(0)
    for height, width in itertools.product((6, 9), (7, 8)):
        x = rng.normal(size=(2, height, width, 4)).astype(np.float32)
        groups = options.get("groups", 1)
        kernel = rng.normal(size=(size, size, 4 // groups, 6)).astype(np.float32)
        bias = rng.normal(size=6).astype(np.float32)
        params = {"kernel": kernel} | ({"bias": bias} if options.get("bias", True) else {})
        conv = build_conv(6, size, "conv", "float32", HE_NORMAL, **options)
        dilation = options.get("dilation", 1)
        expected = numpy_conv(
            x, kernel, options.get("stride", 1), dilation * (size // 2), dilation, groups
        ) + (bias if "bias" in params else 0)
        got = jax.jit(conv.apply)({"params": params}, x)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_gradients_of_the_pointwise_product_are_those_of_the_convolution():
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=(2, 5, 7, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(1, 1, 3, 4)), jnp.float32)
    conv = build_conv(4, 1, "conv", "float32", HE_NORMAL, bias=False, stride=2)
    cotangent = rng.normal(size=(2, 3, 4, 4))

    def loss(kernel, x):
        return jnp.sum(conv.apply({"params": {"kernel": kernel}}, x) * cotangent)

    by_kernel, by_x = jax.jit(jax.grad(loss, (0, 1)))(kernel, x)
    np.testing.assert_allclose(
        by_kernel[0, 0], np.einsum("nhwc,nhwd->cd", x[:, ::2, ::2], cotangent), rtol=1e-4, atol=1e-5
    )
    expected = np.zeros(x.shape)
    expected[:, ::2, ::2] = cotangent @ np.asarray(kernel[0, 0]).T
    np.testing.assert_allclose(by_x, expected, rtol=1e-4, atol=1e-5)


def test_a_stem_with_few_features_is_the_same_convolution(numpy_conv):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 13, 18, 3)).astype(np.float32)
    kernel = rng.normal(size=(7, 7, 3, 24)).astype(np.float32)
    conv = build_conv(24, 7, "conv", "float32", HE_NORMAL, bias=False, stride=2)
    program = jax.jit(lambda x, kernel: conv.apply({"params": {"kernel": kernel}}, x))
    expected = numpy_conv(x, kernel, 2, 3, 1, 1)
    np.testing.assert_allclose(program(x, kernel), expected, rtol=1e-4, atol=1e-4)
    # On the CPU it is computed with 40 features.
    assert "40" in re.findall(r"f32\[7,7,3,(\d+)\]", program.lower(x, kernel).compile().as_text())


SPATIAL = pytest.mark.parametrize(
    ("size", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (3, 1, 2), (3, 2, 2), (7, 2, 1)]
)


def spatial_case(size, stride, dilation):
    """Convolutions of the module and of jax, and their arguments, odd sizes among them."""
    rng = np.random.default_rng(2)
    x = jnp.asarray(rng.normal(size=(3, 20, 17, 4)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(size, size, 4, 5)), jnp.float32)
    conv = build_conv(
        5, size, "conv", "float32", HE_NORMAL, bias=False, stride=stride, dilation=dilation
    )

    def own(x, kernel):
        return conv.apply({"params": {"kernel": kernel}}, x)

    def plain(x, kernel):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            [(dilation * (size // 2),) * 2] * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    return own, plain, (x, kernel)


@SPATIAL
def test_derivatives_of_a_spatial_convolution_are_those_of_jax(size, stride, dilation):
    own, plain, arguments = spatial_case(size, stride, dilation)
    gradients = [
        jax.grad(lambda x, kernel, f=f: jnp.sum(jnp.sin(f(x, kernel))), (0, 1))
        for f in (own, plain)
    ]
    got, twice = jax.jit(lambda a: jax.jvp(gradients[0], a, a))(arguments)
    expected, expected_twice = jax.jit(lambda a: jax.jvp(gradients[1], a, a))(arguments)
    for x, y in zip((*got, *twice), (*expected, *expected_twice), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-3 * np.abs(y).max())


@SPATIAL
def test_on_the_cpu_gradients_are_convolutions_in_the_usual_layout(size, stride, dilation):
    """In a loop too, where XLA does not see to it."""
    own, _, arguments = spatial_case(size, stride, dilation)

    def loop(x, kernel):
        def step(carry, scale):
            gradients = jax.grad(lambda a: jnp.sum(own(*a) ** 2))((scale * x, kernel))
            return jax.tree.map(jnp.add, carry, gradients), None

        return jax.lax.scan(step, (x, kernel), jnp.arange(3.0))[0]

    text = jax.jit(loop).lower(*arguments).compile().as_text()
    layouts = re.findall(r"dim_labels=(\w+->\w+)", text)
    assert len(layouts) == 3
    assert set(layouts) == {"b01f_01io->b01f", "b0f_0io->b0f"}


def test_parameters_are_float32_and_activations_of_the_compute_dtype():
    conv = build_conv(4, 1, "conv", "bfloat16", HE_NORMAL)
    y, variables = jax.jit(conv.init_with_output)(jax.random.key(0), jnp.ones((1, 2, 2, 3)))
    assert y.dtype == jnp.bfloat16
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
