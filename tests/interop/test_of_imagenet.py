import dataclasses

import jax
import numpy as np
import pytest

from jaxrcnn.config import AnchorConfig, BackboneConfig, BoxHeadConfig, ModelConfig, NeckConfig
from jaxrcnn.detector import build, init
from jaxrcnn.interop.models import detectron2_model
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE, modernise
from jaxrcnn.interop.transfer import load
from tests.interop.state_dicts import SHAPES, random_tensors
from tests.interop.test_of_detectron2 import resnet

FPN = NeckConfig("fpn", channels=8)
ONE_MAP = AnchorConfig(sizes=((32.0, 64.0),))
SMALL_HEAD = BoxHeadConfig(channels=8)
MODELS = {
    "resnet18": ModelConfig(backbone=BackboneConfig("resnet18"), neck=FPN, box_head=SMALL_HEAD),
    "resnet50": ModelConfig(
        backbone=BackboneConfig("resnet50", norm="batch"),
        neck=NeckConfig("c4"),
        anchors=ONE_MAP,
        box_head=BoxHeadConfig("res5"),
    ),
    "resnext101_32x8d": ModelConfig(
        backbone=BackboneConfig("resnext101_32x8d"), neck=FPN, box_head=SMALL_HEAD
    ),
    "vgg16": ModelConfig(
        backbone=BackboneConfig("vgg16", norm="none"),
        neck=NeckConfig("c5"),
        anchors=ONE_MAP,
        box_head=BoxHeadConfig("two_fc", channels=4096),
    ),
    "mobilenet_v3_large": ModelConfig(
        backbone=BackboneConfig("mobilenet_v3_large"),
        neck=FPN,
        anchors=AnchorConfig(sizes=((32.0,),) * 3),
        box_head=SMALL_HEAD,
    ),
}


def arrays(config):
    return jax.eval_shape(lambda key: init(build(config), key), jax.random.key(0))


def load_all(tensors, peer, config):
    """The account of a load; that every tensor of the trunk is used is what `load` checks."""
    return load(tensors, peer, config, arrays(config))[1]


@pytest.mark.parametrize("name", MODELS)
def test_a_classifier_gives_its_trunk_and_nothing_else(name):
    config = MODELS[name]
    account = load_all(random_tensors(SHAPES[name]), TORCHVISION_BACKBONE, config)
    trunks = {"resnet50": ("backbone/", "box_head/layer4"), "vgg16": ("backbone/", "box_head/fc")}
    trunk = trunks.get(name, ("backbone/body/",))
    assert all(path.startswith(trunk) for path in account.loaded)
    assert not any(path.startswith(trunk) for path in account.absent)
    for skipped in account.skipped:
        assert skipped.startswith(("fc.", "classifier.")) or skipped.endswith("_tracked")


def test_vggs_linear_layers_begin_the_box_head():
    account = load_all(random_tensors(SHAPES["vgg16"]), TORCHVISION_BACKBONE, MODELS["vgg16"])
    assert {"box_head/fc6/kernel", "box_head/fc7/bias"} < set(account.loaded)
    assert set(account.skipped) == {"classifier.6.weight", "classifier.6.bias"}


@pytest.mark.slow
def test_timms_vgg_has_its_linear_layers_as_convolutions():
    tensors = random_tensors(SHAPES["vgg16"])
    timm = {name: x for name, x in tensors.items() if name.startswith("features.")}
    for theirs, ours, window in (("fc1", "classifier.0", 7), ("fc2", "classifier.3", 1)):
        shape = (4096, -1, window, window)
        timm[f"pre_logits.{theirs}.weight"] = tensors[f"{ours}.weight"].reshape(shape)
        timm[f"pre_logits.{theirs}.bias"] = tensors[f"{ours}.bias"]
    timm["head.fc.weight"] = np.zeros((5, 4096), np.float32)
    config = MODELS["vgg16"]
    ours, account = load(timm, TORCHVISION_BACKBONE, config, arrays(config))
    wanted, _ = load(tensors, TORCHVISION_BACKBONE, config, arrays(config))
    fc6, same = (x["params"]["box_head"]["fc6"]["kernel"] for x in (ours, wanted))
    np.testing.assert_array_equal(fc6.view(np.uint32), same.view(np.uint32))
    assert account.skipped == ("head.fc.weight",)


