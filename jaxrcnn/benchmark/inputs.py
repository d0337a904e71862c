"""The input pipeline: JPEG files to batches, as `jaxrcnn.data.loader` makes them for training."""

import contextlib
import pathlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from jaxrcnn.benchmark.programs import Training
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.workload import config_for
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data import transforms
from jaxrcnn.data.batches import make_train_batch
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.fast import decoding, require_decoder
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.planning import training_buckets
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.transforms import Decoder
from jaxrcnn.data.unannotated import open_images
from jaxrcnn.detector import build
from jaxrcnn.training.pieces import Build

FILES = 16
FILE_SIZE = (480, 640)
"""Height and width of the JPEG files."""
BATCH = 16
PATIENCE = 1e-3
"""Seconds; a step that is given its batch within them did not wait."""


class Split(NamedTuple):
    """Milliseconds of one image, on one core."""

    decode: float
    resize: float
    flip: float


@contextlib.contextmanager
def drawn_files() -> Iterator[Dataset]:
    """A few JPEG files with the smooth and the rough of photographs, gone afterwards."""
    from PIL import Image

    height, width = FILE_SIZE
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        paths = [pathlib.Path(name) / f"{number:02}.jpg" for number in range(FILES)]
        for path in paths:
            coarse = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
            smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            rough = rng.normal(0, 8, (height, width, 1))
            pixels = np.clip(np.asarray(smooth) + rough, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path, quality=90)
        yield open_images(paths, (), (), FaultLog("raise"))


def decoders() -> list[Decoder]:
    """The values of data.decoder whose libraries are installed."""
    try:
        require_decoder(DataConfig(decoder="fast"))
    except ConfigError:
        return ["pillow"]
    return ["pillow", "fast"]


def input_config(config: Config, batch_size: int, steps: int) -> Config:
    """The config for batches of files, every one of which is mirrored."""
    data = replace(
        config.data,
        short_side=800,
        long_side=1333,
        train_short_sides=(),
        horizontal_flip=1.0,
        vertical_flip=0.0,
    )
    return replace(
        config, data=data, train=replace(config.train, batch_size=batch_size, steps=steps)
    )


def images_a_second(dataset: Dataset, config: Config, steps: int) -> float:
    """Of batches that one thread makes, one after the other."""
    config = input_config(config, BATCH, steps)
    (bucket,) = training_buckets(dataset, config).shapes
    indices = [index % len(dataset) for index in range(BATCH)]
    make_train_batch(dataset, config, bucket, indices, 0)
    began = time.perf_counter()
    for step in range(steps):
        make_train_batch(dataset, config, bucket, indices, step)
    return BATCH * steps / (time.perf_counter() - began)


def images_a_second_ahead(dataset: Dataset, config: Config, steps: int) -> float:
    """Of the batches that the threads or processes of a run make, on all cores."""
    batches = train_batches(dataset, input_config(config, BATCH, steps + 1))
    with contextlib.closing(batches):
        next(batches)
        began = time.perf_counter()
        for _ in range(steps):
            next(batches)
        return BATCH * steps / (time.perf_counter() - began)


def split_of(dataset: Dataset, config: Config, rounds: int) -> Split:
    """Where the time of an image goes, the median of each part."""
    config = input_config(config, BATCH, 1)
    size = transforms.resized_size(FILE_SIZE, 800, 1333, config.data.resize)
    rows = []
    for index in range(rounds):
        marks = [time.perf_counter()]
        with decoding(config.data, size):
            sample = dataset.read_sample(index % len(dataset))
        marks.append(time.perf_counter())
        sample = transforms.resize(sample, size, config.data.resize, config.data.decoder)
        marks.append(time.perf_counter())
        transforms.horizontal_flip(sample)
        marks.append(time.perf_counter())
        rows.append(np.diff(marks))
    return Split(*(1e3 * np.median(rows, axis=0)).tolist())


class Waits(NamedTuple):
    """Of training steps for their batches."""

    share: float  # of the steps that waited
    seconds: float  # waited in all
    steps: int


def waits_of_training(
    dataset: Dataset, config: Config, shape: Shape, steps: int, build: Build = build
) -> Waits:
    """Train on batches of the files, and look how often a step waits for its batch.

    The files are resized to fit the shape. Each step is waited for before the next batch is taken.
    """
    program = Training(config, shape, build=build)
    sized = config_for(config, shape)
    data = replace(sized.data, horizontal_flip=1.0, train_short_sides=())
    sized = replace(sized, data=data, train=replace(sized.train, steps=steps + 2))
    waited = []
    with contextlib.closing(train_batches(dataset, sized)) as batches:
        for _ in range(2):  # the first compiles
            jax.block_until_ready(program.step_on(next(batches)))
        for _ in range(steps):
            began = time.perf_counter()
            batch = next(batches)
            waited.append(time.perf_counter() - began)
            jax.block_until_ready(program.step_on(batch))
    late = [seconds for seconds in waited if seconds > PATIENCE]
    return Waits(len(late) / steps, sum(late), steps)
