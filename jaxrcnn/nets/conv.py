"""Convolutions as the peers build them."""

import functools
import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxrcnn.nets import winograd
from jaxrcnn.nets.initializers import ZEROS, Initializer
from jaxrcnn.types import Array


def build_conv(
    features: int,
    size: int,
    name: str,
    dtype: str,
    init: Initializer,
    *,
    bias: bool = True,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv:
    """Build a convolution of `size` x `size` taps, to be called in a compact module.

    The padding is symmetric and keeps an odd `size` centred, as in torch: "SAME" would differ at
    stride 2.
    """
    own = _pointwise if size == 1 else _spatial
    return nn.Conv(
        features,
        (size, size),
        strides=stride,
        padding=dilation * (size // 2),
        kernel_dilation=dilation,
        feature_group_count=groups,
        use_bias=bias,
        dtype=dtype,
        kernel_init=init,
        bias_init=ZEROS,
        conv_general_dilated=own if groups == 1 else None,
        name=name,
    )


def _pointwise(
    x: Array, kernel: Array, strides: tuple[int, int], *_: Any, precision: Any, **__: Any
) -> Array:
    """A 1x1 convolution as one matrix product.

    XLA's CPU backend is up to five times slower at the gradient of the convolution's kernel.
    """
    x = x[:, :: strides[0], :: strides[1]]
    rows = x.reshape(-1, x.shape[-1])  # (N, H, W, C) -> (N*H*W, C)
    y = jnp.matmul(rows, kernel[0, 0], precision=precision)
    return y.reshape(*x.shape[:-1], -1)  # (N*H*W, D) -> (N, H, W, D)


class _Window(NamedTuple):
    """How a convolution moves; padding before and after, along each axis."""

    strides: tuple[int, int]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, int]


_ONE_AROUND = _Window((1, 1), ((1, 1), (1, 1)), (1, 1))


def _spatial(
    x: Array,
    kernel: Array,
    strides: tuple[int, int],
    padding: Any,
    *,
    rhs_dilation: tuple[int, int],
    **_: Any,
) -> Array:
    """A convolution whose gradients are quick on the CPU, wherever they stand in a program."""
    padding = tuple((int(before), int(after)) for before, after in padding)
    return _convolve(x, _varying_like(kernel, x), _Window(strides, padding, rhs_dilation))


def _varying_like(kernel: Array, x: Array) -> Array:
    """The kernel, which under `jax.shard_map` varies over all devices that the map varies over.

    Then its gradient is summed over them behind `_convolve`, whose own rule knows nothing of them.
    """
    of_x, of_kernel = (jax.typeof(a).manual_axis_type.varying for a in (x, kernel))
    axes = tuple(of_x - of_kernel)
    return lax.pcast(kernel, axes, to="varying") if axes else kernel


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x: Array, kernel: Array, window: _Window) -> Array:
    """Convolve (N, H, W, C) with (h, w, C, D): (N, H', W', D)."""
    return _forward(x, kernel, window)


def _forward(x: Array, kernel: Array, window: _Window) -> Array:
    plainly = functools.partial(_plain, window=window)
    if _suits_winograd(x, kernel, window, CHANNELS_OF_WINOGRAD):
        return lax.platform_dependent(x, kernel, cpu=winograd.convolve, default=plainly)
    if _is_slow_stem(kernel):
        widened = functools.partial(_widened, window=window)
        return lax.platform_dependent(x, kernel, cpu=widened, default=plainly)
    return plainly(x, kernel)


def _is_slow_stem(kernel: Array) -> bool:
    """Whether XLA's CPU backend is slow at it: large taps on an image, to 17 to 32 features.

    7x7 taps on 3 channels take it seven times as long to 24 features as to 40 (jax 0.10.2).
    """
    height, width, channels, features = kernel.shape
    return height * width > 9 and channels <= 4 and 16 < features < QUICK_FEATURES


QUICK_FEATURES = 40


def _widened(x: Array, kernel: Array, window: _Window) -> Array:
    """The same convolution with taps of zeros for more features, which are cut off again."""
    features = kernel.shape[-1]
    wide = jnp.pad(kernel, ((0, 0), (0, 0), (0, 0), (0, QUICK_FEATURES - features)))
    return _plain(x, wide, window)[..., :features]


CHANNELS_OF_WINOGRAD = 64
"""From so many on `winograd` takes a CPU less time, forward and for the gradient in the map."""

CHANNELS_OF_ITS_KERNEL_GRADIENT = 128


