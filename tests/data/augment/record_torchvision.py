"""Record what torchvision's transforms of detection do, draw by draw, in torchvision.json.

Run it with a Python that has torchvision 0.29: python record_torchvision.py. Its draws are replaced
by those of numpy, in torchvision's order, so that the same seed gives the same result here.
"""

import numpy as np
import torch
from PIL import Image
from recorded import digest, image_of, write
from torchvision import tv_tensors
from torchvision.transforms import v2

SEEDS = 24
# No centre has whole coordinates: where one is on the side of a window, the peers differ from us.
BOXES = [[3, 2, 14, 12.5], [10.5, 6.25, 30, 22], [20, 1, 31.5, 9.25], [1, 14, 8, 23]]


def draw_from(rng):
    """Have torchvision draw from a generator of numpy."""
    torch.rand = lambda *size: torch.tensor(rng.random(size[0] or None))
    torch.randint = lambda low, high, size: torch.tensor(rng.integers(high, size=size))
    torch.randperm = lambda number: torch.tensor(rng.permutation(number))
    v2.ColorJitter._generate_value = staticmethod(lambda a, b: a + rng.random() * (b - a))


def on_boxes(transform, image):
    """The image after a transform, its boxes that have an area, and their places."""
    pixels = tv_tensors.Image(torch.from_numpy(image.copy()).permute(2, 0, 1))
    boxes = tv_tensors.BoundingBoxes(BOXES, format="XYXY", canvas_size=image.shape[:2])
    new, moved = transform(pixels, boxes)
    real = (moved[:, 2:] > moved[:, :2]).all(1)  # a crop leaves those that it drops without area
    image = new.permute(1, 2, 0).numpy()
    places = torch.arange(len(BOXES))[real]
    return {"image": digest(image), "boxes": moved[real].numpy(), "places": places.numpy()}


def main():
    image = image_of(24, 32)
    found = {"given": [{"boxes": BOXES}], "iou_crop": [], "zoom_out": [], "photometric": []}
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        draw_from(rng)
        rng.random()  # ours draws whether to crop at all
        found["iou_crop"].append(on_boxes(v2.RandomIoUCrop(), image))
        draw_from(np.random.default_rng(seed))
        found["zoom_out"].append(on_boxes(v2.RandomZoomOut(fill=114), image))
        draw_from(np.random.default_rng(seed))
        distorted = v2.RandomPhotometricDistort()(Image.fromarray(image))
        found["photometric"].append({"image": digest(np.asarray(distorted))})
    write("torchvision", found)


if __name__ == "__main__":
    main()
