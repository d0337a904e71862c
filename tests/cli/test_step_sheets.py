import contextlib
from dataclasses import replace

import pytest

from jaxrcnn.cli.fed_steps import Step, Subject, upright_images
from jaxrcnn.cli.step_sheets import describe_image
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.planning import plan_training
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.detector import build
from tests.cli.test_visualize import CONFIG, DATA, FOUR


@pytest.mark.parametrize(
    ("horizontal", "vertical", "words"),
    [
        (0, 0, "not mirrored"),
        (1, 0, "mirrored left to right"),
        (0, 1, "mirrored top to bottom"),
        (1, 1, "mirrored both ways"),
    ],
)
def test_how_an_image_was_changed_is_said(horizontal, vertical, words):
    data = replace(DATA, horizontal_flip=horizontal, vertical_flip=vertical)
    config, dataset = replace(CONFIG, data=data), shapes_dataset(8, 0)
    subject = Subject(config, build(FOUR), {}, dataset, False)
    plan = plan_training(dataset, config)
    with contextlib.closing(train_batches(dataset, config)) as batches:
        batch = next(batches)
    upright = upright_images(subject, plan, 0, None, [0, 1, 2])
    step = Step(1, batch, upright, None, None, None)
    height, width = batch.image_sizes[1]
    said = describe_image(step, 1, (2 * height, 2 * width), False)
    rows, columns = batch.images.shape[1:3]
    assert said == (
        f"{2 * width} x {2 * height} pixels, resized to {width} x {height} (x 0.50), {words}, "
        f"padded to {columns} x {rows}"
    )
    said = describe_image(step, 1, (2 * height, 2 * width), True)
    assert f"pixels, augmented, resized to {width} x {height}, {words}" in said
