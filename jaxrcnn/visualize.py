"""Boxes on images, and sheets of images."""

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxrcnn.fonts import Fonts
from jaxrcnn.sheets import arrange
from jaxrcnn.tags import MANY, Corners, draw_tag, font_size, plan_tags, tag_size

if TYPE_CHECKING:
    from jaxrcnn.data.records import Record
    from jaxrcnn.evaluation.coco import ImageDetections

PALETTE = (
    (230, 57, 70),  # red
    (33, 133, 238),  # blue
    (255, 190, 11),  # amber
    (42, 187, 107),  # green
    (150, 87, 232),  # violet
    (255, 122, 26),  # orange
    (0, 183, 189),  # teal
    (240, 86, 175),  # pink
    (133, 173, 46),  # olive
    (176, 106, 62),  # brown
    (78, 205, 255),  # sky
    (118, 136, 150),  # slate
)
"""Colours of the classes, red, green and blue, 0..255; label 1 has the first."""

READABLE_SIDE = 360  # pixels; an image whose longer side has fewer is enlarged to about that


def class_color(label: int) -> tuple[int, int, int]:
    """Colour of a label (1..K), red, green and blue, 0..255."""
    return PALETTE[(label - 1) % len(PALETTE)]


def enlargement(height: int, width: int) -> int:
    """Whole factor by which a small image is enlarged, so that its tags can be read."""
    return max(1, round(READABLE_SIDE / max(height, width)))


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray | None,
    class_names: Sequence[str],
    *,
    font: str | os.PathLike[str] | None = None,
) -> np.ndarray:
    """A copy of the image with boxes, each with its class name and score on a tag.

    With more than `jaxrcnn.tags.MANY` boxes lines are thin and tags small, and where there is no
    room for the tag of a box, the better boxes' tags are drawn.

    Args:
        image: (H, W, 3) uint8, RGB.
        boxes: (D, 4) xyxy in pixels of the image; what lies outside is clipped, and boxes with a
            coordinate that is not a number are left out.
        labels: (D,) int, 1..K.
        scores: (D,) from 0 to 1, or None for ground truth. Better boxes are drawn over worse ones.
        class_names: K names, that of label 1 first.
        font: file of a font for names that DejaVu Sans cannot write, by default $JAXRCNN_FONT.

    Returns:
        (H * s, W * s, 3) uint8, where s is `enlargement`: 1 but for small images.
    """
    boxes, labels = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(labels)
    order = (
        np.arange(len(boxes)) if scores is None else np.argsort(-np.asarray(scores), kind="stable")
    )
    order = order[~np.isnan(boxes[order]).any(axis=1)]
    texts = [
        class_names[int(labels[i]) - 1] + ("" if scores is None else f" {scores[i]:.2f}")
        for i in order
    ]
    colors = [class_color(int(label)) for label in labels[order]]
    return draw_tagged(image, boxes[order], texts, colors, font=font)


LONGEST_TAG = 200
"""Characters of a tag: more reach out of the image, and take long to measure."""


def draw_tagged(
    image: np.ndarray,
    boxes: np.ndarray,
    texts: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
    *,
    font: str | os.PathLike[str] | None = None,
) -> np.ndarray:
    """A copy of the image with boxes, each with its text on a tag; see `draw_boxes`.

    Args:
        image: (H, W, 3) uint8, RGB.
        boxes: (D, 4) xyxy in pixels of the image, finite; the first are drawn over the others.
        texts: of the tags; a box with an empty one has no tag.
        colors: red, green and blue of each box, 0..255.
        font: file of a font, as for `draw_boxes`.

    Returns:
        (H * s, W * s, 3) uint8, where s is `enlargement`.
    """
    from PIL import Image, ImageDraw

    texts = [text[:LONGEST_TAG] for text in texts]
    height, width = image.shape[:2]
    scale = enlargement(height, width)
    size = (width * scale, height * scale)
    drawing = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(drawing)
    corners = _pixel_corners(np.asarray(boxes, np.float64).reshape(-1, 4), scale, size)
    many = len(corners) > MANY
    thickness = max(1, round(max(size) / 800)) if many else max(2, round(max(size) / 320))
    for box, color in zip(corners[::-1], colors[::-1], strict=True):
        draw.rectangle(box, outline=color, width=thickness)

    fonts = Fonts(font_size(max(size), len(corners)), font)
    tagged = [place for place, text in enumerate(texts) if text]
    tags = plan_tags(
        [texts[place] for place in tagged],
        [colors[place] for place in tagged],
        [corners[place] for place in tagged],
        *(size, fonts),
    )
    for tag in reversed(tags):
        draw_tag(draw, tag, fonts)
    return np.array(drawing)