TIMM = {
    "conv_stem.weight": "features.0.0.weight",
    "bn1.running_mean": "features.0.1.running_mean",
    "blocks.0.0.conv_dw.weight": "features.1.block.0.0.weight",
    "blocks.0.0.bn1.bias": "features.1.block.0.1.bias",
    "blocks.0.0.conv_pw.weight": "features.1.block.1.0.weight",
    "blocks.0.0.bn2.weight": "features.1.block.1.1.weight",
    "blocks.1.0.conv_pw.weight": "features.2.block.0.0.weight",
    "blocks.1.1.conv_dw.weight": "features.3.block.1.0.weight",
    "blocks.2.0.se.conv_reduce.bias": "features.4.block.2.fc1.bias",
    "blocks.2.2.se.conv_expand.weight": "features.6.block.2.fc2.weight",
    "blocks.3.3.conv_pwl.weight": "features.10.block.2.0.weight",
    "blocks.4.1.bn3.weight": "features.12.block.3.1.weight",
    "blocks.5.2.conv_pwl.weight": "features.15.block.3.0.weight",
    "blocks.6.0.conv.weight": "features.16.0.weight",
    "blocks.6.0.bn1.running_var": "features.16.1.running_var",
    "conv_head.weight": "conv_head.weight",
}


def test_timms_mobilenet_counts_its_blocks_by_stage():
    tensors = {theirs: np.full(1, number) for number, theirs in enumerate(TIMM)}
    new = modernise(tensors, MODELS["mobilenet_v3_large"])
    for number, ours in enumerate(TIMM.values()):
        assert new[ours] == number


def caffe2_names(shapes):
    """Detectron2's names of a ResNet as Caffe2 has them; the statistics are folded away."""
    blobs = {}
    for name, shape in shapes.items():
        layer, field = name.rsplit(".", 1)
        if field.startswith("running"):
            continue
        norm = layer.endswith(".norm")
        layer = layer.removesuffix(".norm")
        suffix = {"weight": "bn_s", "bias": "bn_b"}[field] if norm else "w"
        if layer == "stem.conv1":
            blobs["res_conv1_" + suffix if norm else "conv1_w"] = shape
            continue
        stage, block, conv = layer.split(".")
        branch = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b"}
        blobs[f"{stage}_{block}_{branch.get(conv, 'branch2c')}_{suffix}"] = shape
    return blobs


def test_detectron2s_backbones_have_their_statistics_folded():
    config = detectron2_model(3, "R_50", "FPN").model
    config = dataclasses.replace(config, neck=FPN, box_head=SMALL_HEAD)
    shapes = caffe2_names(resnet("", "R_50"))
    assert "res3_1_branch2b_bn_s" in shapes
    tensors = random_tensors(shapes | {"fc1000_w": (2, 2), "conv1_b": (64,)})
    variables, account = load(tensors, DETECTRON2_BACKBONE, config, arrays(config))
    assert set(account.skipped) == {"fc1000_w", "conv1_b"}
    assert all(path.startswith("backbone/body/") for path in account.loaded)
    norm = variables["constants"]["backbone"]["body"]["layer2_1"]["bn2"]
    np.testing.assert_array_equal(
        norm["scale"].view(np.uint32), tensors["res3_1_branch2b_bn_s"].view(np.uint32)
    )
    assert not norm["mean"].any()
    # So that with Detectron2's epsilon the norm multiplies by the scale alone.
    np.testing.assert_allclose(norm["var"] + 1e-5, 1, rtol=1e-7)
    kernel = variables["params"]["backbone"]["body"]["conv1"]["kernel"]
    stem = tensors["conv1_w"]
    np.testing.assert_array_equal(
        kernel[1, 2, :, 3].view(np.uint32), stem[3, ::-1, 1, 2].view(np.uint32)
    )
