"""Where images lie on a sheet: in rows that are equally wide, each of one height."""

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

SHAPE = 4 / 3
"""Width of a sheet over its height, as nearly as whole rows allow."""

WIDEST = 3200
"""Pixels; no sheet is wider, except for images that have to be at least a pixel wide."""

SLIMMEST, BROADEST = 1 / 3, 6.0
"""Width over height of a cell; an image beyond has white beside it."""


class Cell(NamedTuple):
    """Where an image is, in pixels of the sheet."""

    left: int
    top: int
    width: int
    height: int


class Sheet(NamedTuple):
    """Cells in the order of their images, and the size of the sheet."""

    cells: list[Cell]
    width: int
    height: int


def arrange(sizes: Sequence[tuple[int, int]]) -> Sheet:
    """Arrange images in rows, in their order.

    The images of a row have one height, and rows have about the same, since images are divided
    among them so that each row is about as wide as the others before it is scaled to their width.

    Args:
        sizes: width and height of each image, pixels; at least one.
    """
    ratios = [min(max(width / height, SLIMMEST), BROADEST) for width, height in sizes]
    rows = divide(ratios, max(1, round(math.sqrt(sum(ratios) / SHAPE))))
    typical = statistics.median(height for _, height in sizes)
    width = min(WIDEST, round(typical * sum(ratios) / len(rows)))
    gap = max(8, width // 150)
    cells, top, place = [], gap, 0
    for row in rows:
        own = ratios[place : place + row]
        height = max(1, round((width - gap * (row - 1)) / sum(own)))
        # Ends are rounded and not widths, so that all rows end at the same pixel.
        shares = [0.0, *itertools.accumulate(own)]
        room = max(width - gap * (row - 1), row)
        ends = [round(room * share / shares[-1]) for share in shares]
        for column, (begin, end) in enumerate(itertools.pairwise(ends)):
            cells.append(Cell(gap + begin + column * gap, top, max(1, end - begin), height))
        top += height + gap
        place += row
    return Sheet(cells, width + 2 * gap, top)


def divide(widths: Sequence[float], number: int) -> list[int]:
    """How many images each row has, so that the rows are about equally wide.

    Args:
        widths: of the images, of one height; an image is in the row in which its middle falls
            where all of them in one line are cut into equal rows.
        number: of rows; one that no image falls into is left out.
    """
    ends = list(itertools.accumulate(widths))
    middles = [end - width / 2 for end, width in zip(ends, widths, strict=True)]
    rows = [int(number * middle / ends[-1]) for middle in middles]
    return [len(list(images)) for _, images in itertools.groupby(rows)]
