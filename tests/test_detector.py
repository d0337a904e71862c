"""The whole detector: the gate, padding, weights, draws and detections."""

import dataclasses
import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import AnchorConfig, ConfigError, DeltaGradientConfig, HardExampleConfig
from jaxrcnn.detector import build, draw_anchors, forward_infer, forward_propose, forward_train
from jaxrcnn.types import Gates, Losses, RoiSamples
from tests.slow import slow_but
from tests.tiny import FPN_MODEL, MODEL, SIZE, change, make_batch, make_variables

# All proposals survive and are drawn, so that no discrete choice depends on where they lie.
OPEN = change(
    MODEL,
    rpn={"box_loss": "smooth_l1"},
    proposals={"stop_gradient": False, "nms_iou": 1.0, "pre_nms_train": 8},
    box_head={
        "box_loss": "smooth_l1",
        "samples": 12,
        "foreground_fraction": 1.0,
        "foreground_iou": 0.1,  # so that some of the proposals have regression targets
    },
)
# Three RoIs of each image.
MINED = change(OPEN, box_head={"mining": HardExampleConfig(keep=3, nms_iou=1.0)})
GATES = pytest.mark.parametrize("model", [MODEL, OPEN, MINED], ids=["closed", "open", "mined"])
EVERY_LIMIT = DeltaGradientConfig(1 / 512, 1 / 256, True, True, True)
EVERY_LOSS = Losses(1.0, 1.0, 1.0, 1.0)
SECOND_STAGE = Losses(0.0, 0.0, 1.0, 1.0)
KEY = jax.random.key(7)
TRACES = []


@pytest.fixture(scope="module")
def variables():
    """They depend on neither the gate nor the RoI op."""
    return make_variables(build(MODEL))


def weighted(detector, params, rest, batch, key, factors):
    losses, _, _ = forward_train(detector, {**rest, "params": params}, batch, key)
    return sum(f * x for f, x in zip(factors, losses, strict=True)), losses


@functools.partial(jax.jit, static_argnums=0)
def gradient(detector, variables, batch, key, factors):
    """Losses, and the gradient of their weighted sum in the parameters."""
    rest = {k: v for k, v in variables.items() if k != "params"}
    gradients, losses = jax.grad(weighted, 1, has_aux=True)(
        detector, variables["params"], rest, batch, key, factors
    )
    return losses, gradients


@functools.partial(jax.jit, static_argnums=0)
def only_losses(detector, variables, batch, key):
    TRACES.append(detector)
    return forward_train(detector, variables, batch, key)[0]


@functools.partial(jax.jit, static_argnums=0)
def infer(detector, variables, images, image_sizes):
    return forward_infer(detector, variables, images, image_sizes)


def assert_all_finite(tree):
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        assert np.isfinite(x).all(), jax.tree_util.keystr(path)


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_near(a, b, rtol=1e-4):
    """Equal up to the rounding of sums: the error is measured by the largest entry."""
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
    ):
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(x, y, rtol, rtol * np.abs(y).max() + 1e-9, err_msg=name)


@pytest.mark.parametrize(
    "model",
    [MODEL, change(MINED, proposals={"stop_gradient": True})],
    ids=["drawn", "mined"],
)
def test_closed_gate_keeps_the_second_stage_from_the_rpn(model, variables):
    losses, gradients = gradient(build(model), variables, make_batch(), KEY, SECOND_STAGE)
    assert losses.box_reg > 0
    for x in jax.tree.leaves(gradients["rpn_head"]):
        assert (np.asarray(x) == 0).all()
    assert any((np.asarray(x) != 0).any() for x in jax.tree.leaves(gradients["box_head"]))


@pytest.mark.parametrize("model", [OPEN, MINED], ids=["drawn", "mined"])
def test_open_gate_lets_the_second_stage_reach_the_boxes_of_the_rpn(model, variables):
    _, gradients = gradient(build(model), variables, make_batch(), KEY, SECOND_STAGE)
    head = gradients["rpn_head"]
    for layer in ("conv", "bbox_pred"):
        for x in jax.tree.leaves(head[layer]):
            assert (np.asarray(x) != 0).any()
    for x in jax.tree.leaves(head["cls_logits"]):  # scores only choose, which has no gradient
        assert (np.asarray(x) == 0).all()


