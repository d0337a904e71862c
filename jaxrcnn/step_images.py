"""Draws what a training step is fed: an image with its ground truth, anchors and RoIs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxrcnn.fonts import Fonts
from jaxrcnn.visualize import draw_boxes

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from jaxrcnn.evaluation.coco import ImageDetections

Color = tuple[int, int, int]

PANEL_SIDE = 760  # pixels of a panel's longer side
GAP = 24  # pixels around panels
INK, GREY, PAPER = (32, 36, 42), (110, 116, 124), (255, 255, 255)
TRUTH: Color = (255, 255, 255)
FOREGROUND: Color = (76, 217, 100)
BACKGROUND: Color = (255, 149, 64)
ANCHOR: Color = (64, 200, 255)
IGNORED: Color = (255, 214, 10)
PADDING: tuple[Color, Color] = ((236, 238, 241), (214, 218, 224))  # stripes
DIMMED = 0.55
"""Brightness of an image under many boxes."""
DASH = 8  # pixels


class Truth(NamedTuple):
    """The ground truth of one image of a batch, without padded places."""

    boxes: np.ndarray  # (g, 4) xyxy in pixels of the padded image
    labels: np.ndarray  # (g,) int, 1..K
    ignore: np.ndarray  # (g,) bool


class Entry(NamedTuple):
    """A line of a legend."""

    text: str
    color: Color
    dashed: bool = False


class Panel(NamedTuple):
    """An image under its title, over its legend."""

    title: str
    image: np.ndarray
    legend: tuple[Entry, ...]


class Canvas:
    """A padded image at the size of a panel, on which boxes are drawn.

    Args:
        image: (H, W, 3) uint8 or float, 0..255.
        size: height and width of the image inside the padding.
    """

    def __init__(self, image: np.ndarray, size: tuple[int, int]) -> None:
        from PIL import Image

        height, width = image.shape[:2]
        self.scale = PANEL_SIDE / max(height, width)
        self._size = max(1, round(width * self.scale)), max(1, round(height * self.scale))
        pixels = Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))
        how = Image.Resampling.BICUBIC if self.scale > 1 else Image.Resampling.LANCZOS
        self._inside = round(size[1] * self.scale), round(size[0] * self.scale)
        self._pixels = pixels.resize(self._size, how)

    def start(self, brightness: float = 1.0) -> "Image.Image":
        """The image, with the padding in stripes."""
        from PIL import Image

        canvas = Image.fromarray(_stripes(self._size))
        inside = self._pixels.crop((0, 0, *self._inside))
        canvas.paste(inside.point(lambda value: value * brightness), (0, 0))
        return canvas

    def boxes(
        self,
        canvas: "Image.Image",
        boxes: np.ndarray,
        color: Color,
        width: int = 2,
        opacity: float = 1.0,
    ) -> "Image.Image":
        """The canvas with the outlines of boxes (n, 4); overlapping ones shine through."""
        from PIL import Image, ImageDraw

        for box in self._corners(boxes):
            layer = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
            draw = ImageDraw.Draw(layer)
            draw.rectangle(box, outline=(*color, round(255 * opacity)), width=width)
            canvas = Image.alpha_composite(canvas.convert("RGBA"), layer)
        return canvas.convert("RGB")

    def hatched(self, canvas: "Image.Image", boxes: np.ndarray) -> "Image.Image":
        """The canvas with regions to ignore: hatched, with a dashed outline."""
        from PIL import Image, ImageDraw

        for box in self._corners(boxes):
            x0, y0, x1, y1 = box
            layer = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
            draw = ImageDraw.Draw(layer)
            for start in range(x0 - (y1 - y0), x1, 14):
                draw.line([(start, y1), (start + y1 - y0, y0)], (*IGNORED, 110), 2)
            mask = Image.new("L", canvas.size, 0)
            ImageDraw.Draw(mask).rectangle(box, fill=255)
            layer.putalpha(Image.composite(layer.getchannel("A"), Image.new("L", mask.size), mask))
            canvas = Image.alpha_composite(canvas.convert("RGBA"), layer).convert("RGB")
            _dashed(ImageDraw.Draw(canvas), box, IGNORED)
        return canvas

    def scaled(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) in pixels of the panel."""
        return np.asarray(boxes, np.float64).reshape(-1, 4) * self.scale

    def _corners(self, boxes: np.ndarray) -> list[tuple[int, int, int, int]]:
        last = np.array([*self._size, *self._size]) - 1
        return [
            tuple(box) for box in np.rint(self.scaled(boxes)).clip(0, last).astype(int).tolist()
        ]


def truth_panel(canvas: Canvas, truth: Truth, class_names: Sequence[str]) -> Panel:
    """The image with named boxes and regions to ignore."""
    image = canvas.hatched(canvas.start(), truth.boxes[truth.ignore])
    kept = ~truth.ignore
    drawn = draw_boxes(
        np.array(image), canvas.scaled(truth.boxes[kept]), truth.labels[kept], None, class_names
    )
    legend = [Entry("padding", PADDING[1])]
    if truth.ignore.any():
        legend.append(Entry(f"ignored ({truth.ignore.sum()})", IGNORED, dashed=True))
    return Panel(f"Ground truth: {kept.sum()}", drawn, tuple(legend))


