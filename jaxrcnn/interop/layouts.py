"""How the arrays of a torch model lie, and how ours do.

A `Layout` is a pair of functions in numpy, each the other's inverse: bits move, none changes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Move = Callable[[np.ndarray], np.ndarray]


class Layout(NamedTuple):
    """The way to our arrangement of a tensor, and the way back."""

    ours: Move
    theirs: Move


def then(first: Layout, second: Layout) -> Layout:
    """One layout after another, on the way to ours."""
    return Layout(
        lambda x: second.ours(first.ours(x)),
        lambda x: first.theirs(second.theirs(x)),
    )


SAME = Layout(lambda x: x, lambda x: x)

CONV = Layout(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
"""Kernels of convolutions, (O, I, h, w) and (h, w, I, O)."""

LINEAR = Layout(lambda x: x.T, lambda x: x.T)
"""Kernels of linear layers, (O, I) and (I, O)."""

BGR = Layout(lambda x: x[:, ::-1], lambda x: x[:, ::-1])
"""The first convolution (O, 3, h, w) of a network that takes blue first: ours takes red first."""

BACKGROUND_LAST = Layout(lambda x: np.roll(x, 1, 0), lambda x: np.roll(x, -1, 0))
"""Class logits (K + 1, ...) whose last is the background: Detectron2's. Ours is the first."""


def flattened(side: int) -> Layout:
    """A linear layer (O, C*P*P) on windows that were flattened channels first; ours (O, P*P*C)."""

    def ours(x: np.ndarray) -> np.ndarray:
        windows = x.reshape(len(x), -1, side, side)  # (O, C*P*P) -> (O, C, P, P)
        return windows.transpose(0, 2, 3, 1).reshape(len(x), -1)  # -> (O, P*P*C)

    def theirs(x: np.ndarray) -> np.ndarray:
        windows = x.reshape(len(x), side, side, -1)  # (O, P*P*C) -> (O, P, P, C)
        return windows.transpose(0, 3, 1, 2).reshape(len(x), -1)  # -> (O, C*P*P)

    return Layout(ours, theirs)


def sizes_first(sizes: int, ratios: int) -> Layout:
    """Values (A * n, ...) of a cell's anchors that lie by ratio and then size; ours by size first.

    torchvision's order, where a level has several sizes. n is 1 for logits, 4 for box deltas.
    """

    def swap(x: np.ndarray, outer: int, inner: int) -> np.ndarray:
        split = x.reshape(outer, inner, -1, *x.shape[1:])  # (A*n, ...) -> (outer, inner, n, ...)
        return split.swapaxes(0, 1).reshape(x.shape)

    return Layout(lambda x: swap(x, ratios, sizes), lambda x: swap(x, sizes, ratios))
