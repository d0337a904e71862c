"""Masks of drawn shapes: pasted by hand, and worth what pycocotools says they are."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from jaxrcnn.config import Config, DataConfig, EvalConfig
from jaxrcnn.data.loader import eval_batches
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.evaluation.masks import mask_metrics, paste_masks

CONFIG = Config(
    data=DataConfig(format="shapes", short_side=160, long_side=240), eval=EvalConfig(batch_size=4)
)
SIDE = 28


class Found(NamedTuple):
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    masks: np.ndarray


@pytest.fixture(scope="module")
def dataset():
    drawn = shapes_dataset(5, 1)
    return dataclasses.replace(drawn, transforms=(drawn.reader.add_instances,))


def know_masks(batch):
    """The ground truth: of each box, what is at the middles of its SIDE x SIDE parts."""
    masks = np.zeros((*batch.labels.shape, SIDE, SIDE), np.float32)
    parts = (np.arange(SIDE) + 0.5) / SIDE
    for n, g in np.argwhere(batch.box_valid):
        x0, y0, x1, y1 = batch.boxes[n, g]
        rows, columns = (y0 + parts * (y1 - y0)).astype(int), (x0 + parts * (x1 - x0)).astype(int)
        instances = batch.extra["instance_map"][n][np.ix_(rows, columns)]
        masks[n, g] = instances == batch.extra["instance"][n, g]
    scores = np.where(batch.box_valid, 0.9, 0).astype(np.float32)
    return Found(batch.boxes, scores, batch.labels, batch.box_valid, masks)


def know_boxes(batch):
    """The ground truth's boxes, filled."""
    found = know_masks(batch)
    return found._replace(masks=np.ones_like(found.masks))


def test_a_mask_is_pasted_where_it_is_at_least_one_half():
    # Parts of 2 x 2 pixels from (1, 2) on; of the first row of parts the left one is sure.
    mask = np.array([[[1, 0], [0.8, 0.8]]], np.float32)
    pasted = paste_masks(mask, np.array([[1, 2, 5, 6]], np.float32), (7, 6))
    # A pixel's centre is 1/4 of a part away from one part's and 3/4 from the next one's; outside
    # is 0. Along rows that is 3/4 of (1, 0) = (.75, 0), 3/4 of (1, 0) + 1/4 of (.8, .8) =
    # (.95, .2), (.85, .6) and (.6, .6). Each of them in the same way along columns:
    # (.56 .56 .19 0), (.71 .76 .39 .15), (.64 .79 .66 .45) and (.45 .6 .6 .45).
    expected = np.zeros((7, 6), bool)
    expected[2, 1:3] = expected[3, 1:3] = expected[4, 1:4] = expected[5, 2:4] = True
    np.testing.assert_array_equal(pasted[0], expected)
    assert paste_masks(mask[:0], np.zeros((0, 4), np.float32), (7, 6)).shape == (0, 7, 6)


def test_true_masks_are_worth_more_than_filled_boxes(dataset):
    true = mask_metrics(know_masks, eval_batches(dataset, CONFIG))
    filled = mask_metrics(know_boxes, eval_batches(dataset, CONFIG))
    assert true.keys() == {"eval/mask_AP", "eval/mask_AP50", "eval/mask_AP75"}
    assert true["eval/mask_AP50"] == pytest.approx(1)
    assert true["eval/mask_AP75"] == pytest.approx(1)
    # A triangle fills half of its box at most, and a disk pi / 4.
    assert filled["eval/mask_AP75"] < 0.7


def test_batches_without_instances_are_refused():
    with pytest.raises(ValueError, match=r"^a batch needs .* instance, and has \[\]"):
        mask_metrics(know_masks, eval_batches(shapes_dataset(2, 1), CONFIG))
