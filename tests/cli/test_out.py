import os
import pathlib

import pytest

from jaxrcnn.cli import main
from jaxrcnn.cli.out import make_folder
from jaxrcnn.config import ConfigError
from tests.checking.planted import write_set
from tests.complaints import error_line


def test_a_folder_is_made_and_left_empty(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []


def test_a_folder_in_which_no_file_can_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigError, match=r"file/a cannot be written to \(Not a directory\); --out"
    ):
        make_folder(tmp_path / "file" / "a")
    with pytest.raises(ConfigError, match=r"^/proc cannot be written to"):
        make_folder(pathlib.Path("/proc"))


def test_a_check_finds_out_before_it_reads_the_images(tmp_path, capsys, monkeypatch):
    write_set(tmp_path / "set", images=2)
    (tmp_path / "file").touch()
    monkeypatch.setattr("jaxrcnn.cli.check.read_splits", lambda _: pytest.fail("read"))
    words = ["check", str(tmp_path / "set"), "--out", str(tmp_path / "file" / "a")]
    assert "cannot be written to" in error_line(capsys, main, words)
