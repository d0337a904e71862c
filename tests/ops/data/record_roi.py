"""Record torchvision's RoIAlign and RoIPool: python record_roi.py writes roi_torchvision.npz here.

Needs torch and torchvision, and nothing of this project.
"""

import pathlib

import numpy as np
import torch
import torchvision
from torchvision.ops import roi_align, roi_pool

STRIDE = 4
OUTPUT_SIZE = 4
HEIGHT, WIDTH, CHANNELS = 9, 12, 2  # an image of 36 x 48 pixels

BOXES = np.array(
    [
        [3.3, 5.1, 40.7, 30.2],
        [10.6, 2.4, 17.9, 33.3],
        [0.0, 0.0, 48.0, 36.0],  # the whole image
        [-9.3, -14.2, 12.4, 9.8],  # partly outside
        [38.1, 27.7, 61.3, 50.9],
        [-90.0, -80.0, -50.0, -40.0],  # wholly outside
        [200.0, 210.0, 260.0, 250.0],
        [-300.0, -200.0, 340.0, 260.0],  # far larger than the image
        [20.3, 15.6, 20.9, 16.1],  # less than a pixel of the map
        [14.0, 18.0, 14.0, 18.0],  # no area
        [22.0, 10.0, 30.0, 10.0],
        [30.0, 20.0, 18.0, 8.0],  # turned inside out
        [6.0, 10.0, 26.0, 22.0],  # corners that round half away from zero
        [-6.0, -10.0, 26.0, 22.0],
    ],
    np.float32,
)


def main() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(HEIGHT, WIDTH, CHANNELS)).astype(np.float32)
    shape = (len(BOXES), OUTPUT_SIZE, OUTPUT_SIZE, CHANNELS)
    cotangent = rng.integers(-4, 5, size=shape).astype(np.float32)
    records = {"features": features, "boxes": BOXES, "cotangent": cotangent}

    def record(name, op, **kwargs):
        pixels = torch.tensor(features.transpose(2, 0, 1)[None], requires_grad=True)
        pooled = op(pixels, [torch.tensor(BOXES)], OUTPUT_SIZE, spatial_scale=1 / STRIDE, **kwargs)
        pooled.backward(torch.tensor(cotangent.transpose(0, 3, 1, 2)))
        records[name] = pooled.detach().numpy().transpose(0, 2, 3, 1)
        records[f"{name}_gradient"] = pixels.grad.numpy()[0].transpose(1, 2, 0)

    for ratio in (2, 0):
        record(f"align_{ratio}", roi_align, sampling_ratio=ratio, aligned=True)
        record(f"align_unaligned_{ratio}", roi_align, sampling_ratio=ratio, aligned=False)
    record("pool", roi_pool)
    np.savez_compressed(
        pathlib.Path(__file__).with_name("roi_torchvision.npz"),
        torchvision=torchvision.__version__,
        stride=STRIDE,
        output_size=OUTPUT_SIZE,
        **records,
    )


if __name__ == "__main__":
    main()
