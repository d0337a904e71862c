"""The first place that is not finite, by poisoning one after the other."""

import jax
import numpy as np
import pytest

from jaxrcnn.training.divergence import PLACES, origin, wrong_outputs
from jaxrcnn.types import BoxOutput, Flow, RoiSamples, RpnOutput

ORDER = list(PLACES)
INDEX = np.array([40, 70, 50], np.int32)


def make_flow():
    boxes = np.zeros((3, 2, 4), np.float32)
    return {
        "features": [np.zeros((3, 4, 4, 2), np.float32), np.zeros((3, 2, 2, 2), np.float32)],
        "objectness": np.zeros((3, 6), np.float32),
        "rpn_deltas": np.zeros((3, 6, 4), np.float32),
        "class_logits": np.zeros((3, 2, 3), np.float32),
        "box_deltas": np.zeros((3, 2, 2, 4), np.float32),
        "rois": RoiSamples(boxes, boxes, None, None, None, None),
    }


def make_gradients():
    return {part: {"kernel": np.ones((2, 2), np.float32)} for part in ("backbone", "box_head")}


def locate(arrays, gradients, stage="joint"):
    @jax.jit
    def run(arrays, gradients, index):
        flow = Flow(
            tuple(arrays["features"]),
            RpnOutput(arrays["objectness"], arrays["rpn_deltas"]),
            None,
            arrays["rois"],
            BoxOutput(arrays["class_logits"], arrays["box_deltas"]),
            None,
            None,
        )
        return origin(wrong_outputs(flow, stage), gradients, index)

    found = run(arrays, gradients, INDEX)
    return int(found["origin_place"]), int(found["origin_picture"])


def test_where_all_is_finite_there_is_no_origin():
    assert locate(make_flow(), make_gradients()) == (-1, -1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ORDER[:5])
def test_an_output_names_its_place_and_its_picture(name, value):
    arrays, gradients = make_flow(), make_gradients()
    target = arrays[name][1] if name == "features" else arrays[name]
    target.reshape(3, -1)[1, -1] = value
    gradients["box_head"]["kernel"][0, 0] = np.nan  # what follows from it is not the origin
    assert locate(arrays, gradients) == (ORDER.index(name), 70)


def test_the_first_in_the_flow_counts_and_not_the_first_in_the_batch():
    arrays = make_flow()
    arrays["class_logits"][0] = np.nan
    arrays["objectness"][2] = np.nan
    assert locate(arrays, make_gradients()) == (ORDER.index("objectness"), 50)


def test_a_gradient_alone_is_of_no_picture():
    gradients = make_gradients()
    gradients["box_head"]["kernel"][1, 0] = np.inf
    assert locate(make_flow(), gradients) == (ORDER.index("box_head"), -1)
    gradients["backbone"]["kernel"][:] = np.nan
    assert locate(make_flow(), gradients) == (ORDER.index("backbone"), -1)


def test_a_stage_looks_at_its_own_outputs_only():
    arrays = make_flow()
    arrays["class_logits"][0] = np.nan
    assert locate(arrays, make_gradients(), "rpn") == (-1, -1)
    assert locate(arrays, make_gradients(), "fast_rcnn") == (ORDER.index("class_logits"), 40)