def draw_comparison(
    image: np.ndarray,
    detections: "ImageDetections",
    truth: "Record",
    class_names: Sequence[str],
    *,
    min_score: float = 0.3,
) -> np.ndarray:
    """The ground truth and the detections of an image, side by side under their titles.

    Where there are no detections to draw, their title says so.

    Args:
        image: (H, W, 3) uint8, RGB.
        detections: what is found, in pixels of the image.
        truth: the image's record.
        class_names: K names, that of label 1 first.
        min_score: detections below are not drawn.

    Returns:
        (H', W', 3) uint8, a little more than twice as wide as the image.
    """
    from PIL import Image, ImageDraw

    kept = detections.scores >= min_score
    boxes, scores, labels = (values[kept] for values in detections)
    panels = {
        "ground truth": draw_boxes(image, truth.boxes, truth.labels, None, class_names),
        "detections" if len(boxes) else f"nothing above {min_score:.2f}": draw_boxes(
            image, boxes, labels, scores, class_names
        ),
    }
    height, width = panels["ground truth"].shape[:2]
    font = Fonts(1.3 * font_size(max(height, width), 0)).of("")
    strip, gap = tag_size("", font)[1] * 3 // 2, max(4, width // 80)
    sheet = Image.new("RGB", (2 * width + gap, strip + height), "white")
    draw = ImageDraw.Draw(sheet)
    for left, (title, panel) in zip((0, width + gap), panels.items(), strict=True):
        draw.text((left + width / 2, strip / 2), title, (40, 40, 40), font, anchor="mm")
        sheet.paste(Image.fromarray(panel), (left, strip))
    return np.array(sheet)


def save_image_sheet(path: str | os.PathLike[str], images: Sequence[np.ndarray]) -> None:
    """Write images as one, on white, in rows that are equally wide; see `jaxrcnn.sheets`.

    Args:
        path: file to write, PNG or JPEG by its name; its folder is made where missing.
        images: (H, W, 3) uint8 each, at least one; those of a row are scaled to one height.
    """
    from PIL import Image

    arranged = arrange([(image.shape[1], image.shape[0]) for image in images])
    sheet = Image.new("RGB", (arranged.width, arranged.height), "white")
    for image, cell in zip(images, arranged.cells, strict=True):
        height, width = image.shape[:2]
        scale = min(cell.width / width, cell.height / height)
        # An image fills its cell, but for one of an extreme shape.
        size = [
            room if room - side * scale < 1 else max(1, round(side * scale))
            for side, room in ((width, cell.width), (height, cell.height))
        ]
        scaled = Image.fromarray(image).resize((size[0], size[1]), Image.Resampling.BICUBIC)
        left = cell.left + (cell.width - size[0]) // 2
        sheet.paste(scaled, (left, cell.top + (cell.height - size[1]) // 2))
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _pixel_corners(boxes: np.ndarray, scale: int, size: tuple[int, int]) -> list[Corners]:
    """First and last pixels of boxes, at least one pixel each and inside the image."""
    last = np.array([size[0] - 1, size[1] - 1])
    first = np.rint(boxes[:, :2] * scale).clip(0, last).astype(int)
    end = (np.rint(boxes[:, 2:] * scale) - 1).clip(first, last).astype(int)
    x0, y0, x1, y1 = np.concatenate([first, end], axis=1).T.tolist()
    return list(zip(x0, y0, x1, y1, strict=True))
