"""Boxes on pictures, sheets of pictures, and a run's curves."""

import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxrcnn.types import Losses

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import ImageFont

    from jaxrcnn.data.records import Record
    from jaxrcnn.evaluation.coco import PictureDetections

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

LOSS_NAMES = ("train/loss", *(f"train/loss_{field}" for field in Losses._fields))
"""The metrics that losses.png draws: the total, then its parts. It shows ``eval/loss`` too."""

AP_NAMES = ("eval/AP", "eval/AP50", "eval/AP75")
"""The metrics that ap.png draws."""

LINE_COLORS = ("#222222", "#2185ee", "#e63946", "#2aa763", "#9657e8")

READABLE_SIDE = 360  # pixels; a picture whose longer side has fewer is enlarged to about that
LARGEST_CELL = 1600  # pixels; a picture on a sheet has no longer side


def class_color(label: int) -> tuple[int, int, int]:
    """Colour of a label (1..K), red, green and blue, 0..255."""
    return PALETTE[(label - 1) % len(PALETTE)]


def enlargement(height: int, width: int) -> int:
    """Whole factor by which a small picture is enlarged, so that its tags can be read."""
    return max(1, round(READABLE_SIDE / max(height, width)))


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray | None,
    class_names: Sequence[str],
) -> np.ndarray:
    """A copy of the picture with boxes, each with its class name and score on a tag.

    Args:
        image: (H, W, 3) uint8, RGB.
        boxes: (D, 4) xyxy in pixels of the picture; what lies outside is clipped.
        labels: (D,) int, 1..K.
        scores: (D,) from 0 to 1, or None for ground truth. Better boxes are drawn over worse ones.
        class_names: K names, that of label 1 first.

    Returns:
        (H * s, W * s, 3) uint8, where s is `enlargement`: 1 but for small pictures.
    """
    from PIL import Image, ImageDraw

    height, width = image.shape[:2]
    scale = enlargement(height, width)
    size = (width * scale, height * scale)
    picture = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(size) / 320))
    order = np.arange(len(boxes)) if scores is None else np.argsort(-scores, kind="stable")
    corners = _pixel_corners(boxes, scale, size)

    for i in order[::-1]:
        draw.rectangle(corners[i], outline=class_color(int(labels[i])), width=line)

    font = _font(max(size))
    tags = []
    for i in order:
        text = class_names[int(labels[i]) - 1] + ("" if scores is None else f" {scores[i]:.2f}")
        place = _place_tag(_tag_size(text, font), corners[i], size, [tag.place for tag in tags])
        tags.append(_Tag(text, place, class_color(int(labels[i]))))
    for tag in reversed(tags):
        draw.rectangle(tag.place, fill=tag.color)
        x0, y0, x1, y1 = tag.place
        draw.text(((x0 + x1) / 2, (y0 + y1) / 2), tag.text, _ink(tag.color), font, anchor="mm")
    return np.array(picture)


def draw_comparison(
    image: np.ndarray,
    detections: "PictureDetections",
    truth: "Record",
    class_names: Sequence[str],
    *,
    min_score: float = 0.3,
) -> np.ndarray:
    """The ground truth and the detections of a picture, side by side under their titles.

    Args:
        image: (H, W, 3) uint8, RGB.
        detections: what is found, in pixels of the picture.
        truth: the picture's record.
        class_names: K names, that of label 1 first.
        min_score: detections below are not drawn.

    Returns:
        (H', W', 3) uint8, a little more than twice as wide as the picture.
    """
    from PIL import Image, ImageDraw

    kept = detections.scores >= min_score
    boxes, scores, labels = (values[kept] for values in detections)
    panels = {
        "ground truth": draw_boxes(image, truth.boxes, truth.labels, None, class_names),
        "detections": draw_boxes(image, boxes, labels, scores, class_names),
    }
    height, width = panels["detections"].shape[:2]
    font = _font(max(height, width), factor=1.3)
    strip, gap = _tag_size("", font)[1] * 3 // 2, max(4, width // 80)
    sheet = Image.new("RGB", (2 * width + gap, strip + height), "white")
    draw = ImageDraw.Draw(sheet)
    for left, (title, panel) in zip((0, width + gap), panels.items(), strict=True):
        draw.text((left + width / 2, strip / 2), title, (40, 40, 40), font, anchor="mm")
        sheet.paste(Image.fromarray(panel), (left, strip))
    return np.array(sheet)


