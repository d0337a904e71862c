"""Record torchvision's NMS, box coder and level assignment, as boxes_torchvision.npz.

/usr/bin/python3 tests/ops/data/record_boxes.py

Needs torch and torchvision, and nothing of this project.
"""

import pathlib

import numpy as np
import torch
import torchvision
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import batched_nms, nms
from torchvision.ops.poolers import LevelMapper

THRESHOLDS = (0.0, 0.3, 0.5, 0.7, 1.0)
WEIGHTS = {"rpn": (1.0, 1.0, 1.0, 1.0), "head": (10.0, 10.0, 5.0, 5.0)}
ADVERSARIAL = np.array(
    [
        [0, 0, 10, 10],
        [0, 0, 10, 10],  # the same again, with the same score
        [10, 0, 20, 10],  # touches
        [0, 10, 10, 20],
        [0, 0, 10, 5],  # overlaps by exactly a half
        [0, 0, 7, 10],  # and by exactly .7
        [5, 5, 5, 5],  # no area
        [5, 5, 5, 5],
        [2, 3, 2, 9],
        [-1e4, -1e4, 1e4, 1e4],  # huge
        [-9e3, -1e4, 1e4, 1e4],
        [500, 500, 600, 600],  # far outside
        [1e-3, 1e-3, 2e-3, 2e-3],  # tiny
    ],
    np.float32,
)
SCORES = np.array([0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.6, 0.6, 0.5, 0.95, 0.4, 0.3, 0.2], np.float32)


def random_boxes(rng, number, size=200.0):
    corner = rng.uniform(-20, size, (number, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 80, (number, 2))], 1).astype(np.float32)


def main() -> None:
    rng = np.random.default_rng(0)
    records = {"adversarial": ADVERSARIAL, "adversarial_scores": SCORES}
    boxes, scores = random_boxes(rng, 400), rng.uniform(0, 1, 400).astype(np.float32)
    scores[::7] = scores[0]  # ties
    groups = rng.integers(0, 4, 400)
    records |= {"boxes": boxes, "scores": scores, "groups": groups}
    for threshold in THRESHOLDS:
        for name in ("", "adversarial_"):
            own = (ADVERSARIAL, SCORES) if name else (boxes, scores)
            records[f"{name}kept_{threshold}"] = nms(*map(torch.tensor, own), threshold).numpy()
        grouped = batched_nms(*map(torch.tensor, (boxes, scores, groups)), threshold)
        records[f"grouped_kept_{threshold}"] = grouped.numpy()

    anchors, truth = random_boxes(rng, 200), random_boxes(rng, 200)
    anchors[:5, 2:] = anchors[:5, :2] + 1e-3  # tiny
    anchors[5:10] *= 1e3  # huge
    deltas = rng.normal(0, 1, (200, 4)).astype(np.float32)
    deltas[10:20] *= 100  # beyond the limit of a side's growth
    records |= {"anchors": anchors, "truth": truth, "deltas": deltas}
    for name, weights in WEIGHTS.items():
        coder = BoxCoder(weights)
        tensors = [torch.tensor(x) for x in (truth, anchors, deltas)]
        records[f"encoded_{name}"] = coder.encode_single(tensors[0], tensors[1]).numpy()
        records[f"decoded_{name}"] = coder.decode_single(tensors[2], tensors[1]).numpy()

    sides = np.array([0, 1e-3, 28, 56, 111.5, 112, 113, 223, 224, 225, 447, 448, 449, 896, 5000])
    squares = np.stack([0 * sides, 0 * sides, sides, sides], 1).astype(np.float32)
    records["squares"] = squares
    records["levels"] = LevelMapper(2, 5)([torch.tensor(squares)]).numpy()
    np.savez_compressed(
        pathlib.Path(__file__).with_name("boxes_torchvision.npz"),
        torchvision=torchvision.__version__,
        **records,
    )


if __name__ == "__main__":
    main()
