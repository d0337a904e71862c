"""python -m jaxrcnn parity WEIGHTS --model NAME"""

import argparse
import pathlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxrcnn.cli.convert import read_detector
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.batches import EvalBatch, make_eval_batch
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.planning import eval_buckets
from jaxrcnn.data.unannotated import open_images
from jaxrcnn.detector import build
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.parity import Difference, compare
from jaxrcnn.interop.run_torchvision import record
from jaxrcnn.training.columns import aligned
from jaxrcnn.wording import counted


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Run both, print a table; exit code 1 where they differ by more than the limits.

    Raises:
        ConfigError: the weights are none of the model's, or torchvision cannot be run.
        DataError: an image cannot be read.
    """
    source = read_detector(arguments.weights, arguments.model, fields)
    if source.peer is not TORCHVISION:
        raise ConfigError(f"--model: {arguments.model} is none of torchvision's")
    images, (batch, scales) = prepare(arguments.images or drawn_images(), source.config)
    recorded = record(arguments.peer_python, arguments.model, source.config, source.tensors, images)
    differences = compare(
        build(source.config.model),
        source.variables,
        np.asarray(batch.images),
        np.asarray(batch.image_sizes),
        scales,
        recorded,
    )
    print(f"torchvision {recorded['torchvision']}, {counted(len(images), 'image')}")
    print(*table(differences), sep="\n")
    return 0 if all(difference.is_small for difference in differences) else 1


def drawn_images() -> list[np.ndarray]:
    """Two smooth random images, (H, W, 3) uint8, one lying and one upright."""
    from PIL import Image

    rng = np.random.default_rng(0)
    images = []
    for height, width in ((300, 400), (420, 280)):
        small = rng.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
        smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        images.append(np.asarray(smooth))
    return images


def prepare(
    images: Sequence[pathlib.Path | np.ndarray], config: Config
) -> tuple[list[np.ndarray], EvalBatch]:
    """The images as they are, and resized in one batch, padded as torchvision pads them."""
    dataset = open_images(list(images), (), (), FaultLog("raise"))
    exact = replace(config, data=replace(config.data, canvas="exact"))
    shapes = eval_buckets(dataset, exact).shapes
    canvas = (max(shape[0] for shape in shapes), max(shape[1] for shape in shapes))
    batch, _ = make_eval_batch(dataset, config, canvas, range(len(dataset)))
    return [dataset.read_image(index) for index in range(len(dataset))], batch


def table(differences: Sequence[Difference]) -> list[str]:
    """The differences as lines."""
    rows = [("stage", "difference", "limit", "")]
    rows += [
        (
            difference.stage,
            f"{difference.error:.2g}",
            f"{difference.limit:g}",
            "same" if difference.is_small else "differs",
        )
        for difference in differences
    ]
    return aligned(rows)
