"""What train.init gives a run: of a weight file, a model's folder, a run's workdir."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, ListedError, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.interop.initial_weights import check_init, read_init
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.transfer import dump
from jaxrcnn.interop.weight_files import write_safetensors
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.weights import save_variables
from jaxrcnn.training.workdir import claim, write_classes
from tests.interop.detectors import state_dict
from tests.interop.test_buffers import RGB, cell, three
from tests.tiny import FPN_MODEL, change, make_variables

MODEL = change(FPN_MODEL, backbone={"norm": "frozen"})
HEADS = ("box_head/cls_score", "box_head/bbox_pred")
NAMES = ("cat", "dog", "cow")
KINDS = ("weight_file", "folder", "workdir")


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
    claim(folder, Config(model=MODEL))
    write_classes(folder, NAMES, (1, 2, 3))
    save_variables(folder, jax.tree.map(jnp.asarray, variables))
    return folder


@pytest.fixture(scope="module")
def workdir(variables, tmp_path_factory):
    """A run whose moving average is the variables, and whose parameters are others."""
    folder = tmp_path_factory.mktemp("run")
    claim(folder, Config(model=MODEL))
    write_classes(folder, NAMES, (1, 2, 3))
    variables = jax.tree.map(jnp.asarray, variables)
    params = jax.tree.map(jnp.zeros_like, variables["params"])
    state = TrainState(jnp.int32(4), {**variables, "params": params}, (), variables["params"])
    with Checkpoints(folder, keep=1) as checkpoints:
        checkpoints.save(state)
    return folder


def config_of(path, model=MODEL, restart=(), keep=True, strict=False):
    train = TrainConfig(
        init=str(path), init_restart=restart, init_keep_classes=keep, init_strict=strict
    )
    return Config(model=model, train=train)


def init_from(path, model=MODEL, restart=(), names=None, keep=True):
    own = jax.tree.map(jnp.asarray, make_variables(build(model), seed=7))
    return *read_init(config_of(path, model, restart, keep), own, names), own


def shapes_of(model):
    """Of the detector's variables, as a run's programs say them."""
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
        make_variables(build(model)),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_it_is_taken(kind, variables, request):
    loaded, _, own = init_from(request.getfixturevalue(kind))
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    places = jax.tree.map(lambda x, y: x.sharding == y.sharding, loaded, own)
    assert all(jax.tree.leaves(places))


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_classes_has_its_layers_drawn_by_itself(kind, variables, request):
    other = dataclasses.replace(MODEL, num_classes=7)
    loaded, lines, own = init_from(request.getfixturevalue(kind), other)
    head, fc6 = loaded["params"]["box_head"]["cls_score"], loaded["params"]["box_head"]["fc6"]
    np.testing.assert_array_equal(head["kernel"], own["params"]["box_head"]["cls_score"]["kernel"])
    np.testing.assert_array_equal(fc6["kernel"], variables["params"]["box_head"]["fc6"]["kernel"])
    (line,) = [line for line in lines if line.startswith("  classes ")]
    assert "3 in the weights, 7 here: box_head/cls_score and box_head/bbox_pred are re-init" in line
    assert sum("re-initialised" in x and "box_head/" in x for x in lines if x != line) == 2


@pytest.mark.parametrize("kind", ["folder", "workdir"])
def test_classes_of_the_same_name_keep_their_rows(kind, variables, request):
    ours = ("hen", "cow ", "cat", "pig")
    other = dataclasses.replace(MODEL, num_classes=4)
    loaded, lines, own = init_from(request.getfixturevalue(kind), other, names=ours)
    found, theirs, drawn = (x["params"]["box_head"] for x in (loaded, variables, own))
    for field in ("kernel", "bias"):
        rows, there, new = (x["cls_score"][field].T for x in (found, theirs, drawn))
        np.testing.assert_array_equal(rows, [there[0], new[1], there[3], there[1], new[4]])
        boxes, there, new = (
            np.reshape(x["bbox_pred"][field].T, (-1, 4, *x["bbox_pred"][field].shape[:-1]))
            for x in (found, theirs, drawn)
        )
        np.testing.assert_array_equal(boxes, [new[0], there[2], there[0], new[3]])
    (line,) = [line for line in lines if line.startswith("  classes ")]
    assert line.endswith("rows of cow , cat kept by name, those of hen, pig re-initialised")


def test_the_same_classes_in_another_order_are_matched_by_name(folder, variables):
    loaded, lines, _ = init_from(folder, names=("dog", "cat", "cow"))
    rows, theirs = (x["params"]["box_head"]["cls_score"]["kernel"].T for x in (loaded, variables))
    np.testing.assert_array_equal(rows, theirs[np.array([0, 2, 1, 3])])
    assert any("rows of dog, cat, cow kept by name, all of them" in line for line in lines)


def test_the_same_classes_in_the_same_order_are_no_matter(folder, variables):
    loaded, lines, _ = init_from(folder, names=NAMES)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert not any(line.startswith("  classes ") for line in lines)


def test_rows_are_not_kept_where_that_is_not_wanted(folder):
    loaded, lines, own = init_from(folder, names=("dog", "cat", "cow"), keep=False)
    for layer in ("cls_score", "bbox_pred"):
        found, drawn = (x["params"]["box_head"][layer] for x in (loaded, own))
        jax.tree.map(np.testing.assert_array_equal, found, drawn)
    assert any("train.init_keep_classes is False" in line for line in lines)


def test_rows_without_names_are_taken_as_they_are_and_that_is_said(weight_file, variables):
    loaded, lines, _ = init_from(weight_file, names=("a", "b", "c"))
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert any("3 in the weights, without names" in line for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_to_restart_are_drawn_whole(kind, request):
    loaded, lines, own = init_from(
        request.getfixturevalue(kind), restart=HEADS[:1], names=("dog", "cat", "cow")
    )
    found, drawn = (x["params"]["box_head"]["cls_score"] for x in (loaded, own))
    jax.tree.map(np.testing.assert_array_equal, found, drawn)
    assert any("re-initialised" in x and "box_head/cls_score" in x for x in lines)
    with pytest.raises(ConfigError, match="there is no part box_head/cls to re-initialise"):
        init_from(request.getfixturevalue(kind), restart=("box_head/cls",))


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_compared_without_any_parameters(kind, variables, request):
    path = request.getfixturevalue(kind)
    check_init(config_of(path), shapes_of(MODEL), NAMES)
    wider = change(MODEL, box_head={"channels": 24})
    shapes = shapes_of(wider)
    with pytest.raises(ConfigError, match=r"fc6|fc7|bbox_pred") as caught:
        check_init(config_of(path, wider), shapes, NAMES)
    assert "\n" not in str(caught.value)


def test_another_config_than_the_weights_stops_with_the_list(folder):
    other = change(MODEL, roi={"op": "pool"}, rpn={"samples": 8})
    shapes = shapes_of(other)
    with pytest.raises(ListedError) as caught:
        check_init(config_of(folder, other, strict=True), shapes, NAMES)
    assert caught.value.items == (
        "model.rpn.samples: 8 here | 24 in the weights",
        "model.roi.op: pool here | align in the weights",
    )
    assert "train.init_strict False" in caught.value.remedy
    assert "\n" not in str(caught.value)
    check_init(config_of(folder, other), shapes, NAMES)
    _, lines, _ = init_from(folder, other)
    assert any(x.endswith("model.roi.op: pool here | align in the weights") for x in lines)


def test_a_frozen_norm_without_weights_stops(folder):
    shapes = shapes_of(MODEL)
    for config in (config_of("", strict=True), config_of(folder, MODEL, ("backbone",), True, True)):
        with pytest.raises(ConfigError, match=r"norm=frozen needs pretrained .* 20 norms"):
            check_init(config, shapes, NAMES)
    check_init(config_of("", strict=False), shapes, NAMES)
    group = change(MODEL, backbone={"norm": "group"})
    shapes = shapes_of(group)
    check_init(config_of("", group, strict=True), shapes, NAMES)


def test_a_weight_file_is_accounted_for(weight_file):
    _, lines, _ = init_from(weight_file, restart=("rpn_head",))
    assert lines[0] == f"{weight_file}:"
    assert any("re-initialised" in line and "rpn_head/conv" in line for line in lines)
    assert any("loaded" in line and "backbone/body" in line for line in lines)


def test_a_checkpoint_of_training_is_taken_as_it_is(variables, tmp_path):
    names = dump(variables, TORCHVISION, MODEL)
    beside = {"class_weights": np.ones(3, np.float32)}
    path = tmp_path / "checkpoint.safetensors"
    write_safetensors(path, {f"model.module.{name}": x for name, x in names.items()} | beside)
    loaded, lines, _ = init_from(path)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert any("left out            class_weights" in line for line in lines)


def test_detectron2s_anchors_and_pixels_are_compared(tmp_path):
    state = state_dict(DETECTRON2, MODEL)
    state["pixel_mean"] = three(*RGB[::-1])
    state["pixel_std"] = three(1, 1, 1)
    for level, size in enumerate((8, 16, 32, 64, 256)):
        name = f"proposal_generator.anchor_generator.cell_anchors.{level}"
        state[name] = cell((size,), (0.5, 1, 2))
    path = tmp_path / "detectron2.safetensors"
    write_safetensors(path, state)
    _, lines, _ = init_from(path)
    said = [line for line in lines if line.startswith("  differs ")]
    sizes = "((8.0,), (16.0,), (32.0,), (64.0,), (128.0,)) here | ((8.0,), (16.0,), (32.0,), (64.0,"
    assert any(f"model.anchors.sizes: {sizes}), (256.0,)) in the weights" in x for x in said)
    assert any(
        "model.pixel_std: (58.395, 57.12, 57.375) here | (1.0, 1.0, 1.0) in the weights" in x
        for x in said
    )


def test_a_variance_of_0_without_an_epsilon_is_named(variables, tmp_path):
    state = dict(dump(variables, TORCHVISION, MODEL))
    state["backbone.body.bn1.running_var"] = np.zeros(8, np.float32)
    path = tmp_path / "dead.safetensors"
    write_safetensors(path, state)
    with pytest.raises(
        ConfigError, match=r"backbone\.body\.bn1\.running_var: dividing by the root of 8 variances"
    ):
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
    assert any("not in the file" in line and "rpn_head" in line for line in lines)


def test_a_folder_that_is_none_stops_in_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ConfigError) as caught:
            init_from(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
