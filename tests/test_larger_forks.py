"""The larger forks of docs/forking.md: each runs as a script, and its pieces give known values."""

import contextlib
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.tiny import get_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data import eval_batches, open_datasets, train_batches
from jaxrcnn.detector import init
from jaxrcnn.interop.export import export_program, preprocessing_of
from jaxrcnn.types import BoxOutput, Flow, Losses, Proposals, RoiSamples
from tests.contracts import check_backbone, check_box_head, check_infer, check_train
from tests.forks import PAGE, ROOT, code_lines, fork_blocks, run_fork
from tests.tiny import MODEL, change, make_batch, make_variables

HEADINGS = {
    "cascade": "Cascade R-CNN",
    "masks": "A mask head",
    "vit": "A ViT-style backbone with a simple pyramid",
}
SCALARS = {
    "cascade": {"box_class", "box_reg", "class_2", "box_2", "class_3", "box_3"},
    "masks": {"box_class", "box_reg", "mask"},
    "vit": {"box_class", "box_reg"},
}


def test_every_larger_fork_has_sixty_lines_at_most():
    lines = {name: code_lines(fork_blocks()[heading]) for name, heading in HEADINGS.items()}
    assert max(lines.values()) <= 60, lines


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADINGS)
def test_the_fork_trains_evaluates_and_detects_as_a_script(name, tmp_path):
    assert f"`{name}.py`" in PAGE.read_text(encoding="utf-8")
    script = tmp_path / f"{name}.py"
    script.write_text(fork_blocks()[HEADINGS[name]], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "runs" / name / "metrics.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    for part in ("train", "eval"):
        (last,) = (row for row in rows if row["step"] == 4 and f"{part}/loss" in row)
        losses = {x.removeprefix(f"{part}/loss_") for x in last if x.startswith(f"{part}/loss_")}
        assert losses == {"rpn_objectness", "rpn_box"} | SCALARS[name]
        assert sum(last[f"{part}/loss_{x}"] for x in losses) == pytest.approx(last[f"{part}/loss"])
        assert all(np.isfinite(last[f"{part}/loss_{x}"]) for x in losses)
    if name == "masks":
        assert re.search(r"'eval/mask_AP': 0\.\d", done.stdout)


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """The module of a fork, whose script is not run; made once."""
    modules: dict[str, Any] = {}

    def fork(name):
        if name not in modules:
            modules[name] = run_fork(HEADINGS[name], tmp_path_factory.mktemp("fork"))
        return modules[name]

    return fork


def parameters(detector):
    """Shapes of the detector's parameters."""
    variables = jax.eval_shape(lambda key: init(detector, key), jax.random.key(0))
    return jax.tree.map(lambda x: x.shape, variables["params"])


@pytest.mark.parametrize("name", ["cascade", "masks"])
def test_the_box_head_keeps_its_contract(name, fork):
    check_box_head(fork(name).build(MODEL).box_head, num_classes=3, side=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cascade", "masks"])
def test_training_and_inference_keep_their_contracts(name, fork):
    detector, batch = fork(name).build(MODEL), make_batch()
    drawn, instance = np.zeros((2, 64, 64), np.uint8), np.array([[1, 2, 0]] * 2, np.uint8)
    for n, g in np.argwhere(batch.box_valid):
        x0, y0, x1, y1 = batch.boxes[n, g].astype(int)
        drawn[n, y0:y1, x0:x1] = instance[n, g]
    check_train(detector, batch._replace(extra={"instance_map": drawn, "instance": instance}))
    check_infer(detector)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cascade", "masks"])
def test_the_detector_is_exported_for_any_number_of_images(name, fork):
    config = get_config()
    detector = fork(name).build(config.model)
    program = export_program(detector, preprocessing_of(config), make_variables(detector))
    exported = jax.export.deserialize(bytearray(program))
    found = exported.out_tree.unflatten(exported.out_avals)
    assert str(found["boxes"].shape) == "(n, 10, 4)"
    assert ("masks" in found) == (name == "masks")


# Cascade R-CNN


class Says(nn.Module):
    """A box head of one class that says the same of every RoI."""

    logits: tuple
    deltas: tuple

    def __call__(self, pooled, train=False):
        number = len(pooled)
        logits, deltas = (jnp.tile(jnp.array(x), (number, 1)) for x in (self.logits, self.deltas))
        return logits, deltas[:, None]


CASCADE_MODEL = replace(
    change(MODEL, proposals={"append_ground_truth": False}, detections={"nms_iou": 0.9}),
    num_classes=1,
)
NOTHING = {name: {"box_head": {}} for name in ("params", "constants", "batch_stats")}
TRUTH = np.array([0, 0, 40, 40], np.float32)
BOXES = np.array([[0, 0, 40, 25], [0, 0, 40, 32], [0, 0, 40, 29]], np.float32)  # IoU .625 .8 .725
TALLER = (0.0, 0.0, 0.0, 5 * math.log(0.9))  # of the first stage's weights: 0.9 times as tall


def cascade_of(module, *says):
    detector = module.build(CASCADE_MODEL)
    return detector._replace(box_head=module.CascadeHead(tuple(says)))


def known_first_stage(boxes, output):
    """What `forward_train` returns where it samples these boxes and its head says this of them."""
    n, s = boxes.shape[:2]
    rois = RoiSamples(
        boxes=boxes,
        references=boxes,
        labels=jnp.ones((n, s), jnp.int32),
        matched_boxes=boxes,
        weights=jnp.ones((n, s)),
        valid=jnp.ones((n, s), bool),
        matched=jnp.zeros((n, s), jnp.int32),
    )
    features = (jnp.zeros((n, 4, 4, 2)),)
    flow = Flow(features, None, None, rois, output, None, None)
    return lambda detector, variables, *_, **__: (Losses(0.5, 0.25, 2.0, 1.0), variables, flow)


def test_later_stages_are_labelled_and_encoded_by_their_own_thresholds_and_weights(
    fork, monkeypatch
):
    module = fork("cascade")
    still = (0.0, 0.0, 0.0, 0.0)
    detector = cascade_of(
        module, Says((0.0, 0.0), still), Says((0.0, 2.0), still), Says((1.0, 0.0), still)
    )
    boxes = jnp.array(BOXES)[None]
    # The first head makes the boxes 0.9 times as tall, about their middles.
    output = BoxOutput(jnp.zeros((1, 3, 2)), jnp.tile(jnp.array(TALLER), (1, 3, 1, 1)))
    monkeypatch.setattr(module.house, "forward_train", known_first_stage(boxes, output))
    batch = make_batch(1)
    batch = batch._replace(
        image_sizes=np.array([[64, 64]], np.int32),
        boxes=np.array([[TRUTH, TRUTH + 20, TRUTH]], np.float32),
        labels=np.ones((1, 3), np.int32),
        box_valid=np.array([[True, False, False]]),
    )
    losses, _, _ = module.train(detector, NOTHING, batch, jax.random.key(0))
    assert losses[:4] == (0.5, 0.25, 2.0, 1.0)
    heights = BOXES[:, 3] * 0.9  # 22.5, 28.8 and 26.1 of 40: IoU .5625, .72 and .6525
    foreground = heights / 40 >= 0.6
    assert foreground.tolist() == [False, True, True]
    true, false = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    np.testing.assert_allclose(losses.class_2, (2 * true + false) / 3, rtol=1e-5)
    # Deltas of 0, in L1: the middle is 20 - y off, the height log(40 / height).
    middles, tall = BOXES[:, 3] / 2, heights
    error = 20 * (20 - middles) / tall + 10 * np.log(40 / tall)
    np.testing.assert_allclose(losses.box_2, error[1:].sum() / 3, rtol=1e-5)
    # Nothing has moved, and 0.7 leaves one in the foreground.
    true, false = np.log1p(np.exp(1.0)), np.log1p(np.exp(-1.0))
    np.testing.assert_allclose(losses.class_3, (true + 2 * false) / 3, rtol=1e-5)
    error = 30 * (20 - middles) / tall + 15 * np.log(40 / tall)
    np.testing.assert_allclose(losses.box_3, error[1] / 3, rtol=1e-5)


def test_boxes_are_clipped_and_go_on_without_gradient(fork):
    module = fork("cascade")
    boxes = jnp.array([[[10.0, 10, 50, 30]]])

    def refine(deltas):
        output = BoxOutput(jnp.zeros((1, 1, 2)), deltas[None, None, None])
        return module.refine(output, boxes, jnp.array([[64, 60]]), 1)

    deltas = jnp.array([10.0, -20.0, 0.0, 10 * np.log(2.0)])  # of the second stage's weights
    # To the right by 10 / 20 of 40 pixels, and up by one height, which is doubled: -20 to 20.
    np.testing.assert_allclose(refine(deltas)[0, 0], [30, 0, 60, 20], rtol=1e-5)
    assert not jax.grad(lambda x: refine(x).sum())(deltas).any()


def test_inference_averages_probabilities_and_takes_the_last_boxes(fork, monkeypatch):
    module = fork("cascade")
    says = [
        Says((0.0, 2.0), (1.0, 0.0, 0.0, 0.0)),  # right by 1 / 10 of the width
        Says((1.0, 0.0), (0.0, 2.0, 0.0, 0.0)),  # down by 2 / 20 of the height
        Says((0.0, 0.5), (0.0, 0.0, 15 * math.log(1.5), 0.0)),  # 1.5 times as wide
    ]
    detector = cascade_of(module, *says)
    boxes = jnp.array([[[10.0, 10, 30, 20], [0, 0, 0, 0]]])
    proposals = Proposals(boxes, jnp.zeros((1, 2)), jnp.array([[True, False]]))
    features = (jnp.zeros((1, 4, 4, 2)),)
    monkeypatch.setattr(module.house, "first_stage", lambda *_: (features, None))
    sizes = jnp.array([[64, 64]])
    found = module.infer(detector, NOTHING, jnp.zeros((1, 64, 64, 3)), sizes, proposals)
    chances = [1 / (1 + math.exp(x)) for x in (-2.0, 1.0, -0.5)]
    assert found.valid[0].tolist() == [True] + [False] * (found.valid.shape[1] - 1)
    np.testing.assert_allclose(found.scores[0, 0], np.mean(chances), rtol=1e-5)
    np.testing.assert_allclose(found.boxes[0, 0], [7, 11, 37, 21], rtol=1e-5)
    assert found.labels[0, 0] == 1


def test_all_three_heads_have_parameters_and_one_box_for_all_classes(fork):
    heads = parameters(fork("cascade").build(get_config().model))["box_head"]
    assert set(heads) == {"heads_0", "heads_1", "heads_2"}
    for head in heads.values():
        assert head["bbox_pred"]["kernel"] == (32, 4)
        assert head["cls_score"]["kernel"] == (32, 5)


# A mask head


def test_targets_are_read_at_the_centres_of_the_parts_of_a_box(fork):
    drawn = np.zeros((8, 8), np.uint8)
    drawn[2:6, 2:4] = 1
    drawn[2:6, 4:6] = 2
    boxes = jnp.array([[2.0, 2, 6, 6], [2, 2, 6, 6], [0, 0, 8, 8], [3, 4, 11, 12]])
    targets = fork("masks").crop(jnp.array(drawn), jnp.array([1, 2, 1, 1]), boxes, 4)
    left, right = [[True, True, False, False]] * 4, [[False, False, True, True]] * 4
    # The third box has parts of two pixels, whose centres are the corners 1, 3, 5 and 7.
    third = [[False] * 4, *[[False, True, False, False]] * 2, [False] * 4]
    # The fourth has its first centre at (4, 5), which is instance 2.
    np.testing.assert_array_equal(targets, [left, right, third, np.zeros((4, 4), bool)])


def test_the_loss_is_that_of_foreground_masks_alone(fork, monkeypatch):
    module = fork("masks")
    detector = module.build(MODEL)
    side = 2 * MODEL.roi.output_size
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, side, side)).astype(np.float32)
    drawn = np.zeros((2, 64, 64), np.uint8)
    drawn[0, :32, :16], drawn[1, :, 32:] = 1, 2
    boxes = np.tile(np.array([0, 0, 32, 32], np.float32), (2, 6, 1))
    boxes[1, 0] = [24, 0, 40, 32]
    # Foreground comes first: of six RoIs the mask head sees three.
    labels = np.array([[2, 0, 1, 0, 0, 0], [3, 0, 0, 0, 0, 0]])
    valid = np.ones((2, 6), bool)
    valid[0, 2] = False
    weights, matched = np.ones((2, 6), np.float32), np.zeros((2, 6), np.int32)
    weights[1, 0], matched[1, 0] = 0.5, 1
    arrays = (boxes, boxes, labels, boxes, weights, valid, matched)
    flow = Flow((), None, None, RoiSamples(*map(jnp.array, arrays)), None, None, None)
    first = Losses(0.5, 0.25, 2.0, 1.0)

    def known_logits(detector, variables, features, boxes, labels):
        assert labels.shape == (2, 3)
        return jnp.array(logits)

    monkeypatch.setattr(module.house, "forward_train", lambda *_, **__: (first, {}, flow))
    monkeypatch.setattr(module, "mask_logits", known_logits)
    instance = np.array([[1, 2, 0], [1, 2, 0]], np.uint8)
    batch = make_batch(2)._replace(extra={"instance_map": drawn, "instance": instance})
    losses, _, _ = module.train(detector, {}, batch, jax.random.key(0))
    assert losses[:4] == first
    targets = np.zeros((2, side, side))
    targets[0, :, : side // 2] = 1
    targets[1, :, side // 2 :] = 1
    probability = 1 / (1 + np.exp(-logits[:, 0].astype(np.float64)))
    entropy = -np.where(targets == 1, np.log(probability), np.log(1 - probability)).mean((1, 2))
    np.testing.assert_allclose(losses.mask, (entropy[0] + 0.5 * entropy[1]) / 2, rtol=1e-5)
    padded = batch._replace(image_weights=np.array([1, 0], np.float32))
    losses, _, _ = module.train(detector, {}, padded, jax.random.key(0))
    np.testing.assert_allclose(losses.mask, entropy[0], rtol=1e-5)


def test_a_mask_is_that_of_its_label(fork, monkeypatch):
    module = fork("masks")
    of_class = jnp.broadcast_to(jnp.arange(3.0), (4, 2, 2, 3))
    monkeypatch.setattr(module.house, "pool", lambda *_: None)
    monkeypatch.setattr(module.house, "apply", lambda *_, **__: (of_class, {}))
    labels = jnp.array([[1, 3], [2, 0]])  # 0 is padding, and has any class
    logits = module.mask_logits(None, {}, (), jnp.zeros((2, 2, 4)), labels)
    np.testing.assert_array_equal(logits.reshape(4, 4)[:3, 3], [0, 2, 1])
    assert jnp.isfinite(logits).all()
    assert logits.shape == (2, 2, 2, 2)


def test_the_mask_head_keeps_the_box_head_and_doubles_the_window(fork):
    head = fork("masks").build(get_config().model).box_head
    pooled = jnp.zeros((3, 7, 7, 16)).at[:, 0, 0].set(1.0)
    variables = jax.eval_shape(head.init, jax.random.key(0), pooled)
    assert set(variables["params"]) == {"Conv_0", "Conv_1", "Conv_2", "box_head"}
    logits, deltas = jax.eval_shape(head.apply, variables, pooled)
    assert (logits.shape, deltas.shape) == ((3, 5), (3, 4, 4))
    # Where the last bias is 0, 1, ... 15 and all else 0: part (y, x) of a bin has 8 y + 4 x + k.
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape), variables["params"])
    zeros["Conv_2"]["bias"] = jnp.arange(16.0)
    masks = np.asarray(head.apply({"params": zeros}, pooled, masks=True))
    assert masks.shape == (3, 14, 14, 4)
    np.testing.assert_array_equal(masks[1, 2:4, 6:8, 3], [[3, 7], [11, 15]])


