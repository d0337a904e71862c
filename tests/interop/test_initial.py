"""Where a run starts, and what its weights were trained with."""

import dataclasses
import json

import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, ListedError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.interop import published
from jaxrcnn.interop.initial import (
    check_differences,
    differences,
    find_initial,
    with_fields,
)
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.weight_files import write_safetensors
from jaxrcnn.training.pieces import Piece, write_pieces
from jaxrcnn.training.weights import save_variables
from jaxrcnn.training.workdir import claim, write_classes
from tests.interop.detectors import TINY, state_dict
from tests.interop.state_dicts import SHAPES, random_tensors
from tests.tiny import write_model


@pytest.fixture(scope="module")
def detector_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "detector.safetensors"
    write_safetensors(path, state_dict(TORCHVISION))
    return path


@pytest.fixture(scope="module")
def backbone_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    write_safetensors(path, random_tensors(SHAPES["resnet18"]))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def complaint(source):
    with pytest.raises(ConfigError) as error:
        find_initial(str(source))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_models_folder_says_its_fields_and_classes(folder):
    found = find_initial(str(folder))
    assert (found.kind, found.path, found.num_classes) == ("model", folder, 3)
    assert found.classes is not None
    assert found.classes.names == ("cat", "dog", "bird")
    assert found.fields["model.roi.output_size"] == 3
    assert found.fields["data.resize"] == "torchvision"


def test_a_run_that_has_not_begun_is_refused(tmp_path):
    claim(tmp_path, Config())
    for write in (list, lambda: write_classes(tmp_path, ["cat"], [1])):
        write()
        with pytest.raises(
            ConfigError, match=f"^{tmp_path}: this run has no checkpoint yet; train"
        ):
            find_initial(str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="has no checkpoint yet"):
        find_initial(str(tmp_path))


def test_of_a_runs_checkpoints_the_best_is_taken(tmp_path):
    claim(tmp_path, replace_fields(Config(), {"train.keep_best": "eval/AP"}))
    write_classes(tmp_path, [f"class {i}" for i in range(1, 6)], range(1, 6))
    for step in (60000, 90000):
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
    rows = [{"step": 60000, "eval/AP": 0.4}, {"step": 90000, "eval/AP": 0.3}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    found = find_initial(str(tmp_path))
    assert found.step == 60000
    assert found.lines == ["  a run at step 60000 of 90000, the best by eval/AP"]
    assert found.classes is None  # names that stand for unknown ones


def test_a_folder_names_the_pieces_that_it_was_made_with(tmp_path):
    folder = write_model(tmp_path)
    write_pieces(folder, {"roi_op": Piece("my_fork.pool", None), "optimizer": Piece("x.y", None)})
    (line,) = find_initial(str(folder)).lines
    assert line == "  a model with 3 classes, made with roi_op my_fork.pool"


def test_a_detectors_file_is_recognised_and_says_what_is_assumed(detector_file):
    found = find_initial(str(detector_file))
    assert (found.kind, found.num_classes, found.classes) == ("detector file", 3, None)
    assert found.fields["model.backbone.name"] == "resnet18"
    assert found.fields["model.roi.op"] == "align_unaligned"
    assert any("fasterrcnn_resnet50_fpn, by its tensors" in line for line in found.lines)
    assert any("assumed" in line and "model.anchors.sizes" in line for line in found.lines)


def test_cocos_classes_are_known_by_their_number(tmp_path):
    path = tmp_path / "coco.safetensors"
    write_safetensors(path, state_dict(TORCHVISION, dataclasses.replace(TINY, num_classes=90)))
    found = find_initial(str(path))
    assert found.classes is not None
    assert found.classes.names[:3] == ("person", "bicycle", "car")
    assert any("the classes of COCO, by their number" in line for line in found.lines)


def test_the_model_of_a_file_can_be_given(detector_file):
    found = find_initial(f"fasterrcnn_resnet50_fpn:{detector_file}")
    assert found.path == detector_file
    assert any("fasterrcnn_resnet50_fpn, as given" in line for line in found.lines)
    said = complaint(f"fasterrcnn_resnet5_fpn:{detector_file}")
    assert said.endswith("'fasterrcnn_resnet5_fpn'; did you mean fasterrcnn_resnet50_fpn?")
    said = complaint(f"faster_rcnn_R_50_C4:{detector_file}")
    assert said.startswith(f"{detector_file}: ")


def test_a_backbone_says_what_it_is_for_and_no_more(backbone_file):
    found = find_initial(str(backbone_file))
    assert (found.kind, found.num_classes, found.classes) == ("backbone file", None, None)
    assert {name.split(".")[1] for name in found.fields} == {
        *("backbone", "pixel_mean", "pixel_std")
    }
    here = replace_fields(Config(), {"model.backbone.name": "resnet18"})
    assert differences(found, here) == []
    batch = replace_fields(here, {"model.backbone.norm": "batch"})
    assert differences(found, batch) == []  # its statistics serve both
    other = replace_fields(here, {"model.backbone.norm": "group", "model.pixel_std": (1, 1, 1)})
    assert differences(found, other) == [
        "model.pixel_std: (1.0, 1.0, 1.0) here | (58.395, 57.12, 57.375) in the weights",
        "model.backbone.norm: group here | frozen in the weights",
    ]


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn:COCO_V1"])
def test_published_weights_are_taken_from_the_cache(name, tmp_path, monkeypatch, detector_file):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path))
    (file,) = [x for x in published.FILES if x.model == "fasterrcnn_resnet50_fpn"]
    file = file._replace(url="http://127.0.0.1:9/weights.pth", hash="")
    monkeypatch.setattr(published, "FILES", (file,))
    said = complaint(name)
    assert said.startswith("http://127.0.0.1:9/weights.pth cannot be downloaded")
    (tmp_path / "weights.pth").write_bytes(detector_file.read_bytes())
    found = find_initial(name)
    assert (found.source, found.path) == (name, tmp_path / "weights.pth")
    (line,) = found.lines  # nothing is assumed
    assert line.endswith("fasterrcnn_resnet50_fpn COCO_V1, published at " + file.url)


