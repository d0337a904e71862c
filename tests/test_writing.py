import errno
import os
import sys

import pytest

from jaxrcnn import writing
from jaxrcnn.writing import abandon, flush_to_disk, replace_text


def test_a_text_is_replaced_at_once(tmp_path):
    path = tmp_path / "a.json"
    for text in ("é", "short"):
        replace_text(path, text)
        assert path.read_bytes().decode() == text
    assert list(tmp_path.iterdir()) == [path]


def test_files_and_folders_are_flushed_to_the_disk(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    flushed = []
    monkeypatch.setattr(
        writing.os, "fsync", lambda file: flushed.append(os.readlink(f"/proc/self/fd/{file}"))
    )
    flush_to_disk([tmp_path / "a", tmp_path])
    assert flushed == [str(tmp_path / "a"), str(tmp_path)]
    with pytest.raises(FileNotFoundError):
        flush_to_disk([tmp_path / "b"])


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, ["a"]), (errno.EIO, ["a", "folder"])])
def test_only_folders_may_be_impossible_to_flush(tmp_path, monkeypatch, number, fails):
    def fail(_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "a").write_text("a")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(writing.os, "fsync", fail)
    failed = []
    for name in ("a", "folder"):
        try:
            flush_to_disk([tmp_path / name])
        except OSError:
            failed.append(name)
    assert failed == fails


def test_a_pipe_without_a_reader_takes_whatever_comes_once_it_is_abandoned():
    reader, writer = os.pipe()
    os.close(reader)
    files = os.listdir("/proc/self/fd")
    with os.fdopen(writer, "w") as stream:
        with pytest.raises(BrokenPipeError):
            print("a", file=stream, flush=True)
        abandon(stream)
        print("b", file=stream, flush=True)
        assert os.listdir("/proc/self/fd") == files
    assert sys.stdout is not stream