def test_hard_examples_of_every_image_are_trained(variables):
    """TF OD API trains those of image 0 alone. As many of each image: the mean over them."""
    batch = make_batch()
    alone = [
        gradient(build(MINED), variables, image, KEY, EVERY_LOSS)
        for image in (jax.tree.map(lambda x, i=i: x[[i]], batch) for i in range(2))
    ]
    assert all(losses.box_reg > 0 for losses, _ in alone)
    expected = jax.tree.map(lambda a, b: (a + b) / 2, *alone)
    assert_near(gradient(build(MINED), variables, batch, KEY, EVERY_LOSS), expected)


def inner(a, b):
    return sum(np.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@functools.partial(jax.jit, static_argnums=0)
def route_gradient(detector, variables, batch, gates):
    """Gradient of the whole loss in the RPN's box layer, with so wide gates."""

    def total(bbox_pred):
        head = {**variables["params"]["rpn_head"], "bbox_pred": bbox_pred}
        moved = {**variables, "params": {**variables["params"], "rpn_head": head}}
        return sum(forward_train(detector, moved, batch, KEY, gates=gates)[0])

    return jax.grad(total)(variables["params"]["rpn_head"]["bbox_pred"])


@functools.partial(jax.jit, static_argnums=0)
def held_loss(detector, variables, batch, held, moves):
    """The whole loss where a route whose gate is 0 sees the held RoIs; and the RoIs of its own."""
    seen = []

    def hold(rois, config, gates=None):
        seen.append(rois)
        return rois._replace(
            boxes=jnp.where(moves.pooling > 0, rois.boxes, held.boxes),
            references=jnp.where(moves.targets > 0, rois.references, held.references),
        )

    losses, _, _ = forward_train(detector._replace(gate=hold), variables, batch, KEY)
    return sum(losses), seen[0]


@pytest.mark.parametrize(
    "op",
    slow_but(("align", "precise"), ("align", "align_unaligned", "crop_resize", "warp", "precise")),
)
def test_each_route_is_that_of_finite_differences(op, variables):
    # The scores do not depend on bbox_pred, all proposals survive and all are drawn, and there is
    # one level: over a small step no discrete choice changes.
    with jax.enable_x64(True):
        model = dataclasses.replace(change(OPEN, roi={"op": op}), compute_dtype="float64")
        detector, eps = build(model), 1e-7
        wide = jax.tree.map(lambda x: x.astype(np.float64), variables)
        batch = make_batch()
        nothing = np.zeros((2, 12, 4))
        empty = RoiSamples(nothing, nothing, *[None] * 5)
        _, rois = held_loss(detector, wide, batch, empty, Gates(1.0, 1.0))
        held = RoiSamples(rois.boxes, rois.references, *[None] * 5)
        rng, sizes = np.random.default_rng(1), []
        for moves in (Gates(1.0, 0.0), Gates(0.0, 1.0), Gates(1.0, 1.0), Gates(0.0, 0.0)):
            slope = route_gradient(detector, wide, batch, moves)
            sizes.append(np.sqrt(inner(slope, slope)))
            direction = jax.tree.map(lambda x: rng.normal(size=x.shape), slope)
            sides = []
            for sign in (1, -1):
                params = dict(wide["params"])
                moved = jax.tree.map(
                    lambda x, d, s=sign: x + s * eps * d, params["rpn_head"]["bbox_pred"], direction
                )
                params["rpn_head"] = {**params["rpn_head"], "bbox_pred": moved}
                side, _ = held_loss(detector, {**wide, "params": params}, batch, held, moves)
                sides.append(float(side))
            expected = (sides[0] - sides[1]) / (2 * eps)
            assert abs(inner(slope, direction) - expected) < 1e-6 * sizes[-1], moves
        assert len({round(float(size), 6) for size in sizes}) == 4  # each route is open or not


def test_gates_scale_the_routes_and_closed_ones_are_the_closed_gate(variables):
    batch, gradients = make_batch(), {}
    for gates in (Gates(0.0, 0.0), Gates(1.0, 0.0), Gates(0.0, 1.0), Gates(0.25, 0.5)):
        gradients[gates] = route_gradient(build(OPEN), variables, batch, gates)
    closed = change(OPEN, proposals={"stop_gradient": True})
    assert_same(gradients[0.0, 0.0], route_gradient(build(closed), variables, batch, Gates(1, 1)))
    constant = change(OPEN, proposals={"pooling_gradient": 0.0, "target_gradient": 0.0})
    assert_same(gradients[0.0, 0.0], route_gradient(build(constant), variables, batch, None))
    expected = jax.tree.map(
        lambda none, pooling, targets: none + 0.25 * (pooling - none) + 0.5 * (targets - none),
        *(gradients[gates] for gates in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))),
    )
    assert_near(gradients[0.25, 0.5], expected)


