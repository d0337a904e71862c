"""A data set of five images, one of them unreadable, and configs for it."""

import numpy as np

from jaxrcnn.config import Config, DataConfig, EvalConfig, TrainConfig
from jaxrcnn.data.errors import fault
from jaxrcnn.data.proposals import ImageProposals, join_proposals
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.sample import Sample
from jaxrcnn.types import Proposals

STEPS = 6


def config_of(seed=5, steps=STEPS, batch_size=3, eval_batch_size=4, **data):
    sides = {"short_side": 64, "long_side": 96, "train_short_sides": (48, 64)}
    return Config(
        seed=seed,
        data=DataConfig(**{**sides, **data}),
        train=TrainConfig(steps=steps, batch_size=batch_size),
        eval=EvalConfig(batch_size=eval_batch_size),
    )


def read_constant(record):
    """An image whose pixels tell its id, but image 2 is broken."""
    if record.image_id == 2:
        raise fault(record.name, "image 2", "is broken")
    return np.full((record.height, record.width, 3), 10 * record.image_id, np.uint8)


def small_dataset():
    """Five images, the third (id 2) unreadable and the last portrait."""
    sizes = [(16, 24), (8, 16), (16, 24), (16, 16), (24, 16)]
    boxes = [[[4, 2, 12, 10], [0, 0, 8, 8]], [], [[1, 1, 4, 4]], [[0, 0, 16, 16]], [[2, 4, 6, 8]]]
    records = tuple(
        make_record(
            image_id,
            f"p{image_id}",
            "",
            size,
            np.array(rows, np.float32),
            range(1, len(rows) + 1),
            range(len(rows)),
            crowd=[place == 1 for place in range(len(rows))],
        )
        for image_id, (size, rows) in enumerate(zip(sizes, boxes, strict=True))
    )
    return Dataset("small", records, ("a", "b"), (1, 2), read_constant)


def given_proposals(dataset):
    """Three for the first image and one for the third, which is unreadable."""
    boxes = [[4, 2, 12, 10], [0, 0, 24, 16], [1, 1, 2, 2]]
    return join_proposals(
        dataset,
        {
            0: ImageProposals(np.array(boxes, np.float32), np.array([3, 2, -1], np.float32)),
            2: ImageProposals(np.array([[1, 1, 4, 4]], np.float32), np.ones(1, np.float32)),
        },
    )


def sample_of(image, boxes=(), **fields):
    """A sample with boxes of the classes 1, 2, ...; of a size, the image is black."""
    if isinstance(image, tuple):
        image = np.zeros((*image, 3), np.uint8)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.arange(1, len(boxes) + 1, dtype=np.int32)
    return Sample(image, boxes, labels, **{"ignore": np.zeros(len(boxes), bool), **fields})


def assert_same(batch, other):
    for name in batch._fields:
        one, two = getattr(batch, name), getattr(other, name)
        if isinstance(one, Proposals):
            assert_same(one, two)
        elif isinstance(one, dict):
            assert one.keys() == two.keys()
            for key in one:
                np.testing.assert_array_equal(one[key], two[key])
        else:
            np.testing.assert_array_equal(one, two)
