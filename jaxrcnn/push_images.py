"""Draw where the gradient of a training step would move the proposals if the gate were open."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxrcnn.step_images import DIMMED, TRUTH, Canvas, Color, Entry, Panel, Truth

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

NEARER: Color = (76, 217, 100)
AWAY: Color = (255, 84, 84)
LONGEST = 46.0
"""Pixels of the panel that the arrows of the strongest tenth have."""
SHORTEST = 7.0
"""Pixels of the panel below which no direction can be seen."""
FINER = 3
"""Times that arrows are drawn larger and then scaled down, so that they are smooth."""


class Pushed(NamedTuple):
    """Proposals of one image and the direction in which they are pushed."""

    boxes: np.ndarray  # (n, 4) xyxy in pixels of the padded image
    steps: np.ndarray  # (n, 4) the negative gradient in these coordinates
    nearer: np.ndarray  # (n,) bool, whether the IoU with the object rises


def push_panel(canvas: Canvas, truth: Truth, name: str, pushed: Pushed) -> Panel:
    """A panel with the proposals, and at two corners of each an arrow towards which it is moved.

    Arrows are longer where the gradient is larger; panels have different scales.
    """
    image = canvas.hatched(canvas.start(DIMMED), truth.boxes[truth.ignore])
    image = canvas.boxes(image, truth.boxes[~truth.ignore], TRUTH, 2, 0.9)
    colors = [NEARER if nearer else AWAY for nearer in pushed.nearer.tolist()]
    for box, color in zip(pushed.boxes, colors, strict=True):
        image = canvas.boxes(image, box, color, 1, 0.7)
    image = _with_arrows(image, canvas.scaled(pushed.boxes), _on_panel(pushed.steps), colors)
    legend = (
        Entry("ground truth", TRUTH),
        Entry("IoU rises", NEARER),
        Entry("IoU falls", AWAY),
    )
    title = f"{name}: IoU rises for {pushed.nearer.sum()} of {len(pushed.nearer)}"
    return Panel(title, np.array(image), legend)


def _on_panel(steps: np.ndarray) -> np.ndarray:
    """Steps (n, 4) as arrows (n, 2, 2) of the upper left and the lower right corner, in pixels."""
    arrows = np.asarray(steps, np.float64).reshape(-1, 2, 2)
    lengths = np.linalg.norm(arrows, axis=-1)
    if not lengths.any():
        return arrows
    strong = np.quantile(lengths[lengths > 0], 0.9)
    wanted = LONGEST * np.minimum(lengths / strong, 1)
    factor = np.divide(wanted, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return arrows * factor[..., None]


def _with_arrows(
    image: "Image.Image", boxes: np.ndarray, arrows: np.ndarray, colors: Sequence[Color]
) -> "Image.Image":
    """The image with an arrow (2,) from both corners of each box, the longest at the back."""
    from PIL import Image, ImageDraw

    size = (image.width * FINER, image.height * FINER)
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    flat = [
        (corner, arrow, color)
        for box, both, color in zip(boxes, arrows, colors, strict=True)
        for corner, arrow in zip(box.reshape(2, 2), both, strict=True)
    ]
    flat.sort(key=lambda item: -float(np.linalg.norm(item[1])))
    for outline, width in ((True, 6.0), (False, 3.0)):
        for corner, arrow, color in flat:
            _arrow(draw, corner, arrow, (20, 22, 26) if outline else color, width)
    smooth = layer.resize(image.size, Image.Resampling.LANCZOS)
    return Image.alpha_composite(image.convert("RGBA"), smooth).convert("RGB")


def _arrow(
    draw: "ImageDraw.ImageDraw", start: np.ndarray, arrow: np.ndarray, color: Color, width: float
) -> None:
    """One arrow; a dot where it is too short to have a direction."""
    length = float(np.linalg.norm(arrow))
    start = start * FINER
    radius = 0.75 * width * FINER
    if length < SHORTEST:
        draw.ellipse([*(start - radius), *(start + radius)], fill=color)
        return
    along = arrow / length
    across = np.array([-along[1], along[0]])
    tip = start + arrow * FINER
    head = min(11.0, 0.6 * length) * FINER
    border = (width - 3.0) * FINER / 2  # of the darker one behind
    neck = tip - along * head
    draw.line([*start, *(neck + along * 2)], fill=color, width=round(width * FINER))
    corners = (
        tip + along * 2 * border,
        neck - along * border + across * (0.5 * head + 1.5 * border),
        neck - along * border - across * (0.5 * head + 1.5 * border),
    )
    draw.polygon([tuple(corner.tolist()) for corner in corners], fill=color)
