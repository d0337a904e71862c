import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jaxrcnn
from jaxrcnn.cli import convert, main
from jaxrcnn.config import ConfigError
from jaxrcnn.config_io import config_from_json
from jaxrcnn.detector import build
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.training.weights import load_variables
from tests.cli import fork
from tests.complaints import error_line
from tests.interop.detectors import state_dict
from tests.interop.recorded import DATA
from tests.interop.state_dicts import SHAPES, bits, random_tensors
from tests.tiny import make_variables, write_model

NAME = "fasterrcnn_mobilenet_v3_large_fpn"
V1 = "fasterrcnn_resnet50_fpn"


@pytest.fixture(scope="module")
def tensors():
    drawn = random_tensors(SHAPES[NAME])
    return {name: np.abs(x) if "running_var" in name else x for name, x in drawn.items()}


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
    return error_line(capsys, main, argv)


def test_a_models_folder_holds_config_classes_and_weights(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["classes.json", "config.json", "kept.safetensors", "pieces.json", "weights"]
    config = config_from_json((folder / "config.json").read_text())
    assert config.model.num_classes == 3
    assert config.model.backbone.name == "mobilenet_v3_large"
    assert config.model.backbone.norm == "batch"  # the file counts its batches
    assert config.data.resize == "torchvision"
    classes = json.loads((folder / "classes.json").read_text())
    assert classes == {"names": ["class 1", "class 2", "class 3"], "ids": [1, 2, 3]}
    assert [path.name for path in folder.parent.iterdir()] == ["mobile"]


def test_weights_of_a_peer_in_a_detector_with_a_piece_of_ones_own(source, folder, tmp_path, capsys):
    out, pieces = tmp_path / "own", ["--pieces", "tests.cli.fork:build_infer"]
    assert main(["convert", str(source), "--model", NAME, "--out", str(out), *pieces]) == 0
    assert json.loads((out / "pieces.json").read_text())["infer"]["name"] == "tests.cli.fork.infer"
    own, plain = jaxrcnn.load(out, build=fork.build_infer), jaxrcnn.load(folder)
    assert own.detector.infer is fork.infer
    jax.tree.map(np.testing.assert_array_equal, own.variables, plain.variables)
    capsys.readouterr()
    back = tmp_path / "back.safetensors"
    assert main(["convert", str(out), "--to", "torchvision", "--out", str(back), *pieces]) == 0
    assert "differs: infer tests.cli.fork.infer is not written\n" in capsys.readouterr().out
    assert load_file(back).keys() == load_file(source).keys()


def test_a_piece_that_torchvision_lacks_is_named(source, tmp_path, capsys):
    out, pieces = tmp_path / "own", ["--pieces", "tests.cli.fork:build"]
    assert main(["convert", str(source), "--model", NAME, "--out", str(out), *pieces]) == 0
    said = complaint(
        capsys, ["convert", str(out), "--to", "torchvision", "--out", str(tmp_path / "x"), *pieces]
    )
    name = "roi_op tests.cli.fork.first_pixels"
    assert said == f"error: torchvision has no {name}, which {out} was made with\n"


def test_it_goes_back_bit_for_bit(folder, tensors, tmp_path, capsys):
    out = tmp_path / "back.safetensors"
    assert main(["convert", str(folder), "--to", "torchvision", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "model = FasterRCNN(\n    mobilenet_backbone(" in said
    assert f"model.load_state_dict(load_file({str(out)!r}))" in said
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
        (["--model", "fasterrcnn_resnet50_fpn"], "With a MobileNetV3 it is fasterrcnn_mobilenet"),
        (["--model", "faster_rcnn_R_50_FPN"], "is detectron2's, the file is of torchvision's"),
        (["--model", NAME, "--input-format", "BGR"], "is torchvision's, whose models take RGB"),
        (["--to", "torchvision", "--key", "ema"], "--key has no effect with --to"),
        (
            ["--to", "torchvision", "--input-format", "RGB"],
            "--input-format has no effect with --to",
        ),
        (["--model", NAME, "--checkpoint", "last"], "--checkpoint has no effect without --to"),
        (["--to", "torchvision", "--config.seed", "3"], "--config.seed has no effect with --to"),
        (["--model", NAME, "--key", "ema"], "has no ema; --key takes one of its top level"),
        (["--model", NAME, "--config.model.num_classes", "7"], "num_classes 7: the file has 3"),
        (
            ["--model", NAME, "--config.model.anchors.ratios", "1", "2"],
            "has 15 anchors per location (1 x 15, 3 x 5, 5 x 3), this model 5 sizes x 2 ratios: "
            "set model.anchors.sizes and model.anchors.ratios",
        ),
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


def test_checkpoints_of_training_become_the_same_model(tmp_path, capsys):
    for name in ("plain", "lightning", "torchvision"):
        path = DATA / "checkpoints" / f"{name}.pth"
        out = tmp_path / name
        assert main(["convert", str(path), "--model", V1, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "taken off names     model." in said
    assert "left out            metric.total, class_weights: not of the network" in said
    plain = (tmp_path / "plain" / "config.json").read_text()
    config = config_from_json(plain).model
    assert (config.backbone.name, config.backbone.width) == ("resnet18", 8)
    assert (config.neck.channels, config.box_head.channels, config.num_classes) == (16, 16, 3)
    for name in ("lightning", "torchvision"):
        assert (tmp_path / name / "config.json").read_text() == plain
        one, other = (
            load_variables(tmp_path / x, make_variables(build(config))) for x in ("plain", name)
        )
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_the_averaged_weights_are_taken_where_they_are_asked_for(tmp_path, capsys):
    path = DATA / "checkpoints" / "averaged.pth"
    argv = ["convert", str(path), "--model", V1, "--key", "model_ema", "--out", str(tmp_path / "x")]
    assert main(argv) == 0
    assert "entry of the file   model_ema" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rpn.head.cls_logits.weight", np.nan, "rpn.head.cls_logits.weight (1 of 48)"),
        ("backbone.body.bn1.bias", np.inf, "backbone.body.bn1.bias (1 of 8)"),
    ],
)
def test_a_weight_that_is_not_finite_is_named(name, value, said, tmp_path, capsys):
    tensors = state_dict(TORCHVISION)
    tensors[name].flat[0] = value
    save_file(tensors, tmp_path / "x.safetensors")
    argv = ["convert", str(tmp_path / "x.safetensors"), "--model", V1, "--out", str(tmp_path / "m")]
    assert said in complaint(capsys, argv)
    assert not (tmp_path / "m").exists()


def test_what_torchvision_cannot_build_does_not_go_back(tmp_path, capsys):
    out = tmp_path / "back.safetensors"
    folder = write_model(tmp_path / "model")
    said = complaint(capsys, ["convert", str(folder), "--to", "torchvision", "--out", str(out)])
    for field in ("model.neck.name=c4", "model.roi.op=align", "model.anchors.spread=False"):
        assert field in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbfcat\r\n owl \r\n\r\ndog\r\n", None),
        (b"cat\nowl\ncat\ndog\n", "names cat more than once"),
        (b"cat\n\nowl\n", "names 2 classes (empty lines: 1), the model has 3, without the back"),
        (b"\xff\xfec\0", "cannot be read"),
    ],
)
def test_a_file_of_classes(content, said, tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    if said is None:
        assert convert.read_classes(path, 3) == (("cat", "owl", "dog"), (1, 2, 3))
        return
    with pytest.raises(ConfigError) as error:
        convert.read_classes(path, 3)
    assert said in str(error.value)


def test_a_folder_that_is_there_is_kept(source, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    said = complaint(capsys, ["convert", str(source), "--model", NAME, "--out", str(tmp_path)])
    assert "is there already" in said
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_backbone_requires_no_conversion(tmp_path, capsys):
    path = tmp_path / "resnet18.safetensors"
    save_file({"conv1.weight": np.zeros((2, 2), np.float32)}, path)
    said = complaint(capsys, ["convert", str(path), "--model", NAME, "--out", str(tmp_path / "x")])
    assert said.endswith("use it with --config.train.init\n")


@pytest.mark.parametrize(
    ("name", "family"),
    [("model.0.conv.weight", "a YOLO"), ("head.classification_head.cls_logits.bias", "RetinaNet")],
)
def test_a_detector_of_another_kind_is_called_by_its_name(name, family, tmp_path, capsys):
    path = tmp_path / "other.safetensors"
    save_file({name: np.zeros((2, 2), np.float32)}, path)
    said = complaint(capsys, ["convert", str(path), "--model", V1, "--out", str(tmp_path / "x")])
    assert family in said
    assert "train.init" not in said


def test_a_published_backbone_is_downloaded_and_its_place_told(tmp_path, capsys, monkeypatch):
    there = tmp_path / "resnet18-f37072fd.pth"
    monkeypatch.setattr(convert, "fetch", lambda file: there if "f37072fd" in file.url else None)
    argv = ["convert", "--model", "resnet18", "--weights", "IMAGENET1K_V1", "--out", "x"]
    said = complaint(capsys, argv)
    assert said.endswith(f"which requires no conversion: use --config.train.init {there}\n")
