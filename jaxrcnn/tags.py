"""Names and scores beside boxes: what they say, and where they stand."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxrcnn.fonts import Fonts

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

Corners = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels, the last ones included."""

MANY = 40
"""Boxes, from which on tags are small and lines thin."""

COVERED = 0.15
"""Share of the image that the tags of many boxes may cover; the best come first."""

ELLIPSIS = "…"


class Tag(NamedTuple):
    """A text and its place."""

    text: str
    place: Corners
    color: tuple[int, int, int]


def font_size(side: int, boxes: int) -> float:
    """Pixels, to be read on an image with this longer side."""
    return max(10, side / 90) if boxes > MANY else max(11, side / 50)


def plan_tags(
    texts: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
    boxes: Sequence[Corners],
    size: tuple[int, int],
    fonts: Fonts,
) -> list[Tag]:
    """Tags for boxes, in their order, the first being the most important.

    Of many boxes those whose tags would cover other tags, or too much of the image, have none.

    Args:
        texts: of the tags.
        colors: of the tags.
        boxes: first and last pixels of each box.
        size: width and height of the image.
        fonts: to write with.
    """
    many = len(boxes) > MANY
    room = COVERED * size[0] * size[1] if many else math.inf
    every = np.array(boxes, int).reshape(-1, 4)
    tags: list[Tag] = []
    taken = np.zeros((0, 4), int)
    for number, (text, color, box) in enumerate(zip(texts, colors, boxes, strict=True)):
        text = shortened(text, fonts, size[0])
        width, height = tag_size(text, fonts.of(text))
        others = np.delete(every, number, axis=0) if many else every[:0]
        place, hidden = _place(width, height, box, size, taken, others)
        if many and (hidden or width * height > room):
            continue
        room -= width * height
        tags.append(Tag(text, place, color))
        taken = np.concatenate([taken, [place]])
    return tags


def shortened(text: str, fonts: Fonts, width: int) -> str:
    """The text on one line, and without its middle where it is wider than half of the image."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    font = fonts.of(text)
    room = min(max(width / 2, 12 * font.size), width - font.size / 2)
    kept = len(text)
    short = text
    while font.getlength(short) > room and kept > 2:
        kept -= 1
        short = text[: (kept + 1) // 2] + ELLIPSIS + text[len(text) - kept // 2 :]
    return short


def tag_size(text: str, font: "ImageFont.FreeTypeFont") -> tuple[int, int]:
    """Width and height of a tag, pixels."""
    ascent, descent = font.getmetrics()
    return math.ceil(font.getlength(text) + font.size / 2), ascent + descent


def draw_tag(draw: "ImageDraw.ImageDraw", tag: Tag, fonts: Fonts) -> None:
    """Draw a tag."""
    x0, y0, x1, y1 = tag.place
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    draw.rectangle(tag.place, fill=tag.color)
    draw.text(middle, tag.text, _ink(tag.color), fonts.of(tag.text), anchor="mm")


def _ink(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """White or nearly black, whichever reads better (luma weights of ITU-R BT.601)."""
    luma = np.dot(background, (0.299, 0.587, 0.114))
    return (20, 20, 20) if luma > 140 else (255, 255, 255)


def _place(
    width: int,
    height: int,
    box: Corners,
    size: tuple[int, int],
    taken: np.ndarray,
    others: np.ndarray,
) -> tuple[Corners, bool]:
    """Where a tag goes: the first place at its box's edges that covers no other tag.

    Returns:
        The place, and whether it covers another tag.
    """
    x0, y0, x1, y1 = box
    inside = [y0] if y1 - y0 > 2 * height else []  # a tag in a small box would hide it
    best, least, hidden = (0, 0, 0, 0), math.inf, False
    for top in (y0 - height, *inside, y1 + 1):
        for left in (x0, x1 + 1 - width):
            x = max(0, min(left, size[0] - width))
            y = max(0, min(top, size[1] - height))
            place = (x, y, x + width - 1, y + height - 1)
            covered = _shared_pixels(place, taken)
            # A place that had to move into the image is a little worse than one that did not, and
            # one that hides other boxes worse than one that does not.
            moved = abs(top - y) / size[1]
            cost = covered + 0.1 * _shared_pixels(place, others) + moved
            if cost < least:
                best, least, hidden = place, cost, covered > 0
    return best, hidden


def _shared_pixels(place: Corners, others: np.ndarray) -> int:
    """Pixels of a rectangle that lie in others (M, 4), in each of them counted."""
    first = np.maximum(others[:, :2], place[:2])
    last = np.minimum(others[:, 2:], place[2:])
    return int((last - first + 1).clip(0).prod(axis=1).sum())
