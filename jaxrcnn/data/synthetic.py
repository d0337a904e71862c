"""A data set that is drawn, not stored: flat shapes in soft light on textured grounds.

An image is a function of (seed, index) alone. Every shape is a polygon, so its box is exact: the
extent of its corners.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.records import Dataset, Record, make_record
from jaxrcnn.data.sample import Sample
from jaxrcnn.wording import counted

SHAPES = ("disk", "rectangle", "triangle", "star")
"""Class names in the order of their labels."""
MIN_SIDE, MAX_SIDE = 96, 144
"""Smallest and largest side of an image, pixels."""
MIN_RADIUS, MAX_RADIUS = 6.0, 32.0
"""Of the circle around a shape, pixels."""
MAX_SHAPES = 6
MAX_IOU = 0.3
"""Largest overlap of two shapes' boxes."""
MIN_VISIBLE = 0.5
"""Smallest share of a shape that those in front of it leave uncovered."""
TRIES = 40
"""Places that are tried for a shape before it is left out."""
SHADOW_MARGIN = 10
"""Pixels around a shape that its shadow reaches at most."""
SUPERSAMPLING = 4
"""Samples of a pixel along each axis, against jagged edges."""


class Shape(NamedTuple):
    """One shape of a scene."""

    label: int  # 1..4, place in SHAPES from 1
    corners: np.ndarray  # (m, 2) float64, x and y in pixels
    colour: np.ndarray  # (3,) float64, 0..255

    @property
    def box(self) -> np.ndarray:
        """Extent of the corners, (4,) float64 xyxy."""
        return np.concatenate([self.corners.min(axis=0), self.corners.max(axis=0)])


class Scene(NamedTuple):
    """An image before it is painted."""

    height: int
    width: int
    shapes: tuple[Shape, ...]  # from back to front
    ground_seed: int


@dataclasses.dataclass(frozen=True)
class ShapesReader:
    """Paints the image of a record."""

    seed: int

    def __call__(self, record: Record) -> np.ndarray:
        """The image, (H, W, 3) uint8 RGB."""
        return paint(compose(self.seed, record.image_id))

    def add_instances(
        self, sample: Sample, record: Record | None, rng: np.random.Generator | None
    ) -> Sample:
        """A transform that adds an image's instances, for masks (see `jaxrcnn.evaluation.masks`).

        ``extra["instance_map"]`` is (H, W) uint8, of `instance_map`; ``box_extra["instance"]`` is
        (g,) uint8, the number of each box in it. It belongs to the data set of this reader:
        ``dataclasses.replace(dataset, transforms=(dataset.reader.add_instances,))``.

        Raises:
            ValueError: the record is of another drawn data set.
        """
        if record is None:
            drawn = np.zeros(sample.image.shape[:2], np.uint8)
        elif record.name != image_name(self.seed, record.image_id):
            raise ValueError(f"{record.name} is not an image of the shapes of seed {self.seed}")
        else:
            drawn = instance_map(compose(self.seed, record.image_id))
        numbers = np.arange(1, len(sample.boxes) + 1, dtype=np.uint8)
        return dataclasses.replace(
            sample,
            extra={**sample.extra, "instance_map": drawn},
            box_extra={**sample.box_extra, "instance": numbers},
        )


def image_name(seed: int, image_id: int) -> str:
    """The name of an image's record."""
    return f"shapes_{seed}_{image_id:05d}"


def shapes_dataset(num_images: int, seed: int) -> Dataset:
    """Images of 1 to 6 disks, rectangles, triangles and stars each, 96 to 144 pixels a side.

    Args:
        num_images: how many.
        seed: of the images; a smaller set of the same seed is the beginning of a larger one.
    """
    records = []
    boxes_before = 0
    for image_id in range(1, num_images + 1):
        scene = compose(seed, image_id)
        number = len(scene.shapes)
        records.append(
            make_record(
                image_id,
                image_name(seed, image_id),
                "",
                (scene.height, scene.width),
                np.array([shape.box for shape in scene.shapes]),
                [shape.label for shape in scene.shapes],
                range(boxes_before + 1, boxes_before + 1 + number),
            )
        )
        boxes_before += number
    return Dataset(
        name=f"shapes ({counted(num_images, 'image')}, seed {seed})",
        records=tuple(records),
        class_names=SHAPES,
        category_ids=tuple(range(1, len(SHAPES) + 1)),
        reader=ShapesReader(seed),
    )


