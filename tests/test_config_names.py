import pathlib
import subprocess
import sys

import pytest

from jaxrcnn import config_names
from jaxrcnn.config import ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_names import (
    config_name,
    config_path,
    configs_folder,
    named_configs,
    summary_of,
)

FOLDER = pathlib.Path(__file__).parents[1] / "configs"


def complaint(source):
    with pytest.raises(ConfigError) as caught:
        config_path(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_names_are_those_of_the_files_in_configs():
    assert named_configs() == {path.stem: path for path in FOLDER.glob("*.py")}


@pytest.mark.parametrize("installed", [True, False])
def test_the_folder_is_in_the_package_or_else_beside_it(installed, monkeypatch, tmp_path):
    package = tmp_path / "jaxrcnn"
    for folder in (tmp_path / "configs", *([package / "configs"] if installed else [])):
        folder.mkdir(parents=True)
    monkeypatch.setattr(config_names, "__file__", str(package / "config_names.py"))
    assert configs_folder() == (package if installed else tmp_path) / "configs"


@pytest.mark.parametrize("made", [None, "file", "folder"])
def test_a_word_is_a_name_whatever_the_working_directory_holds(made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if made == "file":
        (tmp_path / "tiny").write_text("")
    elif made == "folder":
        (tmp_path / "tiny").mkdir()
    assert config_path("tiny") == FOLDER / "tiny.py"


@pytest.mark.parametrize("source", ["tiny.py", "./tiny", "a/tiny", "config.json", "/b/tiny.py"])
def test_a_word_with_a_suffix_or_a_folder_is_a_file_there_or_not(source):
    assert config_path(source) == pathlib.Path(source)


def test_a_path_is_a_file():
    assert config_path(pathlib.Path("tiny")) == pathlib.Path("tiny")


def test_a_wrong_name_is_said_with_the_nearest():
    near = complaint("coco_r50_fpn")
    assert near.startswith("no config is named coco_r50_fpn; did you mean coco_r50_fpn_")
    assert {"coco_r50_fpn_1x", "coco_r50_fpn_3x"} <= set(near.rstrip("?").split())
    assert complaint("qwx") == "no config is named qwx; `jaxrcnn configs` lists all names"


@pytest.mark.parametrize("file", ["mine", "mine.py"])
def test_a_name_that_may_be_meant_as_a_file_is_said_so(file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).write_text("")
    assert complaint("mine") == f"no config is named mine; for the file, write ./{file}"


def test_a_config_is_called_as_its_file_or_a_config_json_as_its_folder(monkeypatch, tmp_path):
    assert config_name(pathlib.Path("a/tiny.py")) == "tiny"
    assert config_name(pathlib.Path("a/other.json")) == "other"
    assert config_name(pathlib.Path("models/coco/config.json")) == "coco"
    monkeypatch.chdir(tmp_path)
    assert config_name(pathlib.Path("config.json")) == tmp_path.name


def test_a_named_config_is_loaded_from_any_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_config("coco_r101_fpn_3x") == load_config(FOLDER / "coco_r101_fpn_3x.py")


def test_the_summary_is_the_docstrings_first_line_and_the_file_is_not_run(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('"""One line.\n\nMore.\n"""\nraise SystemExit\n')
    assert summary_of(path) == "One line."
    path.write_text("raise SystemExit\n")
    assert summary_of(path) == ""


def test_a_checkout_in_the_path_brings_its_own_configs(tmp_path):
    """Also where another one is installed."""
    (tmp_path / "jaxrcnn").symlink_to(FOLDER.parent / "jaxrcnn")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.py").write_text('"""Mine."""\n')
    done = subprocess.run(
        [sys.executable, "-m", "jaxrcnn", "configs"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == f"mine  Mine.\n\nfolder: {tmp_path / 'configs'}\n"
