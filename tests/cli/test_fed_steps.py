import contextlib

import jax
import numpy as np

from jaxrcnn.cli.fed_steps import Subject, fed_steps
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.detector import build
from tests.cli.test_visualize import CONFIG, FOUR
from tests.tiny import make_variables


def test_the_steps_are_those_of_the_training_loop():
    dataset, detector = shapes_dataset(8, 0), build(FOUR)
    subject = Subject(CONFIG, detector, make_variables(detector), dataset, False)
    (step,) = fed_steps(subject, range(4, 5), 2)
    with contextlib.closing(train_batches(dataset, CONFIG, 4)) as batches:
        expected = next(batches)
    assert step.number == 5
    assert step.detections is None
    assert step.pushes is None
    for got, wanted in zip(jax.tree.leaves(step.batch), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(got, wanted[:2])
    assert step.sampled.rois.shape[:2] == (2, FOUR.box_head.samples)
