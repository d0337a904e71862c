import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxrcnn.cli import convert, main
from jaxrcnn.config_io import config_from_json
from tests.interop.state_dicts import SHAPES, bits, random_tensors

NAME = "fasterrcnn_mobilenet_v3_large_fpn"


@pytest.fixture(scope="module")
def tensors():
    return random_tensors(SHAPES[NAME])


@pytest.fixture(scope="module")
def source(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "weights.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "mobile"
    assert main(["convert", str(source), "--model", NAME, "--out", str(out)]) == 0
    return out


def complaint(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_a_models_folder_holds_config_classes_and_weights(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["classes.json", "config.json", "kept.safetensors", "weights"]
    config = config_from_json((folder / "config.json").read_text())
    assert config.model.num_classes == 3
    assert config.model.backbone.name == "mobilenet_v3_large"
    assert config.model.backbone.norm == "batch"  # the file counts its batches
    assert config.data.resize == "torchvision"
    classes = json.loads((folder / "classes.json").read_text())
    assert classes == {"names": ["class 1", "class 2", "class 3"], "ids": [1, 2, 3]}
    assert [path.name for path in folder.parent.iterdir()] == ["mobile"]


def test_it_goes_back_bit_for_bit(folder, tensors, tmp_path):
    out = tmp_path / "back.safetensors"
    assert main(["convert", str(folder), "--to", "torchvision", "--out", str(out)]) == 0
    back = load_file(out)
    assert back.keys() == tensors.keys()
    for name, x in tensors.items():
        np.testing.assert_array_equal(bits(back[name]), bits(x), err_msg=name)


def test_an_account_is_printed(source, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("cat\nowl\n\ndog\n")
    out = tmp_path / "model"
    argv = ["convert", str(source), "--model", NAME, "--out", str(out), "--classes", str(names)]
    assert main([*argv, "--config.data.short_side", "96"]) == 0
    said = capsys.readouterr().out
    for part in ("backbone/body", "backbone/fpn", "rpn_head/cls_logits", "box_head/fc6"):
        assert part in said
    assert "num_batches_tracked" in said
    assert str(out) in said
    assert json.loads((out / "classes.json").read_text())["names"] == ["cat", "owl", "dog"]
    assert config_from_json((out / "config.json").read_text()).data.short_side == 96


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "fasterrcnn_resnet50_fpn"], "the file has no backbone.body.bn1."),
        (["--model", "fasterrcnn_resnet50"], "did you mean fasterrcnn_resnet50_fpn?"),
        ([], "--model: missing"),
        (["--model", NAME, "--weights", "COCO_V1"], "either SOURCE or --weights"),
        (["--model", NAME, "--config.model.widht", "3"], "--config.model.widht"),
        (["--model", NAME, "--confg", "3"], "unrecognized arguments: --confg 3"),
        (["--model", NAME, "--classes", "none.txt"], "--classes: none.txt cannot be read"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(
    source, tmp_path, capsys, words, said
):
    out = tmp_path / "out"
    assert said in complaint(capsys, ["convert", str(source), "--out", str(out), *words])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_kept(source, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    said = complaint(capsys, ["convert", str(source), "--model", NAME, "--out", str(tmp_path)])
    assert "is there already" in said
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_backbone_needs_no_converting(tmp_path, capsys):
    path = tmp_path / "resnet18.safetensors"
    save_file({"conv1.weight": np.zeros((2, 2), np.float32)}, path)
    said = complaint(capsys, ["convert", str(path), "--model", NAME, "--out", str(tmp_path / "x")])
    assert "--config.train.init takes it as it is" in said


def test_a_published_backbone_is_downloaded_and_its_place_told(tmp_path, capsys, monkeypatch):
    there = tmp_path / "resnet18-f37072fd.pth"
    monkeypatch.setattr(convert, "fetch", lambda file: there if "f37072fd" in file.url else None)
    argv = ["convert", "--model", "resnet18", "--weights", "IMAGENET1K_V1", "--out", "x"]
    said = complaint(capsys, argv)
    assert said.endswith(f"which needs no converting: --config.train.init {there}\n")
