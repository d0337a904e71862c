"""Plain numpy references."""

import numpy as np
import pytest


def convolve(x, kernel, stride=1, padding=0, dilation=1, groups=1):
    size = kernel.shape[0]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    reach = dilation * (size - 1) + 1
    height, width = ((side - reach) // stride + 1 for side in x.shape[1:3])
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    y = np.zeros((len(x), height, width, kernel.shape[3]))
    for row in range(height):
        for column in range(width):
            top, left = row * stride, column * stride
            window = x[:, top : top + reach : dilation, left : left + reach : dilation]
            for group in range(groups):
                mine = window[..., group * inputs : (group + 1) * inputs]
                to = slice(group * outputs, (group + 1) * outputs)
                y[:, row, column, to] = np.tensordot(mine, kernel[..., to], 3)
    return y


@pytest.fixture
def numpy_conv():
    return convolve