def compose(seed: int, image_id: int) -> Scene:
    """Place the shapes of an image, one after the other, where they do not hide each other."""
    rng = np.random.default_rng((seed, image_id))
    height, width = (int(side) for side in rng.integers(MIN_SIDE, MAX_SIDE + 1, 2))
    placed: list[_Placed] = []
    for _ in range(rng.integers(1, MAX_SHAPES + 1)):
        for _ in range(TRIES):
            new = _Placed(_draw_shape(rng, height, width), height, width)
            if new.is_clear_of(placed):
                placed.append(new)
                break
    shapes = tuple(each.shape for each in placed)
    return Scene(height, width, shapes, int(rng.integers(2**31)))


class _Placed:
    """A shape in its place, and what those in front of it leave of it."""

    def __init__(self, shape: Shape, height: int, width: int) -> None:
        self.shape = shape
        self._size = height, width
        self._box = tuple(shape.box.tolist())

    def is_clear_of(self, behind: list["_Placed"]) -> bool:
        """Whether it hides too much of none of those behind it; if so, it is in front of them."""
        if any(_iou(self._box, other._box) > MAX_IOU for other in behind):
            return False
        # Masks take most of the time, and most shapes stand alone.
        touched = [other for other in behind if _may_touch(self._box, other._box)]
        left = [other._visible * (1 - self._mask) for other in touched]
        for other, visible in zip(touched, left, strict=True):
            if visible.sum() < MIN_VISIBLE * other._area:
                return False
        for other, visible in zip(touched, left, strict=True):
            other._visible = visible
        return True

    @functools.cached_property
    def _mask(self) -> np.ndarray:
        """What it covers, (H, W) float32."""
        mask = np.zeros(self._size, np.float32)
        x0, y0, x1, y1 = (int(edge) for edge in self._box)
        window = mask[y0 - 1 : y1 + 2, x0 - 1 : x1 + 2]
        window[:] = coverage(self.shape.corners - (x0 - 1, y0 - 1), *window.shape)
        return mask

    @functools.cached_property
    def _area(self) -> float:
        return self._mask.sum()

    @functools.cached_property
    def _visible(self) -> np.ndarray:
        """What is uncovered of it, (H, W) float32: all of it, until a shape comes before it."""
        return self._mask


