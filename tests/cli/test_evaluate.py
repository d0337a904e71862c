import json
import re
from dataclasses import replace

import pytest
from PIL import Image

from jaxrcnn.cli import main
from jaxrcnn.cli.evaluate import split_folder
from jaxrcnn.config import Config, DataConfig
from jaxrcnn.detector import build
from jaxrcnn.interop.model_folder import make_model
from jaxrcnn.training.workdir import Classes, claim
from tests.tiny import MODEL, make_variables

NAMES = ("disk", "square", "triangle", "cross")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A converted model: it has no data of its own."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    four = replace(MODEL, num_classes=4)
    config = Config(model=four, data=DataConfig(short_side=48, long_side=64))
    make_model(folder, config, Classes(NAMES, (1, 2, 3, 4)), make_variables(build(four)), {})
    return folder


def test_a_model_is_evaluated_on_the_data_of_the_command_line(model, capsys):
    fields = ["--config.data.format", "shapes", "--config.data.num_eval_images", "3"]
    assert main(["evaluate", str(model), "--batch-size", "3", *fields]) == 0
    assert "3 images" in capsys.readouterr().out
    metrics = json.loads((model / "eval" / "step_0" / "metrics.json").read_text())
    assert 0 <= metrics["eval/AP"] <= 1
    assert metrics["eval/loss"] > 0
    assert (model / "eval" / "step_0" / "report.html").stat().st_size > 10000


def test_a_model_is_evaluated_in_several_views(model, capsys):
    fields = ["--config.data.format", "shapes", "--config.data.num_eval_images", "3"]
    views = ["--flip", "--tile", "64"]
    assert main(["evaluate", str(model), "--batch-size", "3", *views, *fields]) == 0
    folder = model / "eval" / "step_0_flip_tile_64"
    assert f"metrics     {folder / 'metrics.json'}" in capsys.readouterr().out
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 <= metrics["eval/AP"] <= 1
    assert not [name for name in metrics if name.startswith("eval/loss")]
    assert json.loads((folder / "detections.json").read_text())


def test_without_data_it_says_which_field_to_set(model, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(model)])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "data.root" in said
    assert said.count("\n") == 1


@pytest.fixture
def ground_truth(tmp_path):
    """Two images in COCO's format, with an object of 10 x 10 pixels each."""
    folder = tmp_path / "data"
    (folder / "annotations").mkdir(parents=True)
    (folder / "val").mkdir()
    for number in (5, 6):
        Image.new("RGB", (60, 40)).save(folder / "val" / f"{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in (5, 6)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [
            {
                "id": n,
                "image_id": n,
                "category_id": 9,
                "bbox": [10, 10, 10, 10],
                "area": 100,
                "iscrowd": 0,
            }
            for n in (5, 6)
        ],
    }
    (folder / "annotations" / "instances_val.json").write_text(json.dumps(content))
    return folder


def detections(folder, *images):
    path = folder / "others.json"
    rows = [
        {"image_id": n, "category_id": 9, "bbox": [10, 10, 10, 10], "score": 0.5} for n in images
    ]
    path.write_text(json.dumps(rows))
    return path


def test_any_detectors_results_are_scored(ground_truth, tmp_path, capsys):
    path = detections(tmp_path, 5)
    assert main(["evaluate", str(path), "--data", str(ground_truth)]) == 0
    said = capsys.readouterr().out
    assert "others.json, 1 detection, on val: 2 images, 2 boxes" in said
    metrics = json.loads((tmp_path / "others_eval" / "metrics.json").read_text())
    assert metrics["eval/AP50"] == pytest.approx(51 / 101)  # one of two
    assert metrics["eval/AP_dog"] == metrics["eval/APs"] == metrics["eval/AP50"]
    assert (tmp_path / "others_eval" / "detections.png").exists()


def test_results_are_scored_as_the_fields_say(ground_truth, tmp_path):
    path, out = detections(tmp_path, 5, 6), tmp_path / "scores"
    fields = ["--config.eval.metric", "voc", "--config.eval.max_detections", "300"]
    data = ["--config.data.root", str(ground_truth), "--config.data.eval_split", "val"]
    assert main(["evaluate", str(path), "--out", str(out), *fields, *data]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["eval/AR300"] == metrics["eval/mAP"] == 1


def test_without_objects_it_says_so(ground_truth, tmp_path, capsys):
    file = ground_truth / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "annotations": []}))
    path = detections(tmp_path, 5)
    assert main(["evaluate", str(path), "--data", str(ground_truth)]) == 0
    assert "there are no objects to find, so AP is undefined" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "others.json: name the folder of the annotations with --data DIR"),
        (["--data", "{data}", "--flip"], "--flip requires a model: .*others.json contains"),
        (
            ["--data", "{data}", "--checkpoint", "5"],
            "--checkpoint requires a model: .*others.json contains",
        ),
        (["--data", "{data}", "--config.data.eval_split", "test"], "split test: there is no such"),
        (["--data", "{data}", "--config.eval.max_detections", "9"], "must be at least 100"),
        (["--data", "{data}/none"], "none"),
    ],
)
def test_what_cannot_be_scored_is_one_line(ground_truth, tmp_path, capsys, words, line):
    path = detections(tmp_path, 5)
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(path), *(word.format(data=ground_truth) for word in words)])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert re.search(line, said)
    assert said.count("\n") == 1


def test_the_data_of_a_model_are_named_by_fields(model, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", str(model), "--data", "somewhere"])
    assert "--data is for DETECTIONS.json" in capsys.readouterr().err


def test_what_is_held_out_is_that_of_the_run_unless_other_data_is_asked_for(tmp_path):
    config = Config(data=DataConfig(root="x", train_splits=("train",), eval_split=""))
    claim(tmp_path, config)
    assert split_folder(tmp_path, config) == tmp_path
    for fields, expected in (
        ({"short_side": 300, "eval_split": "val"}, tmp_path),
        ({"root": ("x",)}, tmp_path),
        ({"root": "y"}, None),
        ({"format": "voc"}, None),
        ({"train_splits": ("train", "val")}, None),
        ({"val_share": 0.5}, None),
    ):
        asked = replace(config, data=replace(config.data, **fields))
        assert split_folder(tmp_path, asked) == expected
