"""Names as Detectron2's checkpoints have them, written down by hand."""

import jax
import numpy as np
import pytest

from jaxrcnn.detector import build, init
from jaxrcnn.interop.models import detectron2_model
from jaxrcnn.interop.of_detectron2 import DETECTRON2, layout_of, name_of
from jaxrcnn.interop.transfer import load, path_of

NORM = ("weight", "bias", "running_mean", "running_var")
HEADS = {
    "proposal_generator.rpn_head.conv.weight": (256, 256, 3, 3),
    "proposal_generator.rpn_head.conv.bias": (256,),
    "proposal_generator.rpn_head.objectness_logits.weight": (3, 256, 1, 1),
    "proposal_generator.rpn_head.objectness_logits.bias": (3,),
    "proposal_generator.rpn_head.anchor_deltas.weight": (12, 256, 1, 1),
    "proposal_generator.rpn_head.anchor_deltas.bias": (12,),
    "roi_heads.box_head.fc1.weight": (1024, 256 * 7 * 7),
    "roi_heads.box_head.fc1.bias": (1024,),
    "roi_heads.box_head.fc2.weight": (1024, 1024),
    "roi_heads.box_head.fc2.bias": (1024,),
    "roi_heads.box_predictor.cls_score.weight": (4, 1024),
    "roi_heads.box_predictor.cls_score.bias": (4,),
    "roi_heads.box_predictor.bbox_pred.weight": (12, 1024),
    "roi_heads.box_predictor.bbox_pred.bias": (12,),
}
COUNTS = {"R_50": (3, 4, 6, 3), "R_101": (3, 4, 23, 3), "X_101_32x8d": (3, 4, 23, 3)}


def conv(name, *shape):
    return {f"{name}.weight": shape, **{f"{name}.norm.{field}": shape[:1] for field in NORM}}


def stage(prefix, number, blocks, groups=1, width=64):
    planes, outputs = 2 ** (number - 2), 256 * 2 ** (number - 2)
    inner = planes * width if groups == 1 else planes * groups * 8
    inputs = 64 if number == 2 else outputs // 2
    tensors = conv(f"{prefix}res{number}.0.shortcut", outputs, inputs, 1, 1)
    for block in range(blocks):
        name = f"{prefix}res{number}.{block}"
        tensors |= conv(f"{name}.conv1", inner, inputs if block == 0 else outputs, 1, 1)
        tensors |= conv(f"{name}.conv2", inner, inner // groups, 3, 3)
        tensors |= conv(f"{name}.conv3", outputs, inner, 1, 1)
    return tensors


def resnet(prefix, depth, last=5):
    tensors = conv(f"{prefix}stem.conv1", 64, 3, 7, 7)
    groups = 32 if depth.startswith("X") else 1
    for number in range(2, last + 1):
        tensors |= stage(prefix, number, COUNTS[depth][number - 2], groups)
    return tensors


def fpn(depth):
    tensors = HEADS | resnet("backbone.bottom_up.", depth)
    for level in range(2, 6):
        inputs = 256 * 2 ** (level - 2)
        tensors |= {
            f"backbone.fpn_lateral{level}.weight": (256, inputs, 1, 1),
            f"backbone.fpn_lateral{level}.bias": (256,),
            f"backbone.fpn_output{level}.weight": (256, 256, 3, 3),
            f"backbone.fpn_output{level}.bias": (256,),
        }
    return tensors


def one_map(depth, neck):
    channels = 1024 if neck == "C4" else 2048
    rpn = "proposal_generator.rpn_head"
    tensors = HEADS | {
        f"{rpn}.conv.weight": (channels, channels, 3, 3),
        f"{rpn}.conv.bias": (channels,),
        f"{rpn}.objectness_logits.weight": (15, channels, 1, 1),
        f"{rpn}.objectness_logits.bias": (15,),
        f"{rpn}.anchor_deltas.weight": (60, channels, 1, 1),
        f"{rpn}.anchor_deltas.bias": (60,),
    }
    if neck == "DC5":
        tensors["roi_heads.box_head.fc1.weight"] = (1024, 2048 * 7 * 7)
        return tensors | resnet("backbone.", depth)
    trunk = {name: shape for name, shape in tensors.items() if ".box_head." not in name}
    trunk |= {
        "roi_heads.box_predictor.cls_score.weight": (4, 2048),
        "roi_heads.box_predictor.bbox_pred.weight": (12, 2048),
    }
    return trunk | resnet("backbone.", depth, last=4) | stage("roi_heads.", 5, COUNTS[depth][3])


def arrays(config):
    return jax.eval_shape(lambda key: init(build(config), key), jax.random.key(0))


@pytest.mark.parametrize(
    ("depth", "neck"),
    [("R_50", "FPN"), ("R_50", "C4"), ("R_50", "DC5"), ("R_101", "FPN"), ("X_101_32x8d", "FPN")],
)
def test_every_array_has_the_name_and_shape_that_detectron2_gives_it(depth, neck):
    config = detectron2_model(3, depth, neck).model
    expected = fpn(depth) if neck == "FPN" else one_map(depth, neck)
    got = {}
    for tree_path, x in jax.tree_util.tree_leaves_with_path(arrays(config)):
        path = path_of(tree_path)
        theirs = layout_of(path, config).theirs(np.zeros(x.shape, bool))
        got[name_of(path, config)] = theirs.shape
    assert got == expected


def test_blue_and_the_background_are_turned_round():
    config = detectron2_model(3, "R_50", "FPN").model
    tensors = {name: np.zeros(shape, np.float32) for name, shape in fpn("R_50").items()}
    stem = np.random.default_rng(0).normal(size=(64, 3, 7, 7)).astype(np.float32)
    tensors["backbone.bottom_up.stem.conv1.weight"] = stem
    tensors["roi_heads.box_predictor.cls_score.bias"] = np.float32([1, 2, 3, 9])
    variables, account = load(tensors, DETECTRON2, config, arrays(config))
    assert len(account.loaded) == len(tensors)
    kernel = variables["params"]["backbone"]["body"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel[2, 3, 0, 5], stem[5, 2, 2, 3])  # red is their last
    bias = variables["params"]["box_head"]["cls_score"]["bias"]
    np.testing.assert_array_equal(bias, [9, 1, 2, 3])