def _draw_shape(rng: np.random.Generator, height: int, width: int) -> Shape:
    """A shape of random kind, size, turn, place and colour that lies inside the image."""
    label = int(rng.integers(1, len(SHAPES) + 1))
    radius = np.exp(rng.uniform(np.log(MIN_RADIUS), np.log(MAX_RADIUS)))
    turn = rng.uniform(0, 2 * np.pi)
    outline = _outline(SHAPES[label - 1], rng.uniform(0.5, 1.0))
    cos, sin = np.cos(turn), np.sin(turn)
    corners = radius * outline @ np.array([[cos, sin], [-sin, cos]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    corners += rng.uniform(1 - low, np.array([width, height]) - 1 - high)
    colour = _colour(
        hue=rng.uniform(), saturation=rng.uniform(0.6, 0.95), value=rng.uniform(0.75, 1.0)
    )
    return Shape(label, corners, colour)


def _outline(kind: str, aspect: float) -> np.ndarray:
    """Corners around the origin, (m, 2), on or inside the unit circle."""
    if kind == "rectangle":
        corners = np.array([[1, aspect], [-1, aspect], [-1, -aspect], [1, -aspect]])
        return corners / np.hypot(1, aspect)
    return _OUTLINES[kind]


def _spokes(number: int, inner: float) -> np.ndarray:
    """Corners (number, 2) at equal angles, every other one `inner` from the origin."""
    angles = 2 * np.pi * np.arange(number) / number
    lengths = np.where(np.arange(number) % 2 == 0, 1.0, inner)
    return lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


_OUTLINES = {"disk": _spokes(64, 1.0), "triangle": _spokes(3, 1.0), "star": _spokes(10, 0.45)}


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """Red, green and blue of a hue, 0..255; all arguments 0..1."""
    ramps = np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
    return 255 * value * (1 - saturation + saturation * np.clip(ramps, 0, 1))


def coverage(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Share of each pixel that a polygon covers, (H, W) float32 in 0..1."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    # Pillow's coordinates are those of the centres of the pixels.
    points = corners * SUPERSAMPLING - 0.5
    ImageDraw.Draw(canvas).polygon(points.ravel().tolist(), fill=255)
    return np.asarray(canvas.reduce(SUPERSAMPLING), np.float32) / 255


Box = tuple[float, float, float, float]


def _iou(box: Box, other: Box) -> float:
    x0, y0, x1, y1 = box
    u0, v0, u1, v1 = other
    overlap = max(min(x1, u1) - max(x0, u0), 0.0) * max(min(y1, v1) - max(y0, v0), 0.0)
    return overlap / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - overlap)


def _may_touch(box: Box, other: Box) -> bool:
    """Whether shapes in two boxes may have a pixel in common: each reaches into its edge's."""
    x0, y0, x1, y1 = box
    u0, v0, u1, v1 = other
    return min(x1, u1) + 2 > max(x0, u0) and min(y1, v1) + 2 > max(y0, v0)


def paint(scene: Scene) -> np.ndarray:
    """The image of a scene, (H, W, 3) uint8 RGB."""
    rng = np.random.default_rng(scene.ground_seed)
    image = _ground(rng, scene.height, scene.width)
    for shape in scene.shapes:
        _paint_shape(image, shape)
    image += rng.normal(0, 2, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def instance_map(scene: Scene) -> np.ndarray:
    """What is in front at each pixel, (H, W) uint8: 0 the ground, i the i-th shape of the scene.

    A shape has the pixels of which it covers at least half.
    """
    numbers = np.zeros((scene.height, scene.width), np.uint8)
    for number, shape in enumerate(scene.shapes, 1):
        numbers[coverage(shape.corners, scene.height, scene.width) >= 0.5] = number
    return numbers


def _paint_shape(image: np.ndarray, shape: Shape) -> None:
    """Add a shape and its soft shadow to an image (H, W, 3) float32, in place."""
    x0, y0, x1, y1 = shape.box
    left, top = (max(0, int(edge) - SHADOW_MARGIN) for edge in (x0, y0))
    window = image[top : int(y1) + SHADOW_MARGIN, left : int(x1) + SHADOW_MARGIN]
    height, width = window.shape[:2]
    corners = shape.corners - (left, top)
    window *= 1 - 0.45 * _blur(coverage(corners + 2.0, height, width), 2.0)[..., None]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    # Light falls from the upper left.
    slope = (columns + left - x0) / (x1 - x0) + (rows + top - y0) / (y1 - y0) - 1
    lit = (1 - 0.22 * slope[..., None]) * shape.colour
    window += coverage(corners, height, width)[..., None] * (lit - window)


def _ground(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A textured ground, (H, W, 3) float32: cloudy colours, a grating, and lines that distract."""
    from PIL import Image

    base = _colour(rng.uniform(), rng.uniform(0.05, 0.35), rng.uniform(0.25, 0.75))
    cells = base + rng.normal(0, 18, (5, 6, 1)) + rng.normal(0, 9, (5, 6, 3))
    cells = np.clip(cells, 0, 255).astype(np.uint8)
    clouds = Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)
    ground = np.asarray(clouds, np.float32).copy()
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    turn, wavelength = rng.uniform(0, np.pi), rng.uniform(6, 24)
    along = np.cos(turn) * columns + np.sin(turn) * rows
    ground += rng.uniform(0, 14) * np.sin(2 * np.pi / wavelength * along)[..., None]
    for _ in range(rng.integers(0, 5)):
        turn, thickness = rng.uniform(0, np.pi), rng.uniform(0.5, 1.5)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        distance = np.cos(turn) * (columns - x) + np.sin(turn) * (rows - y)
        line = np.exp(-((distance / thickness) ** 2))
        ground += rng.uniform(-50, 50) * line[..., None]
    return ground


def _blur(mask: np.ndarray, radius: float) -> np.ndarray:
    """A mask of 0..1, blurred by a Gaussian of `radius` pixels."""
    from PIL import Image, ImageFilter

    image = Image.fromarray((mask * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
