"""A model's folder is written from arrays that are made by hand, and nothing is compiled."""

import dataclasses
import json

import flax
import jax
import numpy as np
import pytest

import jaxrcnn
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.detector import build
from jaxrcnn.stages.pooling import ROI_OPS
from jaxrcnn.training.workdir import Classes
from tests.tiny import MODEL, change, make_variables

CONFIG = Config(model=MODEL, data=DataConfig(short_side=48, long_side=64, resize="torchvision"))
DETECTOR = build(MODEL)
NAMES = ("cat", "dog", "bird")


@pytest.fixture(scope="module")
def variables():
    return make_variables(DETECTOR, seed=3)


def bin_centres(*arguments):
    """A RoI op of one's own, as far as its name goes."""
    return ROI_OPS["align"](*arguments)


def build_own(config):
    """What builds a detector with it."""
    return build(config, roi_op=bin_centres)


OWN = build_own(MODEL)


def complaint(call, *arguments, **options):
    with pytest.raises(ConfigError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mapping", [dict, flax.core.freeze])
def test_what_is_saved_is_loaded(tmp_path, variables, mapping):
    jaxrcnn.save(
        tmp_path / "m", DETECTOR, mapping(variables), config=CONFIG, classes=["cat", "dog", "bird"]
    )
    model = jaxrcnn.load(tmp_path / "m")
    jax.tree.map(np.testing.assert_array_equal, model.variables, variables)
    assert model.detector == DETECTOR
    assert model.config.data == CONFIG.data
    assert model.classes == Classes(NAMES, (1, 2, 3))
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        *("classes.json", "config.json", "pieces.json", "weights"),
    ]


def test_category_ids_are_kept(tmp_path, variables):
    classes = Classes(NAMES, (2, 5, 9))
    jaxrcnn.save(tmp_path / "m", DETECTOR, variables, config=CONFIG, classes=classes)
    assert jaxrcnn.load(tmp_path / "m").classes == classes


@pytest.mark.parametrize("classes", [(), ("cat", "dog"), "cat", (1, 2, 3), Classes(NAMES, (1,))])
def test_other_than_a_name_for_each_class_is_refused(tmp_path, variables, classes):
    said = complaint(
        jaxrcnn.save, tmp_path / "m", DETECTOR, variables, config=CONFIG, classes=classes
    )
    assert said.endswith("must be 3 names, as many as model.num_classes")
    assert not list(tmp_path.iterdir())


def test_a_config_of_another_model_is_refused(tmp_path, variables):
    other = dataclasses.replace(CONFIG, model=change(MODEL, roi={"output_size": 7}))
    said = complaint(jaxrcnn.save, tmp_path / "m", DETECTOR, variables, config=other, classes=NAMES)
    assert said == ("the detector does not fit config: model.roi.output_size is 7 there, 3 here")


def test_variables_of_another_detector_are_refused(tmp_path, variables):
    lacking = {"params": {**variables["params"], "box_head": {}}}
    wrong = jax.tree.map(lambda x: x[..., :1], variables)
    for given in (lacking, wrong, {**variables, "opt_state": {"count": np.zeros(())}}):
        said = complaint(
            jaxrcnn.save, tmp_path / "m", DETECTOR, given, config=CONFIG, classes=NAMES
        )
        assert said.startswith("variables does not fit this model: ")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_kept(tmp_path, variables):
    (tmp_path / "file").write_text("kept")
    said = complaint(jaxrcnn.save, tmp_path, DETECTOR, variables, config=CONFIG, classes=NAMES)
    assert said == f"{tmp_path} is there already; take another folder, or remove it"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_pieces_of_ones_own_are_named_and_never_rebuilt_as_others(tmp_path, variables):
    folder = tmp_path / "own"
    jaxrcnn.save(folder, OWN, variables, config=CONFIG, classes=NAMES)
    name = f"{bin_centres.__module__}.bin_centres"
    assert json.loads((folder / "pieces.json").read_text())["roi_op"]["name"] == name
    assert complaint(jaxrcnn.load, folder) == (
        f"{folder} was made with roi_op {name}, not with the default; the folder does not "
        "contain their code: name the function that builds the detector with build= or --pieces"
    )
    model = jaxrcnn.load(folder, build=build_own, max_detections=5)
    assert model.detector.roi_op is bin_centres
    assert model.detector.config.detections.max_detections == 5
    lower = jaxrcnn.load(folder, build=build_own, compute_dtype="bfloat16").detector
    other = dataclasses.replace(MODEL, compute_dtype="bfloat16")
    assert lower == build(other, roi_op=bin_centres)


def test_a_detector_of_another_config_is_refused(tmp_path, variables):
    jaxrcnn.save(tmp_path / "m", DETECTOR, variables, config=CONFIG, classes=NAMES)
    other = build(change(MODEL, roi={"sampling_ratio": 4}))
    assert complaint(jaxrcnn.load, tmp_path / "m", build=lambda _: other) == (
        f"the detector does not fit {tmp_path / 'm'}: model.roi.sampling_ratio is 2 there, 4 here"
    )
