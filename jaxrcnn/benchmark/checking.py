"""How long `jaxrcnn check` takes: ``python -m jaxrcnn.benchmark.checking --images 5000``."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from jaxrcnn.runtime.machine import cores, processor_name

HEIGHT, WIDTH, CELL = 480, 640, 40
"""Of the images, in pixels, and of what is smooth in them."""
BOXES = 7
"""Of an image, as many as COCO's have."""


def main(argv: Sequence[str] | None = None) -> int:
    """Draw images, check them in a process of its own, and print the seconds that this takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000, help="default: %(default)s")
    number = parser.parse_args(argv).images
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        draw_set(root / "set", number)
        words = ["check", str(root / "set"), "--out", str(root / "out")]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "jaxrcnn", *words], check=False)
        seconds = time.perf_counter() - began
    print(
        f"{number} images of {WIDTH}x{HEIGHT} checked in {seconds:.1f} s "
        f"({number / seconds:.0f} images/s on {cores()} cores of {processor_name()})"
    )
    return done.returncode


def draw_set(root: pathlib.Path, number: int) -> None:
    """Write a data set in COCO's format: JPEGs with the smooth and the rough of photographs."""
    from PIL import Image

    (root / "train").mkdir(parents=True)
    (root / "annotations").mkdir()
    rng = np.random.default_rng(0)
    rough = rng.normal(0, 8, (HEIGHT, WIDTH, 1))
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    images, annotations = [], []
    for key in range(1, number + 1):
        coarse = rng.integers(0, 256, (HEIGHT // CELL, WIDTH // CELL, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        pixels = np.clip(np.asarray(smooth) + np.roll(rough, key, axis=1), 0, 255)
        name = f"{key:06}.jpg"
        Image.fromarray(pixels.astype(np.uint8)).save(root / "train" / name, quality=90)
        images.append({"id": key, "file_name": name, "width": WIDTH, "height": HEIGHT})
        corners = rng.uniform((0, 0), (WIDTH - 100, HEIGHT - 100), (BOXES, 2))
        sides = rng.uniform(10, 100, (BOXES, 2))
        for box in np.concatenate([corners, sides], axis=1).tolist():
            place = len(annotations)
            entry = {"id": place + 1, "image_id": key, "category_id": 1 + place % 2}
            annotations.append({**entry, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    tables = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations/instances_train.json").write_text(json.dumps(tables), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
