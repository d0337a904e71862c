"""Small images of faults, and of what each class looks like."""

import itertools
import pathlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from jaxrcnn.checking.classes import largest_classes
from jaxrcnn.checking.findings import Findings
from jaxrcnn.data.errors import DataError, Fault
from jaxrcnn.data.images import read_image
from jaxrcnn.data.records import Dataset
from jaxrcnn.pages import thumbnail
from jaxrcnn.visualize import draw_boxes
from jaxrcnn.wording import counted

SIDE = 320
"""Of a small image, pixels."""
PER_KIND = 12
"""Images that are drawn for each kind of fault."""
TRIED = 4 * PER_KIND
"""Images that are read for that, for each kind of fault."""
PER_CLASS, CLASSES = 6, 24
"""Images of a class, and classes, of which a sheet is drawn."""
MARGIN = 0.5
"""Most that an image is extended by to show a box outside of it, as a share of its sides."""
RED, GREY = (220, 30, 30), (128, 128, 128)

Pictures = list[tuple[str, str]]
"""Data URIs and captions."""


def draw_faults(findings: Findings) -> dict[str, Pictures]:
    """The first readable images of each kind of fault, each once with all of its boxes."""
    found: dict[str, Pictures] = {}
    for kind, own in findings.by_kind.items():
        of_image: defaultdict[str, list[tuple[str, Fault]]] = defaultdict(list)
        for split, fault in own:
            if fault.image:
                of_image[fault.image].append((split, fault))
        some = itertools.islice(of_image.values(), TRIED)  # thousands may be unreadable
        drawn = (_draw_faults_of(faults) for faults in some)
        found[kind] = list(itertools.islice((one for one in drawn if one), PER_KIND))
    return found


def _draw_faults_of(faults: Sequence[tuple[str, Fault]]) -> tuple[str, str] | None:
    """An image with the boxes of its faults, and a caption; None if it is unreadable."""
    split, first = faults[0]
    try:
        pixels = read_image(first.image)
    except DataError:
        return None
    boxes = np.array([fault.box for _, fault in faults if fault.box], np.float64).reshape(-1, 4)
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    caption = f"{split}: {_caption([fault for _, fault in faults])}"
    return thumbnail(_mark(pixels, boxes) if len(boxes) else pixels, SIDE), caption


def _caption(faults: Sequence[Fault]) -> str:
    """The caption of an image with faults, whose records may be lines of a file."""
    record = faults[0].record
    is_image = record.startswith("image ")
    names = [record if is_image else f"image {pathlib.PurePath(faults[0].image).name}"]
    if len(faults) > 1:
        names.append(counted(len(faults), "fault"))
    elif not is_image:
        names.append(record)
    return ", ".join(names)


def _mark(pixels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """An image with boxes (n, 4), which may be inverted; extended where they are outside of it."""
    from PIL import Image, ImageDraw

    height, width = pixels.shape[:2]
    start, end = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    (x0, y0), (x1, y1) = start.min(axis=0), end.max(axis=0)
    left, right = _margins(x0, x1, width, int(MARGIN * width))
    top, bottom = _margins(y0, y1, height, int(MARGIN * height))
    canvas = Image.new("RGB", (left + width + right, top + height + bottom), GREY)
    canvas.paste(Image.fromarray(pixels), (left, top))
    limits = np.array([*canvas.size, *canvas.size]) - 1
    shifted = np.concatenate([start, end], axis=1) + np.array([left, top, left, top])
    thick = max(2, round(max(canvas.size) / 100))
    outset = np.array([-1, -1, 1, 1]) * thick  # so that small boxes show too
    for box in np.clip(np.clip(shifted, 0, limits) + outset, 0, limits).tolist():
        ImageDraw.Draw(canvas).rectangle(box, outline=RED, width=thick)
    return np.asarray(canvas)


def _margins(start: float, end: float, side: int, most: int) -> tuple[int, int]:
    """Pixels to add before and behind a side, so that boxes are in sight or at least in part."""
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
