import errno
import os
import tempfile
import time

from jaxrcnn.training.host_folder import ABANDONED, PREFIX, _temporary_folder
from jaxrcnn.training.lock import locked


def test_temporary_folders_of_killed_processes_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = [f"{PREFIX}abandoned", f"{PREFIX}new", f"{PREFIX}held", "jaxrcnn-other"]
    for name in names:
        (tmp_path / name / "folder").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    with locked(tmp_path / names[2], print):
        long_ago = time.time() - 2 * ABANDONED
        for name in (names[0], *names[2:]):
            os.utime(tmp_path / name, (long_ago, long_ago))
        with _temporary_folder() as folder:
            assert folder.name.startswith(PREFIX)
            assert sorted(os.listdir(tmp_path)) == sorted([*names[1:], folder.name])
            (folder / "metrics.jsonl").write_text("{}")
        assert sorted(os.listdir(tmp_path)) == sorted(names[1:])


def test_without_locks_no_folder_is_removed(tmp_path, monkeypatch):
    def cannot_lock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("fcntl.flock", cannot_lock)
    left = tmp_path / f"{PREFIX}old"
    left.mkdir()
    os.utime(left, (0, 0))
    with _temporary_folder() as folder:
        assert left.is_dir()
    assert not folder.exists()