def save_picture_sheet(path: str | os.PathLike[str], images: Sequence[np.ndarray]) -> None:
    """Write pictures as one, in a grid on white, a little wider than high.

    Args:
        path: file to write, PNG or JPEG by its name; its folder is made where missing.
        images: (H, W, 3) uint8 each, at least one; sizes may differ.
    """
    from PIL import Image

    pictures = [Image.fromarray(image) for image in images]
    for picture in pictures:
        picture.thumbnail((LARGEST_CELL, LARGEST_CELL))
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    columns = max(1, round(math.sqrt(len(pictures) * height / width * 4 / 3)))
    columns = min(columns, len(pictures))
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    heights = [max(picture.height for picture in row) for row in rows]
    gap = max(8, width // 50)
    size = (gap + columns * (width + gap), gap + sum(heights) + gap * len(rows))
    sheet = Image.new("RGB", size, "white")
    top = gap
    for row, row_height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            left = gap + column * (width + gap) + (width - picture.width) // 2
            sheet.paste(picture, (left, top + (row_height - picture.height) // 2))
        top += row_height + gap
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def plot_curves(
    metrics_rows: Sequence[Mapping[str, Any]], directory: str | os.PathLike[str]
) -> list[pathlib.Path]:
    """Draw a run's losses, learning rate and average precision over its steps.

    Args:
        metrics_rows: the lines of metrics.jsonl: ``step`` and any of `LOSS_NAMES`, ``eval/loss``,
            ``train/learning_rate`` and `AP_NAMES`; values may be None.
        directory: folder for losses.png and ap.png, made where missing.

    Returns:
        The files that were written: those for which there is something to draw.
    """
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    if any(name in row for row in metrics_rows for name in LOSS_NAMES):
        written.append(_plot_losses(metrics_rows, folder / "losses.png"))
    if any(name in row for row in metrics_rows for name in AP_NAMES):
        written.append(_plot_precision(metrics_rows, folder / "ap.png"))
    return written


def smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a centred window of a twentieth of the points (M,), cut off at the ends."""
    reach = len(values) // 40
    totals = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    start, end = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    return (totals[end] - totals[start]) / (end - start)


def clean_axes(axes: "Axes", title: str) -> None:
    """The look of every plot: a title at the left, a light grid, two sides of the frame."""
    axes.set_title(title, loc="left", fontsize=11, color="#333333")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=9, color="#999999")


Corners = tuple[int, int, int, int]  # x0, y0, x1, y1 of pixels, the last ones included


class _Tag(NamedTuple):
    text: str
    place: Corners
    color: tuple[int, int, int]


def _pixel_corners(boxes: np.ndarray, scale: int, size: tuple[int, int]) -> list[Corners]:
    """First and last pixels of boxes, at least one pixel each and inside the picture."""
    last = np.array([size[0] - 1, size[1] - 1])
    first = np.rint(boxes[:, :2] * scale).clip(0, last).astype(int)
    end = (np.rint(boxes[:, 2:] * scale) - 1).clip(first, last).astype(int)
    x0, y0, x1, y1 = np.concatenate([first, end], axis=1).T.tolist()
    return list(zip(x0, y0, x1, y1, strict=True))


def _font(side: int, factor: float = 1.0) -> "ImageFont.FreeTypeFont":
    """Pillow's own font, in a size that can be read on a picture with this longer side."""
    from PIL import ImageFont

    font = ImageFont.load_default(size=round(factor * max(11, side / 50)))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow is built without FreeType, which draws the tags")
    return font


def _tag_size(text: str, font: "ImageFont.FreeTypeFont") -> tuple[int, int]:
    ascent, descent = font.getmetrics()
    return math.ceil(font.getlength(text) + font.size / 2), ascent + descent


def _ink(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """White or nearly black, whichever reads better (luma weights of ITU-R BT.601)."""
    luma = np.dot(background, (0.299, 0.587, 0.114))
    return (20, 20, 20) if luma > 140 else (255, 255, 255)


def _place_tag(
    tag: tuple[int, int], box: Corners, size: tuple[int, int], taken: list[Corners]
) -> Corners:
    """Where a tag goes: the first place at its box's edges that covers no other tag."""
    width, height = tag
    x0, y0, x1, y1 = box
    inside = [y0] if y1 - y0 > 2 * height else []  # a tag in a small box would hide it
    best, least = (0, 0, 0, 0), math.inf
    for top in (y0 - height, *inside, y1 + 1):
        for left in (x0, x1 + 1 - width):
            x = max(0, min(left, size[0] - width))
            y = max(0, min(top, size[1] - height))
            place = (x, y, x + width - 1, y + height - 1)
            # A place that had to move into the picture is a little worse than one that did not.
            cost = sum(_shared_pixels(place, other) for other in taken) + abs(top - y) / size[1]
            if cost < least:
                best, least = place, cost
    return best


def _shared_pixels(a: Corners, b: Corners) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    return max(0, width) * max(0, height)


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of a metric, (M,) each, rows without a value left out."""
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return np.array([step for step, _ in points]), np.array([value for _, value in points])


def _plot_losses(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> pathlib.Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=120, layout="constrained")
    losses, rate = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    everything = [np.zeros(0)]
    for name, color in zip(LOSS_NAMES, LINE_COLORS, strict=True):
        steps, values = _series(rows, name)
        if len(steps) == 0:
            continue
        everything.append(values)
        losses.plot(steps, values, color=color, alpha=0.2, linewidth=0.8)
        width = 2.2 if name == "train/loss" else 1.5
        label = name.removeprefix("train/loss").removeprefix("_") or "total"
        losses.plot(steps, smooth(values), color=color, linewidth=width, label=label)
    steps, values = _series(rows, "eval/loss")
    if len(steps):
        everything.append(values)
        losses.plot(
            steps, values, "o--", color="#222222", linewidth=1, markersize=4, label="total, eval"
        )
    values = np.concatenate(everything)
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        losses.set_yscale("log")
    if len(values):
        losses.legend(frameon=False, fontsize=9, ncols=2)
    clean_axes(losses, "losses")
    rate.plot(*_series(rows, "train/learning_rate"), color="#767f8c", linewidth=1.5)
    rate.set_ylim(bottom=0)
    rate.set_xlabel("step", fontsize=9)
    clean_axes(rate, "learning rate")
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)
    return path


def _plot_precision(rows: Sequence[Mapping[str, Any]], path: pathlib.Path) -> pathlib.Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    last_points = []
    for name, color in zip(AP_NAMES, LINE_COLORS, strict=False):
        steps, values = _series(rows, name)
        if len(steps):
            axes.plot(steps, values, "o-", color=color, linewidth=1.8, markersize=4)
            last_points.append((values[-1], steps[-1], name.removeprefix("eval/"), color))
    height = -1.0
    for value, step, label, color in sorted(last_points):
        height = max(value, height + 0.05)  # names stand apart where the lines do not
        axes.annotate(
            f"{label} {value:.3f}",
            (step, height),
            xytext=(10, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
    axes.set_ylim(0, 1)
    axes.set_xlabel("step", fontsize=9)
    clean_axes(axes, "average precision")
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)
    return path
