"""Config files that change another one, and config.json; more faults are in cli/test_options.py."""

import json
import pathlib
import subprocess
import sys

import pytest

from jaxrcnn.config import Config, ConfigError, DataConfig, TrainConfig
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import config_to_json

BASE = """
from jaxrcnn.config import Config, TrainConfig

def get_config():
    return Config(seed=5, train=TrainConfig(steps=90, batch_size=4))
"""
CHANGED = """
import pathlib
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields

def get_config():
    base = load_config(pathlib.Path(__file__).with_name("base.py"))
    return replace_fields(base, {"train.steps": 270})
"""


@pytest.fixture
def changed(tmp_path):
    (tmp_path / "base.py").write_text(BASE)
    path = tmp_path / "changed.py"
    path.write_text(CHANGED)
    return path


def complaint(path):
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_has_the_fields_of_its_base_but_for_those_it_changes(changed):
    config = load_config(changed)
    assert (config.seed, config.train.batch_size, config.train.steps) == (5, 4, 270)


def test_the_base_is_found_from_any_working_directory(changed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path.parent)
    relative = pathlib.Path(tmp_path.name, changed.name)
    assert load_config(relative) == load_config(changed)
    monkeypatch.chdir(tmp_path)
    assert load_config(pathlib.Path(changed.name)) == load_config(changed)


def test_a_base_that_is_not_there_is_named_with_the_line_that_asks_for_it(changed):
    base = changed.with_name("base.py")
    base.rename(changed.with_name("bases.py"))
    nearest = changed.with_name("bases.py")
    line = f"{changed}, line 7: no config file {base}; nearest: {nearest}"
    assert complaint(changed) == line


def test_what_is_wrong_in_a_base_is_said_with_both_lines(changed):
    base = changed.with_name("base.py")
    base.write_text(BASE.replace("Config(seed", "Confg(seed"))
    line = f"{changed}, line 7: {base}, line 5: NameError: name 'Confg' is not defined"
    assert complaint(changed) == line


def test_a_misspelt_change_is_said_with_its_line(changed):
    changed.write_text(CHANGED.replace("train.steps", "train.stepps"))
    line = f"{changed}, line 8: unknown field train.stepps; did you mean train.steps?"
    assert complaint(changed) == line


def written_before(*fields):
    """A config.json of format 3 that lacks fields, and the config that it stands for."""
    config = Config(seed=5, data=DataConfig(format="shapes"))
    tree = json.loads(config_to_json(config))
    tree["format_version"] = 3
    for name in fields:
        *groups, last = name.split(".")
        group = tree
        for each in groups:
            group = group[each]
        del group[last]
    return json.dumps(tree), config


def test_a_config_json_is_a_config(tmp_path):
    config = Config(seed=5, train=TrainConfig(steps=7))
    path = tmp_path / "config.json"
    path.write_text(config_to_json(config))
    assert load_config(path) == load_config(str(path)) == config


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (("data.rename",), "data.rename"),
        (("data.rename", "train.epochs"), "data.rename and train.epochs"),
        (
            ("data.rename", "train.epochs", "train.freeze", "train.patience", "data.columns"),
            "data.rename, data.columns, train.epochs and 2 more fields",
        ),
    ],
)
def test_what_is_newer_than_a_config_json_is_said_in_a_line(tmp_path, fields, said):
    path = tmp_path / "config.json"
    text, config = written_before(*fields)
    path.write_text(text)
    with pytest.warns(FutureWarning) as warned:
        assert load_config(path) == config
    assert [str(warning.message) for warning in warned] == [
        f"{path} was written before {said} existed: the defaults are used"
    ]


def test_the_line_is_a_note_of_the_command(tmp_path):
    text, _ = written_before("data.rename")
    (tmp_path / "config.json").write_text(text)
    code = "from jaxrcnn.cli.train import main; main(['--config', './config.json'], lambda *_: 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == (
        "note: config.json was written before data.rename existed: the defaults are used\n"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "{path}: not valid JSON: "),
        ("[]", "{path}: config=[] is invalid"),
        ('{"format_version": 99}', "{path}: format_version=99 was written by a newer version"),
        ('{"images": [], "annotations": []}', "{path}: unknown field images"),
        ("\udcff", "{path}: 'utf-8' codec can't decode"),
    ],
)
def test_another_json_file_is_one_line(tmp_path, text, line):
    path = tmp_path / "other.json"
    path.write_text(text, errors="surrogateescape")
    assert complaint(path).startswith(line.format(path=path))


def test_a_folder_is_said_to_be_one(tmp_path):
    assert complaint(tmp_path) == f"{tmp_path} is a folder, not a config file"
    (tmp_path / "config.json").write_text("")
    line = f"{tmp_path} is a folder; to use its config, write {tmp_path / 'config.json'}"
    assert complaint(tmp_path) == line


def test_a_file_that_is_not_there_is_perhaps_a_named_config(tmp_path):
    path = tmp_path / "configs" / "tiny.py"
    assert complaint(path) == f"no config file {path}; to use the config of that name, write tiny"
