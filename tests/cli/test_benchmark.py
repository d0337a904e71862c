import json

import pytest
from PIL import Image

from jaxrcnn.benchmark.suites import SUITES
from jaxrcnn.cli import main
from jaxrcnn.cli.parsing import some_of

CONFIG = """
from dataclasses import replace
from jaxrcnn.config import Config, DataConfig
from tests.tiny import MODEL

def get_config():
    return Config(model=MODEL)
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    return str(path)


def test_a_detector_is_measured_and_the_figures_are_written(config, tmp_path, capsys):
    words = ["--config", config, "--what", "predict", "--predict", "1x64x64", "--steps", "4"]
    words += ["--config.model.detections.max_detections", "7"]
    figures, plots = tmp_path / "figures.json", tmp_path / "plots"
    assert main(["benchmark", *words, "--json", str(figures), "--plots", str(plots)]) == 0
    said = capsys.readouterr().out
    for title in ("predict 1x64x64\n", "predict 1x64x64: cost", "predict 1x64x64: stages"):
        assert title in said
    found = json.loads(figures.read_text())
    assert found["device"]["backend"] == "cpu"
    assert found["settings"]["fields"] == ["--config.model.detections.max_detections", "7"]
    assert found["settings"]["predict"] == ["1x64x64"]
    assert {"python", "jax", "jaxlib", "flax"} <= found["versions"].keys()
    speed = found["figures"]["predict 1x64x64"]["jaxrcnn"]
    assert speed["steps"] == 4
    assert speed["images_per_second"] == pytest.approx(1000 / speed["median_ms"])
    stages = found["figures"]["predict 1x64x64: stages, from a profile"]
    assert {"backbone", "rpn_head", "pool_rois", "box_head"} <= stages.keys()
    with Image.open(plots / "predict_1x64x64.png") as image:
        assert image.size[0] > 500


def test_all_is_measured_unless_asked():
    assert some_of(SUITES)("predict,ops") == ("predict", "ops")
    assert set(SUITES) == {"train", "predict", "ops", "input"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["--what", "speed"],
            "argument --what: got 'speed', takes some of train,predict",
        ),
        (["--train", "320x320"], "argument --train: got '320x320', takes images, height"),
        (["--against", "detectron2"], "argument --against: invalid choice: 'detectron2'"),
        (["--json", "/nowhere/figures.json"], "--json: /nowhere/figures.json is a folder, or has"),
        (["--config.model.colour", "1"], "--config.model.colour"),
        (["--against", "torchvision", "--peer-python", "/none"], "/none cannot be run"),
    ],
)
def test_wrong_words_cost_one_line(words, complaint, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", *words])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
