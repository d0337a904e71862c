"""Record what albumentations does with boxes that are cut, turned, mirrored and covered.

Run it with a Python that has albumentations 2.0.8: python record_albumentations.py. It writes
albumentations.json.
"""

import albumentations as A
import numpy as np
from albumentations.augmentations.dropout import functional as dropout
from albumentations.augmentations.geometric import functional as geometric
from recorded import digest, image_of, write

SIZE = 48, 64
CASES = 12
LEAST = 0.25
"""Share of a box that has to be visible."""


def boxes_of(rng, number):
    """Boxes (number, 4) in an image of this size."""
    corners = np.sort(rng.uniform(0, 1, (number, 2, 2)) * SIZE[::-1], axis=1)
    corners[:, 1] = np.maximum(corners[:, 1], corners[:, 0] + 2)
    return np.minimum(corners.reshape(number, 4), [*SIZE[::-1], *SIZE[::-1]]).round(4)


def after(transforms, boxes):
    """The image and the boxes that are left, with their places."""
    rules = A.BboxParams("pascal_voc", label_fields=["places"], min_visibility=LEAST)
    new = A.Compose(transforms, bbox_params=rules)(
        image=image_of(*SIZE), bboxes=boxes, places=np.arange(len(boxes))
    )
    left, places = np.array(new["bboxes"]).reshape(-1, 4), np.array(new["places"], int)
    return {"boxes": left, "places": places, "image": digest(new["image"])}


def without_image(case):
    return {key: value for key, value in case.items() if key != "image"}


def main():
    rng = np.random.default_rng(0)
    found = {name: [] for name in ("cut", "zoom", "turn", "horizontal", "vertical", "holes")}
    for case in range(CASES):
        boxes = boxes_of(rng, 6)
        (y0, x0), y1, x1 = rng.integers(0, 20, 2), rng.integers(24, 44), rng.integers(24, 60)
        window = {"y_min": y0, "x_min": x0, "y_max": y1, "x_max": x1}
        window = A.Crop(**{key: int(value) for key, value in window.items()})
        given = {"before": boxes, "window": [y0, x0, y1, x1]}
        found["cut"].append(given | after([window], boxes))
        size = rng.integers(10, 90, 2)
        resized = after([window, A.Resize(*size.tolist())], boxes)  # its pixels are OpenCV's
        found["zoom"].append(given | {"size": size} | without_image(resized))
        times = case % 3 + 1
        turned = geometric.rot90(image_of(*SIZE), times)
        sides = np.tile(turned.shape[1::-1], 2)
        moved = geometric.bboxes_rot90(boxes / np.tile(SIZE[::-1], 2), times) * sides
        found["turn"].append({"before": boxes, "boxes": moved, "image": digest(turned)})
        for name, flip in (("horizontal", A.HorizontalFlip), ("vertical", A.VerticalFlip)):
            found[name].append({"before": boxes} | after([flip(p=1)], boxes))
        whole, holes = boxes_of(rng, 6).round(), boxes_of(rng, 5).round()
        numbered = np.column_stack([whole, np.arange(len(whole))])
        left = dropout.filter_bboxes_by_holes(numbered, holes, SIZE, 0, LEAST)
        covered = {"boxes": left[:, :4], "places": left[:, 4].astype(int)}
        found["holes"].append({"before": whole, "holes": holes} | covered)
    write("albumentations", found)


if __name__ == "__main__":
    main()
