import jax
import numpy as np
import pytest

from jaxrcnn.config import ModelConfig
from jaxrcnn.detector import build, init
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.of_torchvision import TORCHVISION, layout_of, modernise, name_of
from jaxrcnn.interop.transfer import dump, load, path_of
from tests.interop.state_dicts import SHAPES, bits, random_tensors
from tests.tiny import change

DETECTORS = [name for name in SHAPES if name.startswith("fasterrcnn")]


def arrays(config):
    """The detector's variables, as shapes."""
    return jax.eval_shape(lambda key: init(build(config), key), jax.random.key(0))


@pytest.mark.parametrize("name", DETECTORS)
def test_every_array_has_the_name_and_shape_that_torchvision_gives_it(name):
    config = find_model(name).config(3).model
    expected = {
        name: tuple(shape)
        for name, shape in SHAPES[name].items()
        if not name.endswith("num_batches_tracked")
    }
    # Our box deltas are of the three classes, theirs of the background too.
    expected["roi_heads.box_predictor.bbox_pred.weight"] = (12, 1024)
    expected["roi_heads.box_predictor.bbox_pred.bias"] = (12,)
    got = {}
    for tree_path, x in jax.tree_util.tree_leaves_with_path(arrays(config)):
        path = path_of(tree_path)
        theirs = layout_of(path, config).theirs(np.zeros(x.shape, bool))
        got[name_of(path, config)] = theirs.shape
    assert got == expected


@pytest.mark.parametrize(
    "name", ["fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn"]
)
def test_a_state_dict_comes_back_bit_for_bit(name):
    config = find_model(name).config(3).model
    if "v2" not in name:  # without weights torchvision builds it with a batch norm
        config = change(config, backbone={"norm": "batch"})
    tensors = random_tensors(SHAPES[name])
    variables, account = load(tensors, TORCHVISION, config, arrays(config))
    assert not account.restarted
    assert not account.absent
    back = dump(variables, TORCHVISION, config, account.kept)
    assert back.keys() == tensors.keys()
    for key, x in tensors.items():
        assert back[key].dtype == x.dtype
        np.testing.assert_array_equal(bits(back[key]), bits(x), err_msg=key)


def test_without_what_a_file_brought_the_rest_is_zero():
    config = find_model("fasterrcnn_resnet50_fpn_v2").config(3).model
    tensors = random_tensors(SHAPES["fasterrcnn_resnet50_fpn_v2"])
    variables, _ = load(tensors, TORCHVISION, config, arrays(config))
    back = dump(variables, TORCHVISION, config)
    assert back.keys() == tensors.keys()
    weight = back["roi_heads.box_predictor.bbox_pred.weight"]
    assert not weight[:4].any()
    assert back["backbone.fpn.inner_blocks.1.1.num_batches_tracked"] == 0


def test_names_of_older_files_are_known():
    x = np.zeros(1)
    old = {
        "rpn.head.conv.weight": x,
        "rpn.head.conv.bias": x,
        "backbone.fpn.inner_blocks.3.weight": x,
        "backbone.fpn.layer_blocks.0.bias": x,
        "backbone.body.layer1.0.conv1.weight": x,
    }
    assert set(modernise(old, ModelConfig())) == {
        "rpn.head.conv.0.0.weight",
        "rpn.head.conv.0.0.bias",
        "backbone.fpn.inner_blocks.3.0.weight",
        "backbone.fpn.layer_blocks.0.0.bias",
        "backbone.body.layer1.0.conv1.weight",
    }
