"""Config files that change another one; what is wrong in a single one is in cli/test_options.py."""

import pathlib

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.config_file import load_config

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
