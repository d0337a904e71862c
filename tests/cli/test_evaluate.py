import json
from dataclasses import replace

import pytest

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


def test_without_data_it_says_which_field_to_set(model, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(model)])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "data.root" in said
    assert said.count("\n") == 1


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
