"""What train.init takes: a weight file, a model's folder, a run's workdir."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import build
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.sources import peer_of, read_init
from jaxrcnn.interop.transfer import dump
from jaxrcnn.interop.weight_files import write_safetensors
from jaxrcnn.training.weights import save_variables
from tests.interop.detectors import state_dict
from tests.interop.state_dicts import SHAPES
from tests.interop.test_buffers import RGB, cell, three
from tests.interop.test_of_detectron2 import fpn, resnet
from tests.interop.test_of_imagenet import caffe2_names
from tests.tiny import FPN_MODEL, change, make_variables

MODEL = change(FPN_MODEL, backbone={"norm": "frozen"})
HEADS = ("box_head/cls_score", "box_head/bbox_pred")


@pytest.fixture(scope="module")
def variables():
    """Of a model with three classes."""
    return make_variables(build(MODEL), seed=1)


@pytest.fixture(scope="module")
def weight_file(variables, tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "detector.safetensors"
    write_safetensors(path, dump(variables, TORCHVISION, MODEL))
    return path


@pytest.fixture(scope="module")
def folder(variables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_variables(folder, jax.tree.map(jnp.asarray, variables))
    return folder


def init_from(path, model=MODEL, restart=()):
    own = jax.tree.map(jnp.asarray, make_variables(build(model), seed=7))
    config = Config(model=model)
    train = dataclasses.replace(config.train, init=str(path), init_restart=restart)
    return *read_init(dataclasses.replace(config, train=train), own), own


@pytest.mark.parametrize("kind", ["weight_file", "folder"])
def test_all_of_it_is_taken(kind, variables, request):
    loaded, _, own = init_from(request.getfixturevalue(kind))
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    places = jax.tree.map(lambda x, y: x.sharding == y.sharding, loaded, own)
    assert all(jax.tree.leaves(places))


@pytest.mark.parametrize("kind", ["weight_file", "folder"])
def test_other_classes_stop_until_their_layers_are_to_be_drawn(kind, variables, request):
    other = dataclasses.replace(MODEL, num_classes=7)
    path = request.getfixturevalue(kind)
    with pytest.raises(ConfigError, match=r"bbox_pred|cls_score") as caught:
        init_from(path, other)
    assert "\n" not in str(caught.value)
    loaded, _, own = init_from(path, other, HEADS)
    head, fc6 = loaded["params"]["box_head"]["cls_score"], loaded["params"]["box_head"]["fc6"]
    np.testing.assert_array_equal(head["kernel"], own["params"]["box_head"]["cls_score"]["kernel"])
    np.testing.assert_array_equal(fc6["kernel"], variables["params"]["box_head"]["fc6"]["kernel"])


def test_a_weight_file_is_accounted_for(weight_file):
    _, lines, _ = init_from(weight_file, restart=("rpn_head",))
    assert lines[0] == f"{weight_file}:"
    assert any("drawn anew" in line and "rpn_head/conv" in line for line in lines)
    assert any("loaded" in line and "backbone/body" in line for line in lines)


def test_what_no_file_of_torchvisions_says_is_listed(weight_file):
    _, lines, _ = init_from(weight_file)
    said = [line for line in lines if "not in the file" in line]
    assert len(said) == 2
    assert "model.anchors.sizes ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))" in said[0]
    assert "model.backbone.norm_epsilon 1e-05" in said[1]


def test_a_checkpoint_of_training_is_taken_as_it_is(variables, tmp_path):
    names = dump(variables, TORCHVISION, MODEL)
    beside = {"class_weights": np.ones(3, np.float32)}
    path = tmp_path / "checkpoint.safetensors"
    write_safetensors(path, {f"model.module.{name}": x for name, x in names.items()} | beside)
    loaded, lines, _ = init_from(path)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert any("left out            class_weights" in line for line in lines)


def test_detectron2s_anchors_and_pixels_are_compared(variables, tmp_path):
    state = state_dict(DETECTRON2, MODEL)
    state["pixel_mean"] = three(*RGB[::-1])
    state["pixel_std"] = three(1, 1, 1)
    for level, size in enumerate((8, 16, 32, 64, 256)):
        name = f"proposal_generator.anchor_generator.cell_anchors.{level}"
        state[name] = cell((size,), (0.5, 1, 2))
    path = tmp_path / "detectron2.safetensors"
    write_safetensors(path, state)
    _, lines, _ = init_from(path)
    said = [line for line in lines if "trained with" in line]
    assert any(
        "model.anchors.sizes ((8.0,), (16.0,), (32.0,), (64.0,), (256.0,)), here" in x for x in said
    )
    assert any("model.pixel_std (1.0, 1.0, 1.0), here (58.395, 57.12, 57.375)" in x for x in said)


def test_a_variance_of_0_without_an_epsilon_is_named(variables, tmp_path):
    state = dict(dump(variables, TORCHVISION, MODEL))
    state["backbone.body.bn1.running_var"] = np.zeros(8, np.float32)
    path = tmp_path / "dead.safetensors"
    write_safetensors(path, state)
    with pytest.raises(ConfigError, match=r"backbone\.body\.bn1\.running_var has 8 values"):
        init_from(path, change(MODEL, backbone={"norm_epsilon": 0.0}))


def test_a_backbone_leaves_the_heads_as_they_were_drawn(variables, tmp_path):
    tensors = {
        name.removeprefix("backbone.body."): x
        for name, x in dump(variables, TORCHVISION, MODEL).items()
        if name.startswith("backbone.body.")
    }
    path = tmp_path / "resnet18.safetensors"
    write_safetensors(path, tensors | {"fc.weight": np.zeros((3, 4), np.float32)})
    loaded, lines, own = init_from(path)
    for name in ("backbone", "rpn_head"):
        part = "body" if name == "backbone" else None
        there = loaded["params"][name][part] if part else loaded["params"][name]
        wanted = variables["params"][name][part] if part else own["params"][name]
        jax.tree.map(np.testing.assert_array_equal, there, wanted)
    assert any("not in such a file" in line and "rpn_head" in line for line in lines)


def test_a_folder_that_is_none_stops_in_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ConfigError) as caught:
            init_from(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "peer"),
    [
        (SHAPES["fasterrcnn_resnet50_fpn_v2"], TORCHVISION),
        (SHAPES["fasterrcnn_mobilenet_v3_large_fpn"], TORCHVISION),
        (fpn("R_50"), DETECTRON2),
        (resnet("", "R_50"), DETECTRON2_BACKBONE),
        (caffe2_names(resnet("", "R_50")), DETECTRON2_BACKBONE),
        (SHAPES["resnet18"], TORCHVISION_BACKBONE),
        (SHAPES["vgg16"], TORCHVISION_BACKBONE),
        (SHAPES["mobilenet_v3_large"], TORCHVISION_BACKBONE),
        (["conv_stem.weight", "bn1.weight"], TORCHVISION_BACKBONE),
    ],
)
def test_a_file_is_recognised_by_its_names(names, peer):
    assert peer_of(dict.fromkeys(names, np.zeros(1))) is peer


def test_another_detector_is_called_by_its_name():
    with pytest.raises(ConfigError, match="it is a YOLO; only a Faster R-CNN of torchvision or"):
        peer_of({"model.0.conv.weight": np.zeros(1)})


def test_nobodys_file_stops():
    with pytest.raises(ConfigError, match=r"such as blocks\.0\.attn"):
        peer_of({"blocks.0.attn.qkv.weight": np.zeros(1), "norm.weight": np.zeros(1)})
