"""Small images of faults, and of what each class looks like."""

import itertools
from collections import Counter, defaultdict

import numpy as np

from jaxrcnn.checking.classes import largest_classes
from jaxrcnn.checking.findings import Findings
from jaxrcnn.data.errors import DataError, Fault
from jaxrcnn.data.images import read_image
from jaxrcnn.data.records import Dataset
from jaxrcnn.pages import thumbnail
from jaxrcnn.visualize import draw_boxes

SIDE = 320
"""Of a small image, pixels."""
PER_KIND = 12
"""Faults of a kind that are drawn."""
TRIED = 4 * PER_KIND
"""Faults of a kind whose images are read for that."""
PER_CLASS, CLASSES = 6, 24
"""Images of a class, and classes, of which a sheet is drawn."""
MARGIN = 0.5
"""Most that an image is extended by to show a box outside of it, as a share of its sides."""
RED, GREY = (220, 30, 30), (128, 128, 128)

Pictures = list[tuple[str, str]]
"""Data URIs and captions."""


def draw_faults(findings: Findings) -> dict[str, Pictures]:
    """Images of the first faults of each kind, where they can be read."""
    found: defaultdict[str, Pictures] = defaultdict(list)
    tried: Counter[str] = Counter()  # thousands may be unreadable
    for split, fault in findings.faults:
        if fault.image and len(found[fault.kind]) < PER_KIND and tried[fault.kind] < TRIED:
            tried[fault.kind] += 1
            uri = _draw_fault(fault)
            if uri:
                found[fault.kind].append((uri, f"{split}: {fault.record}"))
    return dict(found)


def _draw_fault(fault: Fault) -> str:
    """An image with the box of a fault, or as it is; "" where it cannot be read."""
    try:
        pixels = read_image(fault.image)
    except DataError:
        return ""
    box = np.array(fault.box, np.float64)
    if box.size and np.isfinite(box).all():
        pixels = _mark(pixels, box)
    return thumbnail(pixels, SIDE)


def _mark(pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """An image with a box, which may be inverted; extended where the box is outside of it."""
    from PIL import Image, ImageDraw

    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = *np.minimum(box[:2], box[2:]), *np.maximum(box[:2], box[2:])
    most = (int(MARGIN * width), int(MARGIN * height))
    left, right = _margins(x0, x1, width, most[0])
    top, bottom = _margins(y0, y1, height, most[1])
    canvas = Image.new("RGB", (left + width + right, top + height + bottom), GREY)
    canvas.paste(Image.fromarray(pixels), (left, top))
    limits = np.array([*canvas.size, *canvas.size]) - 1
    offset = np.array([left, top, left, top])
    shifted = np.clip(np.array([x0, y0, x1, y1]) + offset, 0, limits)
    thick = max(2, round(max(canvas.size) / 100))
    around = np.clip(shifted + np.array([-1, -1, 1, 1]) * thick, 0, limits)  # small ones show too
    ImageDraw.Draw(canvas).rectangle(around.tolist(), outline=RED, width=thick)
    return np.asarray(canvas)


def _margins(start: float, end: float, side: int, most: int) -> tuple[int, int]:
    """Pixels to add before and behind a side, so that a box is in sight or at least its part."""
    before = min(int(np.ceil(max(-start, 0))), most)
    behind = min(int(np.ceil(max(end - side, 0))), most)
    return before, behind


def draw_classes(dataset: Dataset, seed: int) -> dict[str, Pictures]:
    """Random images of each class with its boxes; of many classes, those with the most boxes."""
    records = dataset.columns
    rng = np.random.default_rng(seed)
    sheets: dict[str, Pictures] = {}
    for name in largest_classes(dataset, CLASSES):
        label = dataset.class_names.index(name) + 1
        places = np.unique(records.owners[records.labels == label])
        chosen = rng.choice(places, min(PER_CLASS, len(places)), replace=False)
        sheets[name] = [x for x in (_draw_record(dataset, y, label) for y in chosen.tolist()) if x]
    return sheets


def draw_rotated(findings: Findings) -> Pictures:
    """The first images whose EXIF tag exchanges their sides, as they are read, with their boxes."""
    places = ((x.split.dataset, place) for x in findings.splits for place in x.rotated)
    drawn = (_draw_record(dataset, place) for dataset, place in places if dataset is not None)
    return list(itertools.islice((one for one in drawn if one), PER_KIND))


def _draw_record(dataset: Dataset, place: int, label: int = 0) -> tuple[str, str] | None:
    """An image with the boxes of a class, or with all; None where it cannot be read."""
    record = dataset.records[place]
    shown = record.labels == label if label else np.ones(len(record.labels), bool)
    try:
        pixels = dataset.read_image(place)
    except DataError:
        return None
    drawn = draw_boxes(pixels, record.boxes[shown], record.labels[shown], None, dataset.class_names)
    return thumbnail(drawn, SIDE), record.name