def test_names_that_are_none_say_what_there_is(tmp_path):
    assert "resnet50:IMAGENET1K_V1 or resnet50:IMAGENET1K_V2 or resnet50:MSRA" in complaint(
        "resnet50"
    )
    assert complaint("resnet18:").startswith("resnet18 has no weights ''; it has IMAGENET1K_V1")
    assert complaint("resnet50:COCO_V1").startswith("resnet50 has no weights 'COCO_V1'")
    assert "nearest: fasterrcnn_resnet50_fpn" in complaint("fasterrcnn_resnet50:COCO_V1")
    missing = tmp_path / "nothing.pth"
    assert complaint(missing).startswith(f"{missing}: there is no such file or folder")
    assert "it has no config.json" in complaint(tmp_path)


def test_with_fields_the_config_does_not_differ(folder):
    found = find_initial(str(folder))
    before = replace_fields(Config(), {"model.num_classes": 7, "train.steps": 5})
    after = with_fields(found, before)
    assert differences(found, before)
    assert differences(found, after) == []
    assert (after.model.num_classes, after.train.steps) == (7, 5)
    assert after.data.short_side == 48


def test_the_error_has_a_line_for_each_field(folder, detector_file):
    found = find_initial(str(folder))
    config = replace_fields(with_fields(found, Config()), {"model.roi.op": "pool"})
    with pytest.raises(ListedError) as error:
        check_differences(found, config)
    assert error.value.items == ("model.roi.op: pool here | align in the weights",)
    assert "other values of 1 field:" in str(error.value)
    assert "convert it" not in error.value.remedy
    check_differences(found, replace_fields(config, {"train.init_strict": False}))
    found = find_initial(str(detector_file))
    with pytest.raises(ListedError, match="convert the file with them first"):
        check_differences(found, config)


def test_a_file_without_a_second_stage_is_one_line(tmp_path):
    path = tmp_path / "rpn.safetensors"
    write_safetensors(path, {"rpn.head.cls_logits.weight": np.zeros((3, 4), np.float32)})
    assert complaint(path).startswith(f"{path}: ")


def test_a_folder_whose_weights_cannot_be_read_is_one_line(tmp_path):
    claim(tmp_path, Config())
    assert "has no checkpoint yet" in complaint(tmp_path)
    save_variables(tmp_path, {"params": {"x": np.zeros(2, np.float32)}})
    assert "classes.json cannot be read" in complaint(tmp_path)
    write_classes(tmp_path, ["a"], [1])
    assert find_initial(str(tmp_path)).kind == "model"