def test_the_gate_changes_no_value(variables):
    losses = [
        only_losses(build(change(OPEN, proposals=fields)), variables, make_batch(), KEY)
        for fields in (
            {"stop_gradient": True},
            {"target_gradient": 0.5},
            {"delta_gradient": EVERY_LIMIT},
        )
    ]
    assert_same(losses[0], losses[1])
    assert_same(losses[0], losses[2])


def test_float64_is_refused_where_jax_would_quietly_compute_in_float32():
    with pytest.raises(ConfigError, match="JAX_ENABLE_X64"):
        build(dataclasses.replace(MODEL, compute_dtype="float64"))


@GATES
def test_padding_of_any_content_changes_nothing(model, variables):
    clean = make_batch()
    dirty = clean._replace(
        images=clean.images.copy(),
        boxes=clean.boxes.copy(),
        labels=clean.labels.copy(),
        box_weights=clean.box_weights.copy(),
    )
    for i, (height, width) in enumerate(clean.image_sizes):
        dirty.images[i, height:] = np.nan
        dirty.images[i, :, width:] = np.nan
    dirty.boxes[:, 2] = np.nan
    dirty.box_weights[:, 2] = np.nan
    dirty.labels[:, 2] = 99
    expected = gradient(build(model), variables, clean, KEY, EVERY_LOSS)
    got = gradient(build(model), variables, dirty, KEY, EVERY_LOSS)
    assert_all_finite(got)
    assert_same(got, expected)


@GATES
def test_images_without_objects_have_no_box_losses(model, variables):
    batch = make_batch()._replace(
        box_valid=np.zeros((2, 3), bool), boxes=np.full((2, 3, 4), np.nan, np.float32)
    )
    losses, gradients = gradient(build(model), variables, batch, KEY, EVERY_LOSS)
    assert_all_finite((losses, gradients))
    assert losses.rpn_box == 0
    assert losses.box_reg == 0
    assert losses.rpn_objectness > 0
    assert losses.box_class > 0


@GATES
def test_degenerate_boxes_stay_finite(model, variables):
    boxes = np.array(
        [
            [(5, 5, 6, 6), (9, 9, 9, 9), (0, 0, SIZE, SIZE)],  # a pixel, a point, everything
            [(3, 3, 3, 40), (20, 10, 10, 5), (-50, -50, 200, 200)],  # a line, inverted, beyond
        ],
        np.float32,
    )
    batch = make_batch()._replace(boxes=boxes, box_valid=np.ones((2, 3), bool))
    assert_all_finite(gradient(build(model), variables, batch, KEY, EVERY_LOSS))


def test_a_image_of_weight_zero_does_not_count(variables):
    first = jax.tree.map(lambda x: x[[0, 0]], make_batch())  # twice the same, so its mean is it
    padded = make_batch()._replace(image_weights=np.array([1, 0], np.float32))
    expected = gradient(build(OPEN), variables, first, KEY, EVERY_LOSS)
    got = gradient(build(OPEN), variables, padded, KEY, EVERY_LOSS)
    assert_near(got, expected)


def test_draws_follow_the_image_and_not_its_place(variables):
    batch = make_batch()
    swapped = jax.tree.map(lambda x: x[::-1], batch)
    renamed = batch._replace(image_index=batch.image_index[::-1])
    losses, other, redrawn = (
        gradient(build(MODEL), variables, b, KEY, EVERY_LOSS)[0] for b in (batch, swapped, renamed)
    )
    np.testing.assert_allclose(losses, other, 1e-6)
    assert losses.rpn_objectness != redrawn.rpn_objectness
    assert losses.box_class != redrawn.box_class


def test_equal_configs_are_one_program_and_losses_have_their_factors(variables):
    TRACES.clear()
    factors = {
        "rpn": {"objectness_weight": 2.0, "box_weight": 3.0},
        "box_head": {"class_weight": 5.0, "box_weight": 7.0},
    }
    first, second = build(change(MODEL, **factors)), build(change(MODEL, **factors))
    assert first == second
    assert hash(first) == hash(second)
    assert first != build(MODEL)
    scaled = only_losses(first, variables, make_batch(), KEY)
    again = only_losses(second, variables, make_batch(), KEY)
    assert len(TRACES) == 1
    assert_same(again, scaled)
    plain, _ = gradient(build(MODEL), variables, make_batch(), KEY, EVERY_LOSS)
    np.testing.assert_allclose(scaled, np.array(plain) * [2, 3, 5, 7], 1e-5)