def _suits_winograd(x: Array, kernel: Array, window: _Window, channels: int) -> bool:
    """Whether `winograd` can do it, there are so many channels, and places enough.

    bfloat16 would be rounded once more, before the products.
    """
    fits = kernel.shape[:2] == (3, 3) and window == _ONE_AROUND and x.dtype != jnp.bfloat16
    # jax.export's number of images is a symbol: at least 1.
    places = math.prod(side if isinstance(side, int) else 1 for side in x.shape[:3])
    return fits and min(kernel.shape[2:]) >= channels and places >= 1024


def _plain(
    x: Array,
    kernel: Array,
    window: _Window,
    layouts: tuple[str, str, str] = ("NHWC", "HWIO", "NHWC"),
) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.padding,
        rhs_dilation=window.dilation,
        dimension_numbers=layouts,
    )


def _gradients(window: _Window, saved: tuple[Array, Array], by_y: Array) -> tuple[Array, Array]:
    def plainly(x: Array, kernel: Array, by_y: Array) -> tuple[Array, Array]:
        return jax.vjp(lambda x, kernel: _plain(x, kernel, window), x, kernel)[1](by_y)

    for_cpu = functools.partial(_gradients_for_cpu, window)
    return lax.platform_dependent(*saved, by_y, cpu=for_cpu, default=plainly)


def _gradients_for_cpu(
    window: _Window, x: Array, kernel: Array, by_y: Array
) -> tuple[Array, Array]:
    """The gradients as convolutions in the usual layouts, channels last.

    XLA's CPU backend is slow at any other layout. It changes them itself, but at the top of a
    program only: in a loop or a branch the gradients would cost ten times as much.
    """
    if _suits_winograd(x, kernel, window, CHANNELS_OF_WINOGRAD):
        by_x = winograd.map_gradient(kernel, by_y)
    else:
        by_x = _map_gradient(window, x, kernel, by_y)
    if _suits_winograd(x, kernel, window, CHANNELS_OF_ITS_KERNEL_GRADIENT):
        return by_x, winograd.kernel_gradient(x, by_y)
    return by_x, _kernel_gradient(window, x, kernel, by_y)


def _map_gradient(window: _Window, x: Array, kernel: Array, by_y: Array) -> Array:
    """Gradient of the map, by the layout whose transposed convolution has the usual one."""
    swapped = kernel.swapaxes(2, 3)  # (h, w, C, D) -> (h, w, D, C)
    _, to_x = jax.vjp(lambda x: _plain(x, swapped, window, ("NHWC", "HWOI", "NHWC")), x)
    (by_x,) = to_x(by_y)
    return by_x


def _kernel_gradient(window: _Window, x: Array, kernel: Array, by_y: Array) -> Array:
    """Gradient of the kernel, as a convolution along the rows alone.

    Each of the kernel's columns sees every image moved by its own step across, and the places
    across and the images are then channels, summed over. This is up to twice as fast as a
    convolution with a kernel of H' x W', and as exact.
    """
    height, width, channels, features = kernel.shape
    rows, columns = by_y.shape[1:3]
    (down, across), (dilation_down, dilation_across) = window.strides, window.dilation
    x = x.transpose(3, 1, 0, 2)  # (N, H, W, C) -> (C, H, N, W)
    # Rows that no window reaches would be places of the result.
    reach = (rows - 1) * down + (height - 1) * dilation_down + 1
    before, _ = window.padding[0]
    x = lax.pad(
        x,
        jnp.zeros((), x.dtype),
        [(0, 0, 0), (before, reach - before - x.shape[1], 0), (0, 0, 0), (*window.padding[1], 0)],
    )
    moved = [
        lax.slice_in_dim(x, start, start + (columns - 1) * across + 1, across, axis=3)
        for start in range(0, width * dilation_across, dilation_across)
    ]
    by_column = jnp.stack(moved).reshape(width * channels, reach, -1)  # -> (w*C, H, N*W')
    # (N, H', W', D) -> (H', N, W', D) -> (H', N*W', D)
    taps = by_y.transpose(1, 0, 2, 3).reshape(rows, -1, features)
    gradient = lax.conv_general_dilated(
        by_column,
        taps,
        (dilation_down,),
        [(0, 0)],
        rhs_dilation=(down,),
        dimension_numbers=("NHC", "HIO", "NHC"),
    )  # (w*C, h, D)
    # (w*C, h, D) -> (w, C, h, D) -> (h, w, C, D)
    return gradient.reshape(width, channels, height, features).transpose(2, 0, 1, 3)


_convolve.defvjp(lambda x, kernel, window: (_forward(x, kernel, window), (x, kernel)), _gradients)
