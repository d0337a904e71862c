"""Shapes of batches, as they are typed: 2x320x320."""

import argparse
import re
from typing import NamedTuple


class Shape(NamedTuple):
    """Of a batch."""

    images: int
    height: int  # pixels
    width: int

    def __str__(self) -> str:
        return f"{self.images}x{self.height}x{self.width}"


def shape(text: str) -> Shape:
    """The type of an argument such as 2x320x320."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected images, height and width, such as 2x320x320"
        )
    return Shape(*map(int, found.groups()))
