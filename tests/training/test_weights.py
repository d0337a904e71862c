import shutil

import jax
import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import build
from jaxrcnn.training.weights import holds_weights, load_variables, save_variables
from tests.tiny import FPN_MODEL, MODEL, make_variables


@pytest.fixture(scope="module")
def variables():
    return make_variables(build(MODEL))


@pytest.fixture(scope="module")
def folder(variables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_variables(folder, jax.tree.map(jax.numpy.asarray, variables))
    return folder


def shapes(variables):
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), variables)


def test_what_was_saved_is_loaded_on_the_device(folder, variables):
    assert holds_weights(folder)
    loaded = load_variables(folder, shapes(variables))
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(loaded))


def test_another_model_is_refused_by_the_first_array_that_differs(folder):
    with pytest.raises(ConfigError, match=r"does not fit this model: params/backbone/.* nothing"):
        load_variables(folder, shapes(make_variables(build(FPN_MODEL))))


def test_parts_to_restart_are_not_read(folder, variables):
    other = jax.tree.map(lambda x: x + 1, variables)
    head = other["params"]["box_head"]["cls_score"]
    head["kernel"] = np.zeros((16, 9), np.float32)  # of more classes
    loaded = load_variables(folder, other, restart=("box_head/cls_score", "rpn_head"))
    np.testing.assert_array_equal(loaded["params"]["box_head"]["cls_score"]["kernel"], 0)
    for part in ("rpn_head", "backbone"):
        there = other if part == "rpn_head" else variables
        jax.tree.map(np.testing.assert_array_equal, loaded["params"][part], there["params"][part])


def test_a_folder_without_weights_is_said_in_one_line(tmp_path, variables):
    assert not holds_weights(tmp_path)
    (tmp_path / "weights").mkdir()
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_variables(tmp_path, shapes(variables))
    assert "\n" not in str(caught.value)


def test_a_copy_that_was_cut_short_is_one_line_that_names_the_file(folder, variables, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    data = max((tmp_path / "copy").rglob("*"), key=lambda path: path.stat().st_size)
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=rf"{data} has 1000 bytes, not \d+; copy") as caught:
        load_variables(tmp_path / "copy", shapes(variables))
    assert "\n" not in str(caught.value)


def test_without_a_list_of_files_a_missing_one_is_one_line(folder, variables, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    weights = tmp_path / "copy" / "weights"
    (weights / "files.json").unlink()
    (weights / "state" / "_METADATA").unlink()
    with pytest.raises(ConfigError, match=rf"^{weights} cannot be read \(\w+\); copy the whole"):
        load_variables(tmp_path / "copy", shapes(variables))