@pytest.fixture(scope="module")
def detections():
    detector, batch = build(FPN_MODEL), make_batch()
    return infer(detector, make_variables(detector), batch.images, batch.image_sizes)


def test_detections_are_best_first_and_then_padding(detections):
    valid, scores = np.asarray(detections.valid), np.asarray(detections.scores)
    assert (np.diff(valid.astype(int)) <= 0).all()
    assert (np.diff(scores) <= 0).all()
    assert valid.any(1).all()
    assert ((scores > 0) == valid).all()
    assert (scores <= 1).all()
    assert (np.asarray(detections.boxes)[~valid] == 0).all()
    assert (np.asarray(detections.labels)[~valid] == 0).all()


def test_detections_have_known_labels_and_lie_in_the_image(detections):
    batch = make_batch()
    for i, (height, width) in enumerate(batch.image_sizes):
        valid = np.asarray(detections.valid[i])
        labels = np.asarray(detections.labels[i])[valid]
        boxes = np.asarray(detections.boxes[i])[valid]
        assert set(labels) <= {1, 2, 3}
        assert (boxes >= 0).all()
        assert (boxes[:, [0, 2]] <= width).all()
        assert (boxes[:, [1, 3]] <= height).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()


def test_detections_do_not_see_the_padding(detections):
    detector, batch = build(FPN_MODEL), make_batch()
    dirty = batch.images.copy()
    for i, (height, width) in enumerate(batch.image_sizes):
        dirty[i, height:] = np.nan
        dirty[i, :, width:] = np.nan
    got = infer(detector, make_variables(detector), dirty, batch.image_sizes)
    assert_same(got, detections)


def test_given_proposals_take_the_place_of_the_own():
    detector = build(MODEL)

    @jax.jit
    def infer_thrice(variables, images, image_sizes):
        own = forward_propose(detector, variables, images, image_sizes)
        fewer = own._replace(valid=own.valid.at[:, 1:].set(False))
        padding = jnp.where(fewer.valid, 0, jnp.nan)
        dirty = fewer._replace(boxes=own.boxes + padding[..., None], scores=own.scores + padding)
        return [
            forward_infer(detector, variables, images, image_sizes, proposals)
            for proposals in (None, own, fewer, dirty)
        ]

    batch = make_batch()
    found = infer_thrice(make_variables(detector), batch.images, batch.image_sizes)
    assert_near(found[1]._asdict(), found[0]._asdict())
    assert_near(found[3]._asdict(), found[2]._asdict())
    # Three classes of one proposal each.
    assert np.asarray(found[2].valid).sum(1).max() <= 3 < np.asarray(found[1].valid).sum(1).min()


def test_proposals_are_those_that_inference_looks_into_and_need_no_box_head():
    # Three proposals in inference and eight in training, so that the counts cannot be mixed up.
    detector = build(change(MODEL, proposals={"post_nms_test": 3}))

    @jax.jit
    def both(variables, images, image_sizes):
        with mock.patch("jaxrcnn.detector.detect", lambda output, proposals, *_: proposals):
            looked_into = forward_infer(detector, variables, images, image_sizes)
        params = {name: x for name, x in variables["params"].items() if name != "box_head"}
        rest = {**variables, "params": params}
        return looked_into, forward_propose(detector, rest, images, image_sizes)

    batch = make_batch()
    looked_into, proposals = both(make_variables(detector), batch.images, batch.image_sizes)
    assert_same(proposals, looked_into)
    assert proposals.boxes.shape == (2, 3, 4)
    assert np.asarray(proposals.valid).any(1).all()


def test_spread_anchors_stand_as_far_apart_as_the_map_is_smaller_than_the_image():
    # torchvision's own rule: 224 // 4 = 56 where the stride is 64.
    images, maps = jnp.zeros((1, 256, 224, 3)), [jnp.zeros((1, 4, 4, 1))]
    config = AnchorConfig(sizes=((2.0,),), ratios=(1.0,))
    by_stride, sizes = draw_anchors(images, maps, [64], config)
    assert sizes == (16,)
    np.testing.assert_array_equal(by_stride[5], [63, 63, 65, 65])
    spread, _ = draw_anchors(images, maps, [64], dataclasses.replace(config, spread=True))
    np.testing.assert_array_equal(spread[5], [55, 63, 57, 65])
