"""The draws that are looked at are those of the training step."""

import jax
import numpy as np
import pytest

from jaxrcnn.config import Config
from jaxrcnn.detector import build
from jaxrcnn.training.knobs import step_key
from jaxrcnn.training.sampled import found, sampled
from tests.tiny import MODEL, make_batch, make_variables

CONFIG = Config(model=MODEL, seed=5)
STEP = 3


def overlaps(boxes, truth):
    """IoU of boxes (n, 4) with boxes (g, 4), (n, g), box by box."""
    table = np.zeros((len(boxes), len(truth)))
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        for j, (u0, v0, u1, v1) in enumerate(truth):
            width, height = min(x1, u1) - max(x0, u0), min(y1, v1) - max(y0, v0)
            shared = max(width, 0) * max(height, 0)
            table[i, j] = shared / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - shared)
    return table


@pytest.fixture(scope="module")
def drawn():
    """What is drawn for a batch, and what its training pass says."""
    detector, batch = build(MODEL), make_batch(images=2)
    variables = make_variables(detector)
    one = jax.tree.map(lambda x: x[1:], batch)
    look = jax.jit(sampled, static_argnums=(0, 1))
    both, second = (look(detector, CONFIG, variables, x, STEP) for x in (batch, one))

    @jax.jit
    def trained(variables, batch):
        return detector.train(detector, variables, batch, step_key(CONFIG.seed, STEP))[2]

    return batch, both, second, trained(variables, batch)


def test_rois_and_foreground_anchors_are_those_of_the_training_pass(drawn):
    _, both, _, flow = drawn
    np.testing.assert_array_equal(both.anchor_foreground, flow.anchor_foreground)
    for name, x in (("boxes", both.rois), ("labels", both.roi_labels), ("valid", both.roi_valid)):
        np.testing.assert_array_equal(x, getattr(flow.rois, name))


def test_foreground_overlaps_the_ground_truth(drawn):
    batch, both, _, _ = drawn
    for n in range(2):
        truth = np.asarray(batch.boxes[n])[np.asarray(batch.box_valid[n])]
        anchors = np.asarray(both.anchors[n])[np.asarray(both.anchor_foreground[n])]
        assert len(anchors)
        assert (overlaps(anchors, truth).max(axis=1) > 0).all()
        rois, labels = np.asarray(both.rois[n]), np.asarray(both.roi_labels[n])
        best = overlaps(rois, truth).max(axis=1)
        valid = np.asarray(both.roi_valid[n])
        assert (labels[valid] > 0).any()
        np.testing.assert_array_equal(labels[valid] > 0, best[valid] >= 0.5)


def test_other_images_change_nothing(drawn):
    _, both, second, _ = drawn
    for all_images, alone in zip(both, second, strict=True):
        np.testing.assert_allclose(all_images[1:], alone, atol=1e-4)


def test_detections_are_the_detector_s_own():
    seen = []

    def infer(detector, variables, images, image_sizes, proposals=None):
        seen.append((images.shape, image_sizes.shape, proposals))
        return "detections"

    detector, batch = build(MODEL, infer=infer), make_batch(images=2)
    assert found(detector, {}, batch) == "detections"
    assert seen == [(batch.images.shape, (2, 2), None)]
