import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.nets.conv import build_conv
from jaxrcnn.nets.initializers import HE_NORMAL
from jaxrcnn.nets.winograd import convolve, kernel_gradient, map_gradient

SIZES = pytest.mark.parametrize("size", [(6, 8), (5, 8), (6, 7), (7, 5), (1, 1), (2, 3)])


def draw(size, channels=(5, 3), images=2):
    """A map, a kernel and a gradient in the result, in float64."""
    rng = np.random.default_rng(0)
    incoming, outgoing = channels
    x = rng.normal(size=(images, *size, incoming))
    kernel = rng.normal(size=(3, 3, incoming, outgoing))
    return x, kernel, rng.normal(size=(images, *size, outgoing))


def windows(x):
    """What the taps see: (3, 3, N, H, W, C)."""
    _, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.array(
        [[padded[:, i : i + height, j : j + width] for j in range(3)] for i in range(3)]
    )


@SIZES
def test_the_results_are_those_of_nine_taps(size):
    x, kernel, _ = draw(size)
    got = jax.jit(convolve)(*map(jnp.float32, (x, kernel)))
    expected = np.einsum("ijnhwc,ijcd->nhwd", windows(x), kernel)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@SIZES
def test_the_gradients_are_those_of_nine_taps(size):
    x, kernel, by_y = draw(size)
    by_x = jax.jit(map_gradient)(*map(jnp.float32, (kernel, by_y)))
    by_kernel = jax.jit(kernel_gradient)(*map(jnp.float32, (x, by_y)))
    # A place of the map is seen by the taps in reverse.
    expected = np.einsum("ijnhwd,ijcd->nhwc", windows(by_y), kernel[::-1, ::-1])
    np.testing.assert_allclose(by_x, expected, rtol=1e-5, atol=1e-5)
    expected = np.einsum("ijnhwc,nhwd->ijcd", windows(x), by_y)
    np.testing.assert_allclose(by_kernel, expected, rtol=1e-5, atol=1e-5)


def test_the_results_are_as_exact_as_those_of_the_convolution():
    x, kernel, _ = draw((24, 24), (128, 16), images=1)
    exact = np.einsum("ijnhwc,ijcd->nhwd", windows(x), kernel)

    def plain(x, kernel):
        layouts = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layouts)

    own, usual = (
        np.sqrt(np.mean((jax.jit(f)(*map(jnp.float32, (x, kernel))) - exact) ** 2))
        for f in (convolve, plain)
    )
    assert own < 2 * usual < 1e-4


def arithmetic(channels, size, **options):
    """The operations of a convolution and its gradients, over those of nine taps a result."""
    conv = build_conv(channels, 3, "conv", "float32", HE_NORMAL, bias=False, **options)
    x = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, channels, channels), jnp.float32)

    def loss(kernel, x):
        return jnp.sum(conv.apply({"params": {"kernel": kernel}}, x) ** 2)

    program = jax.jit(jax.grad(loss, (0, 1))).lower(kernel, x).compile()
    return program.cost_analysis()["flops"] / (3 * 2 * 9 * channels**2 * np.prod(size))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="other backends have their own ways")
@pytest.mark.parametrize(
    ("channels", "size", "options", "least", "most"),
    [
        (128, (40, 52), {}, 0.4, 0.6),
        (64, (40, 52), {}, 0.6, 0.8),  # but for the kernel's gradient
        (48, (40, 52), {}, 0.9, 1.1),
        (128, (40, 52), {"dilation": 2}, 0.9, 1.1),
        (128, (10, 10), {}, 0.9, 1.1),
    ],
)
def test_wide_convolutions_take_half_the_arithmetic_on_a_cpu(channels, size, options, least, most):
    assert least < arithmetic(channels, size, **options) < most


@pytest.mark.parametrize("channels", [64, 128])
def test_wide_convolutions_and_their_gradients_are_right_inside_a_module(channels):
    x, kernel, by_y = draw((40, 52), (channels, channels), images=1)
    conv = build_conv(channels, 3, "conv", "float32", HE_NORMAL, bias=False)

    def loss(kernel, x):
        y = conv.apply({"params": {"kernel": kernel}}, x)
        return jnp.sum(y * jnp.float32(by_y)), y

    both = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    (by_kernel, by_x), y = both(*map(jnp.float32, (kernel, x)))
    expected = np.einsum("ijnhwc,ijcd->nhwd", windows(x), kernel, optimize=True)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-3)
    expected = np.einsum("ijnhwd,ijcd->nhwc", windows(by_y), kernel[::-1, ::-1], optimize=True)
    np.testing.assert_allclose(by_x, expected, rtol=1e-4, atol=1e-3)
    expected = np.einsum("ijnhwc,nhwd->ijcd", windows(x), by_y, optimize=True)
    np.testing.assert_allclose(by_kernel, expected, rtol=1e-4, atol=1e-3)
