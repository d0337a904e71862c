import numpy as np
import pytest

from jaxrcnn.benchmark import ops
from jaxrcnn.benchmark.ops import nms_case, roi_cases


def greedy(boxes, scores, threshold):
    """Indices that the sequential algorithm keeps, in plain numpy."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        corner = np.maximum(boxes[i, :2], boxes[kept, :2])
        sides = np.maximum(np.minimum(boxes[i, 2:], boxes[kept, 2:]) - corner, 0)
        areas = (boxes[[i, *kept], 2:] - boxes[[i, *kept], :2]).prod(1)
        both = sides.prod(1)
        if not (both / (areas[0] + areas[1:] - both) > threshold).any():
            kept.append(i)
    return kept


def test_suppression_has_a_place_for_every_box_and_drops_some():
    case = nms_case(200, 90, 120)
    index, valid = case.call(*case.arguments)
    assert index.shape == (200,)
    kept = greedy(*map(np.asarray, case.arguments), ops.NMS_IOU)
    assert np.asarray(index)[np.asarray(valid)].tolist() == kept
    assert 20 < len(kept) < 190
    assert len(case.run(3)) == 3


def test_a_roi_op_has_a_forward_pass_and_two_gradients(monkeypatch):
    monkeypatch.setattr(ops, "ROIS", 6)
    monkeypatch.setattr(ops, "CHANNELS", 4)
    forward, in_features, in_boxes = roi_cases("align", 64, 96)
    assert [case.name for case in (forward, in_features, in_boxes)] == [
        "align forward",
        "align to features",
        "align to boxes",
    ]
    assert forward.call(*forward.arguments).shape == (6, 7, 7, 4)
    (features,) = in_features.call(*in_features.arguments)
    assert [x.shape for x in features] == [(16, 24, 4), (8, 12, 4), (4, 6, 4), (2, 3, 4)]
    (boxes,) = in_boxes.call(*in_boxes.arguments)
    assert boxes.shape == (6, 4)
    # The mean over a bin is linear in the features: <op(x), c> = <x, op'(c)>.
    pooled = np.asarray(forward.call(*forward.arguments), np.float64)
    left = (pooled * np.asarray(in_features.arguments[2])).sum()
    maps = forward.arguments[0]
    right = sum((np.float64(x) * np.float64(y)).sum() for x, y in zip(maps, features, strict=True))
    assert left == pytest.approx(right, rel=1e-4)