def anchor_panel(canvas: Canvas, truth: Truth, foreground: np.ndarray, others: int) -> Panel:
    """The anchors (n, 4) that are trained as foreground; of the others only the number."""
    image = _under_boxes(canvas, truth)
    image = canvas.boxes(image, truth.boxes[~truth.ignore], TRUTH, 3)
    image = canvas.boxes(image, foreground, ANCHOR, 2, 0.85)
    legend = (
        Entry("ground truth", TRUTH),
        Entry("foreground", ANCHOR),
    )
    title = f"Anchors: {len(foreground)} foreground of {len(foreground) + others}"
    return Panel(title, np.array(image), legend)


def roi_panel(
    canvas: Canvas, truth: Truth, foreground: np.ndarray, background: np.ndarray
) -> Panel:
    """The RoIs (n, 4) that the box head is trained on."""
    image = _under_boxes(canvas, truth)
    image = canvas.boxes(image, background, BACKGROUND, 1, 0.6)
    image = canvas.boxes(image, truth.boxes[~truth.ignore], TRUTH, 3)  # under those that are on it
    image = canvas.boxes(image, foreground, FOREGROUND, 2, 0.85)
    legend = (
        Entry("ground truth", TRUTH),
        Entry("foreground", FOREGROUND),
        Entry("background", BACKGROUND),
    )
    title = f"RoIs: {len(foreground)} foreground of {len(foreground) + len(background)}"
    return Panel(title, np.array(image), legend)


def detection_panel(
    canvas: Canvas, detected: "ImageDetections", class_names: Sequence[str], least: float
) -> Panel:
    """The image with what is found in it, in pixels of it, with scores of at least so much."""
    boxes, scores, labels = detected
    drawn = draw_boxes(np.array(canvas.start()), canvas.scaled(boxes), labels, scores, class_names)
    return Panel(f"Detections above {least:.2f}: {len(boxes)}", drawn, ())


def sheet(title: str, subtitle: str, panels: Sequence[Panel]) -> np.ndarray:
    """Panels side by side, two in a row where they are wide, under a title; (H, W, 3) uint8."""
    from PIL import Image, ImageDraw

    large, medium, small = (Fonts(size) for size in (26, 20, 16))
    height, width = panels[0].image.shape[:2]
    columns = len(panels) if height > width or len(panels) < 4 else 2
    rows = -(-len(panels) // columns)
    cell_width, cell_height = width + GAP, height + 36 + 40
    top = 104
    size = (GAP + columns * cell_width, top + rows * cell_height)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    room = size[0] - 2 * GAP
    draw.text((GAP, 22), _fitted(title, large, room), INK, large.of(title))
    draw.text((GAP, 60), _fitted(subtitle, small, room), GREY, small.of(subtitle))
    for place, panel in enumerate(panels):
        x, y = GAP + place % columns * cell_width, top + place // columns * cell_height
        draw.text((x, y), _fitted(panel.title, medium, width), INK, medium.of(panel.title))
        page.paste(Image.fromarray(panel.image), (x, y + 32))
        _legend(draw, (x, y + 32 + height + 10), panel.legend, small)
    return np.array(page)


def _under_boxes(canvas: Canvas, truth: Truth) -> "Image.Image":
    """A darker image, on which many boxes can be told from it."""
    return canvas.hatched(canvas.start(DIMMED), truth.boxes[truth.ignore])


def _stripes(size: tuple[int, int]) -> np.ndarray:
    """Diagonal stripes, (height, width, 3) uint8."""
    across, down = np.arange(size[0]), np.arange(size[1])
    light = ((across[None] + down[:, None]) // 10 % 2 == 0)[..., None]
    return np.where(light, PADDING[0], PADDING[1]).astype(np.uint8)


def _dashed(
    draw: "ImageDraw.ImageDraw", box: tuple[int, int, int, int], color: Color, width: int = 2
) -> None:
    x0, y0, x1, y1 = box
    for x in range(x0, x1, 2 * DASH):
        for y in (y0, y1):
            draw.line([(x, y), (min(x + DASH, x1), y)], color, width)
    for y in range(y0, y1, 2 * DASH):
        for x in (x0, x1):
            draw.line([(x, y), (x, min(y + DASH, y1))], color, width)


def _legend(
    draw: "ImageDraw.ImageDraw", place: tuple[int, int], entries: Sequence[Entry], fonts: Fonts
) -> None:
    """Swatches with their texts, in one row."""
    x, y = place
    for text, color, dashed in entries:
        font = fonts.of(text)
        box = (x, y + 2, x + 22, y + 18)
        if dashed:
            draw.rectangle(box, fill=(90, 90, 90))
            _dashed(draw, box, color)
        else:
            draw.rectangle(box, fill=color, outline=GREY)
        draw.text((x + 30, y + 10), text, INK, font, anchor="lm")
        x += 30 + round(font.getlength(text)) + 28


def _fitted(text: str, fonts: Fonts, width: int) -> str:
    """The text, without its end where it is wider than so many pixels."""
    font, kept = fonts.of(text), text
    while kept and font.getlength(kept + "…") > width:
        kept = kept[:-1]
    return text if font.getlength(text) <= width else kept + "…"
