"""Small data sets with detections, drawn by chance, for comparisons with plain loops."""

import numpy as np

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.coco import ImageDetections


def draw(seed, images=6, classes=3, objects=6, detections=25, crowds=0.15, steps=40):
    """A data set and detections near its objects; many scores are equal."""
    rng = np.random.default_rng(seed)
    records, found = [], {}
    for number in range(images):
        g, d = int(rng.integers(0, objects + 1)), int(rng.integers(0, detections + 1))
        corner = rng.uniform(0, 60, (g + 1, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 80, (g + 1, 2))], 1)
        labels = rng.integers(1, classes + 1, g + 1)
        near = rng.integers(0, g + 1, d)  # the last one is no object
        moved = boxes[near] + rng.normal(0, 5, (d, 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        own = rng.random(d) < 0.7
        found[number] = ImageDetections(
            moved.astype(np.float32),
            (rng.integers(1, steps, d) / steps).astype(np.float32),
            np.where(own, labels[near], rng.integers(1, classes + 1, d)).astype(np.int32),
        )
        records.append(
            make_record(
                *(number + 1, f"{number}.jpg", "", (150, 150), boxes[:g], labels[:g]),
                crowd=rng.random(g) < crowds,
            )
        )
    names = tuple(f"class {label}" for label in range(1, classes + 1))
    return Dataset("drawn", tuple(records), names), found


def iou(a, b, of_first=False):
    """Intersection over union of two boxes, or over the first one's area."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    whole = areas[0] if of_first else areas[0] + areas[1] - width * height
    return width * height / whole if whole else 0.0


def by_loops(dataset, found, same_class=True, lowest=0.0):
    """The matching by plain loops: (image, label, score, object or None, is ignored), best first.

    An object is its place among those of the image that are not to be ignored.
    """
    rows = []
    for number, record in enumerate(dataset.records):
        boxes, scores, labels = (values.tolist() for values in found[number])
        truth = list(zip(record.boxes.tolist(), record.labels.tolist(), strict=True))
        crowd = (record.crowd | record.difficult).tolist()
        objects = [one for one, ignore in zip(truth, crowd, strict=True) if not ignore]
        regions = [one for one, ignore in zip(truth, crowd, strict=True) if ignore]
        free = [True] * len(objects)
        for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
            if scores[i] < lowest:
                continue
            best, overlap = None, 0.5
            for j, (box, label) in enumerate(objects):
                allowed = free[j] and (label == labels[i] or not same_class)
                value = iou(boxes[i], box)
                if allowed and (value > overlap or (value == overlap and best is None)):
                    best, overlap = j, value
            if best is not None:
                free[best] = False
            inside = any(
                label == labels[i] and iou(boxes[i], box, True) >= 0.5 for box, label in regions
            )
            rows.append((number, labels[i], scores[i], best, best is None and inside))
    return rows
