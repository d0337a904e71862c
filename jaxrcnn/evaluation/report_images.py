"""The images of a report, with what is wrong in them."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.analysis.tide import KINDS
from jaxrcnn.evaluation.analysis.worst import Mistake, WorstImage
from jaxrcnn.evaluation.report_tables import name_kind
from jaxrcnn.pages import thumbnail
from jaxrcnn.visualize import draw_tagged
from jaxrcnn.wording import counted

SIDE = 560
"""Of an image on the page, pixels."""

KIND_COLORS = {
    "classification": "#d55e00",
    "localisation": "#2185ee",
    "both": "#cc79a7",
    "duplicate": "#e69f00",
    "background": "#9657e8",
    "missed": "#f0e442",
}
"""Of each kind of error."""

RIGHT = "#9aa4af"
"""Of detections that are right."""


class Drawn(NamedTuple):
    """An image of the page."""

    uri: str  # empty where the image cannot be read
    caption: str


def draw_worst(worst: Sequence[WorstImage], dataset: Dataset) -> list[Drawn]:
    """The images with their mistakes, each with its kind of error on a tag."""
    drawn = []
    for one in worst:
        counts = Counter(mistake.kind for mistake in one.mistakes)
        said = ", ".join(f"{counts[kind]} {name_kind(kind)}" for kind in KINDS if counts[kind])
        name = dataset.records[one.image].name
        caption = f"{name}: {counted(len(one.mistakes), 'mistake')} ({said})"
        try:
            image = dataset.read_image(one.image)
        except DataError:
            drawn.append(Drawn("", f"{caption}; the image cannot be read"))
            continue
        drawn.append(Drawn(thumbnail(_draw(image, one, dataset.class_names), SIDE), caption))
    return drawn


def _draw(image: np.ndarray, one: WorstImage, names: Sequence[str]) -> np.ndarray:
    image, scale = _shrunk(image)
    boxes = np.concatenate([[mistake.box for mistake in one.mistakes], one.right])
    texts = [_tag(mistake, names) for mistake in one.mistakes]
    colors = [KIND_COLORS[mistake.kind] for mistake in one.mistakes]
    right = len(one.right)
    return draw_tagged(
        image,
        boxes * scale,
        [*texts, *[""] * right],
        [_rgb(color) for color in (*colors, *[RIGHT] * right)],
    )


def _shrunk(image: np.ndarray) -> tuple[np.ndarray, float]:
    """A large image at twice its size on the page, where drawing costs less, and its scale."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = min(1.0, 2 * SIDE / max(height, width))
    if scale == 1:
        return image, scale
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.array(Image.fromarray(image).resize(size)), scale


def _tag(mistake: Mistake, names: Sequence[str]) -> str:
    name = names[mistake.label - 1]
    if mistake.score is None:
        return f"missed {name}"
    if mistake.meant:
        return f"{name} {mistake.score:.2f}, is {names[mistake.meant - 1]}"
    return f"{name} {mistake.score:.2f} {name_kind(mistake.kind)}"


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
