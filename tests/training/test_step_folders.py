import pathlib

import pytest

from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.step_folders import (
    appears,
    checkpoint_steps,
    open_folder,
    remove,
    remove_partial,
    set_aside,
)


def make(folder, *names):
    for name in names:
        (folder / name / "state").mkdir(parents=True)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_names_that_are_steps_count(tmp_path):
    assert checkpoint_steps(tmp_path / "nothing") == []
    make(
        tmp_path, "10", "9", "08", "7.partial", "6.deleted", "bad_5", "4.orbax-checkpoint-tmp", "٣"
    )
    assert checkpoint_steps(tmp_path) == [9, 10]


def test_what_another_host_has_written_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: make(tmp_path, "10"))
    assert appears(tmp_path / "10")
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert not appears(tmp_path / "11")


def test_what_a_run_left_unfinished_is_removed(tmp_path):
    make(tmp_path, "10", "11.partial", "11.partial.orbax-checkpoint-tmp", "9.deleted", "bad_8")
    assert remove_partial(tmp_path / "11") == tmp_path / "11.partial"
    assert names(tmp_path) == ["10", "9.deleted", "bad_8"]
    open_folder(tmp_path)
    assert names(tmp_path) == ["10", "bad_8"]


def test_a_checkpoint_that_is_deleted_looks_whole_at_no_time(tmp_path, monkeypatch):
    make(tmp_path, "1", "2")
    monkeypatch.setattr("shutil.rmtree", lambda path, **_: None)  # a kill before it
    remove(tmp_path / "1")
    assert checkpoint_steps(tmp_path) == [2]


def test_what_is_set_aside_has_a_name_of_its_own(tmp_path):
    for wanted in ("bad_3", "bad_3_2", "bad_3_3"):
        make(tmp_path, "3")
        assert set_aside(tmp_path / "3") == tmp_path / wanted
    assert checkpoint_steps(tmp_path) == []


def test_folders_that_cannot_be_used_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for use in (open_folder, checkpoint_steps):
        with pytest.raises(CheckpointError, match=r"file cannot be .*(exists|Not a directory)"):
            use(tmp_path / "file")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "rename", refuse)
    with pytest.raises(CheckpointError, match="cannot be renamed"):
        set_aside(make(tmp_path, "3") / "3")