@pytest.mark.parametrize("part", ["training", "evaluation"])
def test_masks_lie_in_the_boxes_of_their_own_images(fork, part):
    """Also where images are flipped, and with the evaluation set's images in evaluation."""
    assert "transforms=(x.reader.add_instances,)" in fork_blocks()[HEADINGS["masks"]]
    assert "run(config," in fork_blocks()[HEADINGS["masks"]]
    config = replace_fields(get_config(), {"data.horizontal_flip": 0.5, "data.long_side": 96})
    sets = [replace(x, transforms=(x.reader.add_instances,)) for x in open_datasets(config)]
    if part == "training":
        with contextlib.closing(train_batches(sets[0], config)) as stream:
            batches = list(stream)
    else:
        batches = [batch for batch, _ in eval_batches(sets[1], config)]
    seen = 0
    for batch in batches:
        for n, g in np.argwhere(batch.box_valid):
            mask = batch.extra["instance_map"][n] == batch.extra["instance"][n, g]
            rows, columns = np.nonzero(mask)
            x0, y0, x1, y1 = batch.boxes[n, g]
            assert x0 - 1 <= columns.min() <= columns.max() + 1 <= x1 + 1
            assert y0 - 1 <= rows.min() <= rows.max() + 1 <= y1 + 1
            assert mask.sum() > 0.2 * (x1 - x0) * (y1 - y0)
            seen += 1
    assert seen >= 8


