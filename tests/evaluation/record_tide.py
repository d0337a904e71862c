"""Record what tidecv 1.0.1 says of small data sets: errors_of_tidecv.json, which the tests read.

    python tests/evaluation/record_tide.py [BCCD]

It needs tidecv alone. BCCD is the folder of the BCCD data set.
"""

import json
import pathlib
import sys
from xml.etree import ElementTree

import numpy as np
from tidecv import TIDE, Data

FILE = pathlib.Path(__file__).parent / "data" / "errors_of_tidecv.json"
CLASSES = ("Platelets", "RBC", "WBC")
NAMES = {
    "Cls": "classification",
    "Loc": "localisation",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
}


def draw(seed, images=12, classes=4, objects=6, detections=30, crowds=1, steps=20, grid=1 / 8):
    """Random objects, and detections near to some of them. Scores are of few steps: many equal."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(images):
        number = int(rng.integers(0, objects + 1))
        corner, side = rng.uniform(0, 100, (number, 2)), rng.uniform(10, 60, (number, 2))
        truth = np.concatenate([corner, corner + side], 1)
        labels = rng.integers(1, classes + 1, number)
        crowd = rng.random(number) < crowds / max(objects, 1)
        found = int(rng.integers(0, detections + 1))
        near = rng.integers(0, max(number, 1), found)
        if number:
            shift = rng.normal(0, 6, (found, 4)) * rng.choice([0.3, 1, 3], (found, 1))
            boxes = truth[near] + shift
            label = np.where(
                rng.random(found) < 0.7, labels[near], rng.integers(1, classes + 1, found)
            )
        else:
            start = rng.uniform(0, 100, (found, 2))
            boxes = np.concatenate([start, start + rng.uniform(5, 50, (found, 2))], 1)
            label = rng.integers(1, classes + 1, found)
        # On a grid of at least eighths of a pixel, so that sides and corners are exact.
        truth, boxes = (np.round(x / grid) * grid for x in (truth, boxes))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + max(grid, 1))
        score = rng.integers(1, steps, found) / steps
        rows.append(
            {
                "boxes": truth.tolist(),
                "labels": labels.tolist(),
                "crowd": crowd.tolist(),
                "found": boxes.tolist(),
                "scores": score.tolist(),
                "found_labels": label.tolist(),
            }
        )
    return {"classes": classes, "images": rows}


def bccd(folder):
    """The ground truth of BCCD's test set, with detections that are made of it by chance."""
    names = (folder / "ImageSets" / "Main" / "test.txt").read_text().split()
    rng, rows = np.random.default_rng(7), []
    for name in names:
        objects = ElementTree.parse(folder / "Annotations" / f"{name}.xml").findall("object")
        labels = np.array([CLASSES.index(x.findtext("name")) + 1 for x in objects])
        corners = [
            [float(x.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
            for x in objects
        ]
        truth = np.array(corners) - (1, 1, 0, 0)  # the last pixels belong to the boxes
        kept = rng.random(len(truth)) < 0.85
        spread = rng.choice([0.02, 0.1, 0.4], (len(truth), 1))
        sides = np.tile(truth[:, 2:] - truth[:, :2], 2)
        boxes = truth + rng.normal(0, 1, truth.shape) * spread * sides
        again = rng.random(len(truth)) < 0.1
        start = rng.uniform(0, 500, (6, 2))
        false = np.concatenate([start, start + rng.uniform(20, 120, (6, 2))], 1)
        boxes = np.concatenate([boxes[kept], boxes[again] + 2, false])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        found = np.concatenate([labels[kept], labels[again], rng.integers(1, 4, 6)])
        wrong = rng.random(len(found)) < 0.1
        found = np.where(wrong, rng.integers(1, 4, len(found)), found)
        rows.append(
            {
                "boxes": truth.tolist(),
                "labels": labels.tolist(),
                "crowd": [False] * len(truth),
                "found": np.round(boxes, 2).tolist(),
                "scores": np.round(rng.random(len(found)), 4).tolist(),
                "found_labels": found.tolist(),
            }
        )
    return {"classes": len(CLASSES), "images": rows}


def measure(case):
    """What tidecv says, from 0 to 1."""
    truth, found = Data("truth", max_dets=100), Data("found")
    for number, image in enumerate(case["images"]):
        truth.add_image(number, str(number))
        for box, label, crowd in zip(image["boxes"], image["labels"], image["crowd"], strict=True):
            add = truth.add_ignore_region if crowd else truth.add_ground_truth
            add(number, label, xywh(box))
        rows = zip(image["found"], image["scores"], image["found_labels"], strict=True)
        for box, score, label in rows:
            found.add_detection(number, label, score, xywh(box))
    tide = TIDE()
    run = tide.evaluate(truth, found, mode=TIDE.BOX)
    errors = tide.get_all_errors()
    (main,), (special,) = errors["main"].values(), errors["special"].values()
    return {
        "ap": run.ap / 100,
        "lost": {NAMES[name]: value / 100 for name, value in main.items()},
        "false_positives": special["FalsePos"] / 100,
        "false_negatives": special["FalseNeg"] / 100,
    }


def xywh(box):
    """Corners, as float32 holds them, as a corner and sides."""
    x0, y0, x1, y1 = np.float32(box).astype(np.float64).tolist()
    return [x0, y0, x1 - x0, y1 - y0]


def main():
    """Measure all cases and write them."""
    cases = {
        "mixed": draw(0),
        "equal scores": draw(1, steps=3),
        "many ignore regions": draw(2, crowds=4),
        "one class": draw(3, classes=1),
        "few objects": draw(4, images=40, objects=1, classes=9, detections=8, crowds=0.2),
        "more than 100 detections": draw(5, images=3, detections=260, steps=1000),
        "few detections": draw(6, detections=1),
        "overlaps of exactly 0.1 and 0.5": draw(8, images=60, grid=10, crowds=2),
        "crowded": draw(7, images=4, objects=30, detections=90, steps=1000),
    }
    if len(sys.argv) > 1:
        cases["bccd"] = bccd(pathlib.Path(sys.argv[1]))
    FILE.parent.mkdir(exist_ok=True)
    recorded = {name: {**case, "tidecv": measure(case)} for name, case in cases.items()}
    FILE.write_text(json.dumps(recorded, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
