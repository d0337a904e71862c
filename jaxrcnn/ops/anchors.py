"""Anchors: the reference boxes of the region proposal network.

They depend on shapes alone, so they are drawn once, in numpy, and enter a traced function as
constants. The order is (level, row, column, size, ratio), the last fastest: that of the heads'
outputs.
"""

import functools

import numpy as np

Sizes = tuple[float, ...]


def cell_anchors(sizes: Sizes, ratios: tuple[float, ...], rounded: bool = False) -> np.ndarray:
    """Anchors of one cell, centred at the origin.

    Args:
        sizes: square roots of the areas, pixels.
        ratios: heights over widths.
        rounded: round the corners to whole pixels, halves to even, as torchvision does.

    Returns:
        (sizes * ratios, 4) float32, ratios fastest.
    """
    shapes = [(s * np.sqrt(1 / r), s * np.sqrt(r)) for s in sizes for r in ratios]
    anchors = np.array([(-w / 2, -h / 2, w / 2, h / 2) for w, h in shapes]).reshape(-1, 4)
    if rounded:
        anchors = np.round(anchors)
    return anchors.astype(np.float32)


def grid_anchors(
    feature_size: tuple[int, int], stride: tuple[int, int], cell: np.ndarray, offset: float = 0.0
) -> np.ndarray:
    """The anchors of a cell set on every place of a feature map.

    Args:
        feature_size: height and width of the map.
        stride: pixels from one place to the next below, and to the next on the right.
        cell: (C, 4) anchors around the origin.
        offset: place of the first centre, as a fraction of the stride.

    Returns:
        (height * width * C, 4) float32, ordered by row, column and anchor of the cell.
    """
    height, width = feature_size
    y, x = np.meshgrid(
        (np.arange(height) + offset) * stride[0],
        (np.arange(width) + offset) * stride[1],
        indexing="ij",
    )
    centres = np.stack([x, y, x, y], axis=-1)
    anchors = centres[:, :, None] + cell
    return anchors.reshape(-1, 4).astype(np.float32)  # (H, W, C, 4) -> (H*W*C, 4)


@functools.lru_cache(maxsize=64)
def pyramid_anchors(
    feature_sizes: tuple[tuple[int, int], ...],
    strides: tuple[tuple[int, int], ...],
    sizes: tuple[Sizes, ...],
    ratios: tuple[float, ...],
    offset: float = 0.0,
    rounded: bool = False,
) -> np.ndarray:
    """Anchors of all levels, concatenated in the order of the levels.

    Args:
        feature_sizes: height and width of each level's map.
        strides: pixels between two places of each level, down and across.
        sizes: square roots of the anchors' areas, pixels, a tuple for each level.
        ratios: heights over widths, for every level.
        offset: place of the first centre, as a fraction of the stride.
        rounded: see `cell_anchors`.

    Returns:
        (A, 4) float32, read-only since calls share it.

    Raises:
        ValueError: the numbers of maps, strides and tuples of sizes differ.
    """
    if not len(feature_sizes) == len(strides) == len(sizes):
        raise ValueError(
            f"anchors need a stride and a tuple of sizes for every feature map: got "
            f"{len(feature_sizes)} maps, {len(strides)} strides, {len(sizes)} tuples of sizes"
        )
    levels = [
        grid_anchors(feature_size, stride, cell_anchors(level_sizes, ratios, rounded), offset)
        for feature_size, stride, level_sizes in zip(feature_sizes, strides, sizes, strict=True)
    ]
    anchors = np.concatenate(levels) if levels else np.zeros((0, 4), np.float32)
    anchors.flags.writeable = False
    return anchors
