"""Slopes against finite differences of the losses, and their measures in plain numpy."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxrcnn import detector as library
from jaxrcnn.detector import build, draw_keys, forward_train
from jaxrcnn.stages.losses import box_head_losses
from jaxrcnn.training.pushes import Slopes, measure_pushes, pushes_of, roi_slopes
from jaxrcnn.training.routes import set_up
from jaxrcnn.types import Batch, RoiSamples
from tests.tiny import MODEL, change, make_batch, make_variables

KEY = jax.random.key(5)


def numpy_iou(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inside = np.prod(np.maximum(high - low, 0))
    return inside / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)


@pytest.mark.slow
def test_slopes_are_finite_differences_of_the_second_stages_losses():
    model = change(
        MODEL,
        rpn={"box_loss": "smooth_l1"},
        box_head={"box_loss": "smooth_l1", "foreground_iou": 0.1, "dropout": 0.5},
    )
    with jax.enable_x64(True):
        model = dataclasses.replace(model, compute_dtype="float64")
        detector, batch = build(model), make_batch()
        variables = make_variables(detector)
        setting = set_up(detector, variables, batch, KEY, "joint")
        slopes, flow = jax.jit(lambda: roi_slopes(setting))()
        rois, maps = flow.rois, flow.features
        _, _, dropout_key = draw_keys(KEY, batch.image_index)

        @jax.jit
        def total(boxes, references):
            pooled = library.pool(detector, maps, boxes)
            head, _ = library.apply(detector, "box_head", variables, pooled, True, dropout_key)
            output = library.split_images(head, 2)
            moved = rois._replace(references=references)
            return sum(box_head_losses(output, moved, batch.image_weights, model.box_head))

        losses, _, _ = forward_train(detector, variables, batch, KEY)
        values = np.asarray(rois.boxes), np.asarray(rois.references)
        np.testing.assert_allclose(total(*values), losses.box_class + losses.box_reg, rtol=1e-6)
        step = 1e-5
        for which, slope in enumerate(slopes):
            differences = np.zeros(slope.shape)
            for place in np.ndindex(slope.shape):
                ends = []
                for sign in (1, -1):
                    moved = [x.copy() for x in values]
                    moved[which][place] += sign * step
                    ends.append(float(total(*moved)))
                differences[place] = (ends[0] - ends[1]) / (2 * step)
            assert np.abs(differences).max() > 1e-3
            # Where a bilinear sample or a maximum changes places, one difference has a kink.
            close = np.isclose(slope, differences, rtol=1e-4, atol=1e-7)
            assert close.mean() > 0.98


TRUTH = np.array([[(10, 10, 30, 30), (40, 10, 60, 40), (0, 0, 1, 1)]] * 3, np.float32)


@pytest.fixture(scope="module")
def case():
    """Two images with RoIs about their objects, and one that is padding of the batch."""
    rng = np.random.default_rng(1)
    matched = rng.integers(0, 2, (3, 40)).astype(np.int32)
    objects = np.take_along_axis(TRUTH, matched[..., None], 1)
    scale = rng.uniform(0, 8, (3, 40, 1))
    boxes = (objects + scale * rng.uniform(-1, 1, (3, 40, 4))).astype(np.float32)
    boxes[:, 0] = objects[:, 0]  # the object itself, to which there is no way
    overlap = np.array(
        [[numpy_iou(boxes[n, s], objects[n, s]) for s in range(40)] for n in range(3)]
    )
    labels = np.where(overlap >= 0.5, 1 + matched, 0).astype(np.int32)
    valid = np.arange(40)[None] < np.array([[39], [35], [40]])
    rois = RoiSamples(boxes, boxes, labels, objects, None, valid, matched)
    slopes = Slopes(*rng.normal(size=(2, 3, 40, 4)).astype(np.float32))
    slopes.pooling[0, 1:4] = 0
    batch = Batch(
        *[None] * 3,
        image_weights=np.array([1, 0.5, 0], np.float32),
        boxes=TRUTH,
        labels=None,
        box_valid=np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]], bool),
        box_ignore=np.zeros((3, 3), bool),
        box_weights=None,
    )
    return slopes, rois, batch, overlap


@jax.jit
def measured(slopes, rois, batch):
    return measure_pushes(pushes_of(slopes, rois, batch))


def test_measures_are_means_over_the_rois_of_a_bin(case):
    slopes, rois, batch, overlap = case
    found = measured(slopes, rois, batch)
    bins = {
        ("pooling", "0.1"): (0.1, 0.5),
        **{
            (route, name): limits
            for route in ("pooling", "targets")
            for name, limits in {
                "0.5": (0.5, 0.6),
                "0.6": (0.6, 0.7),
                "0.7": (0.7, 0.8),
                "0.8": (0.8, 2),
            }.items()
        },
    }
    assert len(found) == 2 * len(bins)
    for (route, name), (low, high) in bins.items():
        cosines, nearer = [], []
        for n, s in np.ndindex(2, 40):
            slope = getattr(slopes, route)[n, s].astype(float)
            box, truth = rois.boxes[n, s].astype(float), rois.matched_boxes[n, s].astype(float)
            if not rois.valid[n, s] or (n == 1 and rois.matched[n, s] == 1) or not slope.any():
                continue
            if (rois.labels[n, s] > 0) == (name == "0.1") or not low <= overlap[n, s] < high:
                continue
            if (way := truth - box).any():
                cosines.append(-slope @ way / np.linalg.norm(slope) / np.linalg.norm(way))
                ends = [numpy_iou(box - sign * 1e-5 * slope, truth) for sign in (1, -1)]
                nearer.append(ends[0] > ends[1])
        assert len(cosines) > 1
        np.testing.assert_allclose(found[f"push/{route}/{name}"], np.mean(cosines), rtol=1e-4)
        np.testing.assert_allclose(found[f"nearer/{route}/{name}"], np.mean(nearer), rtol=1e-6)


def test_a_push_to_the_object_has_cosine_one_and_none_is_no_number(case):
    _, rois, batch, _ = case
    away = rois.boxes - rois.matched_boxes  # a slope: the push is against it
    found = measured(Slopes(away, -away), rois, batch)
    for name in ("0.5", "0.6", "0.7", "0.8"):
        np.testing.assert_allclose(found[f"push/pooling/{name}"], 1, rtol=1e-5)
        np.testing.assert_allclose(found[f"push/targets/{name}"], -1, rtol=1e-5)
        assert found[f"nearer/pooling/{name}"] == 1
    nothing = measured(Slopes(away, away), rois._replace(valid=rois.valid & False), batch)
    assert np.isnan(list(nothing.values())).all()
