"""The first place that is not finite, by poisoning one after the other."""

import jax
import numpy as np
import pytest

from jaxrcnn.config import BoxHeadConfig
from jaxrcnn.stages.losses import roi_losses
from jaxrcnn.training.divergence import (
    PLACES,
    describe_origin,
    of_parameters,
    origin,
    wrong_outputs,
)
from jaxrcnn.types import BoxOutput, Flow, RoiSamples, RpnOutput

ORDER = list(PLACES)
INDEX = np.array([40, 70, 50], np.int32)


def make_flow():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 50, (3, 2, 4)).astype(np.float32)
    rois = RoiSamples(
        boxes=boxes,
        references=np.tile(np.array([2, 2, 12, 22], np.float32), (3, 2, 1)),
        labels=np.full((3, 2), 2, np.int32),
        matched_boxes=np.tile(np.array([4, 4, 10, 20], np.float32), (3, 2, 1)),
        weights=np.ones((3, 2), np.float32),
        valid=np.ones((3, 2), bool),
        matched=np.zeros((3, 2), np.int32),
    )
    return {
        "features": [np.zeros((3, 4, 4, 2), np.float32), np.zeros((3, 2, 2, 2), np.float32)],
        "objectness": np.zeros((3, 6), np.float32),
        "rpn_deltas": np.zeros((3, 6, 4), np.float32),
        "class_logits": np.zeros((3, 2, 3), np.float32),
        "box_deltas": np.zeros((3, 2, 2, 4), np.float32),
        "rois": rois,
        "anchors": rng.uniform(0, 50, (6, 4)).astype(np.float32),
    }


def make_gradients():
    return {part: {"kernel": np.ones((2, 2), np.float32)} for part in ("backbone", "box_head")}


def find(arrays, gradients, stage="joint", statistics=(), parameters=()):
    @jax.jit
    def run(arrays, gradients, index, statistics, parameters):
        flow = Flow(
            tuple(arrays["features"]),
            RpnOutput(arrays["objectness"], arrays["rpn_deltas"]),
            None,
            arrays["rois"],
            BoxOutput(arrays["class_logits"], arrays["box_deltas"]),
            arrays["anchors"],
            None,
        )
        weights = np.ones(3, np.float32)
        wrong = wrong_outputs(flow, stage, weights, BoxHeadConfig(), roi_losses)
        return of_parameters(origin(wrong, gradients, index, statistics), parameters)

    return run(arrays, gradients, INDEX, statistics, parameters)


def locate(*arguments):
    found = find(*arguments)
    return int(found["origin_place"]), int(found["origin_image"])


def test_where_all_is_finite_there_is_no_origin():
    assert locate(make_flow(), make_gradients()) == (-1, -1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ORDER[:5])
def test_an_output_names_its_place_and_its_image(name, value):
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


def test_a_gradient_alone_is_of_no_image():
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


@pytest.mark.parametrize("name", ["objectness", "rpn_deltas"])
def test_an_output_of_the_rpn_names_its_anchor(name):
    arrays = make_flow()
    arrays[name][1, 4] = np.inf
    arrays[name][1, 5] = np.nan  # the first one is named
    anchor = ", ".join(f"{x:.1f}" for x in arrays["anchors"][4])
    words = describe_origin(find(arrays, make_gradients()), lambda index: f"<{index}>")
    assert words == f"first seen in {PLACES[name]} for image <70>, anchor 4 at ({anchor})"


@pytest.mark.parametrize("name", ["class_logits", "box_deltas"])
def test_an_output_of_the_box_head_names_its_roi(name):
    arrays = make_flow()
    arrays[name][2, 1] = np.nan
    box = ", ".join(f"{x:.1f}" for x in arrays["rois"].boxes[2, 1])
    words = describe_origin(find(arrays, make_gradients(), "fast_rcnn"))
    assert words == f"first seen in {PLACES[name]} for image 50, RoI 1 at ({box})"


def test_a_loss_of_finite_outputs_names_its_roi():
    for name, spoil in (
        ("box_loss", {"matched_boxes": np.nan}),
        ("class_loss", {"weights": np.inf}),
    ):
        arrays = make_flow()
        ((field, value),) = spoil.items()
        getattr(arrays["rois"], field)[1, 1] = value
        found = find(arrays, make_gradients())
        assert int(found["origin_place"]) == ORDER.index(name)
        assert int(found["origin_image"]) == 70
        assert int(found["origin_box"]) == 1
        assert locate(arrays, make_gradients(), "rpn") == (-1, -1)


def test_a_loss_that_is_masked_is_no_origin():
    arrays = make_flow()
    arrays["rois"].matched_boxes[1, 1] = np.nan
    arrays["rois"].valid[1, 1] = False
    assert locate(arrays, make_gradients()) == (-1, -1)


def test_words_for_what_is_of_no_box_and_of_no_image():
    arrays, gradients = make_flow(), make_gradients()
    assert describe_origin(find(arrays, gradients)) == ""
    gradients["box_head"]["kernel"][1, 0] = np.inf
    assert describe_origin(find(arrays, gradients)) == "first seen in the box head's gradient"
    arrays["features"][0][0] = np.nan
    expected = "first seen in the backbone's features for image 40"
    assert describe_origin(find(arrays, gradients)) == expected


def test_the_new_state_comes_last():
    arrays, gradients = make_flow(), make_gradients()
    fine, bad = np.ones(3, np.float32), np.float32([1, np.inf, 1])

    def place(**trees):
        return int(find(arrays, gradients, **trees)["origin_place"])

    assert place(statistics={"mean": fine}, parameters=[fine]) == -1
    assert place(statistics={"mean": fine}, parameters=[fine, bad]) == ORDER.index("parameters")
    assert place(statistics={"mean": bad}, parameters=[bad]) == ORDER.index("statistics")
    gradients["box_head"]["kernel"][1, 0] = np.inf
    assert place(statistics={"mean": bad}, parameters=[bad]) == ORDER.index("box_head")