# A ViT-style backbone


def test_the_transformer_keeps_the_contract_of_a_backbone(fork):
    check_backbone(fork("vit").ViT(channels=8, width=32, depth=1), channels=8)


@pytest.mark.parametrize("size", [(64, 64), (70, 90), (33, 200), (16, 16)])
def test_maps_of_the_transformer_have_the_size_of_their_strides(fork, size):
    module = fork("vit").ViT(channels=8, width=32, depth=1)
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    maps, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    sizes = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in (4, 8, 16, 32, 64)]
    assert [x.shape for x in maps] == [(2, *each, 8) for each in sizes]
    assert variables["params"]["place"].shape == (1, 14, 14, 32)


def test_every_place_sees_the_whole_image_and_knows_where_it_is(fork):
    module = fork("vit").ViT(channels=8, width=32, depth=1)
    images = jnp.zeros((1, 64, 64, 3))
    variables = jax.jit(module.init)(jax.random.key(0), images)
    apply = jax.jit(module.apply)
    before, after = (apply(variables, x) for x in (images, images.at[0, -16:, -16:].set(1.0)))
    for one, two in zip(before, after, strict=True):
        assert np.abs(one - two)[0, 0, 0].max() > 1e-6
    inside = np.asarray(before[0])[0, 4:-4, 4:-4]  # where the convolutions see no border
    assert np.ptp(inside, axis=(0, 1)).max() > 1e-3


def test_a_map_is_doubled_by_four_parts_for_each_place(fork):
    double = fork("vit").Double(1)
    params = {"Dense_0": {"kernel": jnp.array([[1.0, 2, 3, 4]]), "bias": jnp.zeros(4)}}
    doubled = double.apply({"params": params}, jnp.array([[1.0, 10]])[None, ..., None])
    np.testing.assert_array_equal(doubled[0, :, :, 0], [[1, 2, 10, 20], [3, 4, 30, 40]])


def test_the_transformer_is_the_backbone_of_the_detector(fork):
    backbone = parameters(fork("vit").build(get_config().model))["backbone"]
    assert {f"Block_{i}" for i in range(6)} < set(backbone)
    assert backbone["Conv_0"]["kernel"] == (16, 16, 3, 64)
