import hashlib
import io
import multiprocessing
import os
import pathlib
import re
import socket
import threading
import time

import pytest

from jaxrcnn import opening
from jaxrcnn.config import DataConfig
from jaxrcnn.opening import Overdue, attend, check_regular, open_file, read_bytes, read_timeout
from tests.blocked import blocked

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    return path


def readers():
    """The threads that read, by identity: of a thread that ended the number may come back."""
    return {thread for thread in threading.enumerate() if thread.name == "reader"}


def wait_until(is_so):
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it never was so")


def test_the_default_is_that_of_the_config():
    assert DataConfig.read_timeout == opening.SECONDS


@pytest.mark.parametrize("seconds", [0, 60, 1e300])
@pytest.mark.parametrize("first", [0, 1, 1000, 2**20])
def test_a_file_is_read_and_searched_as_any_other(file, first, seconds):
    with read_timeout(seconds), open_file(file, first) as opened, io.BytesIO(CONTENT) as expected:
        for do in (
            *(lambda f: f.read(7), lambda f: f.seek(-9, os.SEEK_END), lambda f: f.read(100)),
            *(lambda f: f.seek(5), lambda f: f.read(200_000), lambda f: f.tell()),
            *(lambda f: f.read(), lambda f: f.read(1), lambda f: f.seek(10), lambda f: f.read()),
            *(lambda f: f.seek(10**6), lambda f: f.read(3)),
        ):
            assert do(opened) == do(expected)
    assert opened.closed
    assert read_bytes(file) == CONTENT
    with open_file(file) as opened:
        assert hashlib.file_digest(opened, "md5").digest() == hashlib.md5(CONTENT).digest()


def test_a_seek_before_the_beginning_is_an_error(file):
    with open_file(file) as opened, pytest.raises(OSError, match="Invalid argument"):
        opened.seek(-1)


def test_symbolic_links_and_the_empty_file_are_fine(tmp_path, file):
    (tmp_path / "link").symlink_to(file)
    assert read_bytes(str(tmp_path / "link")) == CONTENT
    (tmp_path / "empty").touch()
    assert read_bytes(tmp_path / "empty") == b""


def test_the_files_of_proc_have_content_without_a_size():
    assert read_bytes("/proc/self/stat") != b""


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    kinds = {tmp_path: "a directory", "/dev/zero": "a device", "/dev/tty": "a device"}
    kinds |= {tmp_path / "pipe": "a named pipe", tmp_path / "link": "a named pipe"}
    for path, kind in kinds.items():
        for read in (open_file, read_bytes, check_regular):
            with pytest.raises(OSError, match=f"is {kind}, not a regular file") as error:
                read(path)
            assert error.value.filename == str(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="is a socket"):
            read_bytes(tmp_path / "s")
    with pytest.raises(FileNotFoundError):
        check_regular(tmp_path / "none")


def test_a_file_that_becomes_a_pipe_between_looking_and_opening_is_not_waited_for(
    tmp_path, file, monkeypatch
):
    os.mkfifo(tmp_path / "pipe")
    regular = os.stat(file)
    with monkeypatch.context() as patch:
        patch.setattr(opening.os, "stat", lambda _, **__: regular)
        with pytest.raises(OSError, match="is a named pipe"):
            read_bytes(tmp_path / "pipe")


def test_a_file_larger_than_the_memory_is_not_read_as_a_whole(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(2**43)
    with pytest.raises(OSError, match="larger than the memory"):
        read_bytes(tmp_path / "sparse")
    with open_file(tmp_path / "sparse") as opened:
        assert opened.read(3) == b"\0\0\0"


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_file_that_does_not_answer_has_a_time_limit(file, monkeypatch, call):
    before = os.listdir("/proc/self/fd")
    with blocked(monkeypatch, "a.bin", call=call), read_timeout(0.05):
        with pytest.raises(Overdue) as error:
            read_bytes(file)
        assert error.value.filename == str(file)
        assert error.value.strerror == "gave no answer within 0.05 s (data.read_timeout)"
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == len(before))  # the thread closed it


def test_each_read_has_a_time_limit_and_after_one_that_is_late_the_file_is_lost(file, monkeypatch):
    before = os.listdir("/proc/self/fd")
    with read_timeout(0.05), open_file(file, 1000) as opened:
        assert opened.read(500) == CONTENT[:500]
        release = threading.Event()
        monkeypatch.setattr(opening.os, "pread", lambda *_: release.wait() and b"late")
        for _ in range(2):
            with pytest.raises(Overdue):
                opened.read(5000)
        release.set()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == len(before))


def test_an_error_of_a_read_leaves_no_descriptor_behind(file, monkeypatch):
    before = os.listdir("/proc/self/fd")
    with open_file(file, 10) as opened, monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(5, "Input/output error")

        patch.setattr(opening.os, "pread", fail)
        with pytest.raises(OSError, match="Input/output"):
            opened.read()
        with pytest.raises(OSError, match="Input/output"):
            read_bytes(file)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_threads_are_kept_for_the_next_file(file):
    read_bytes(file)
    before = readers()
    for _ in range(50):
        read_bytes(file)
    assert readers() == before


def test_attended_calls_read_in_one_thread_and_only_their_reads_have_a_limit(file, monkeypatch):
    with read_timeout(0.05):
        places = attend(lambda: [threading.current_thread() for _ in range(3) if read_bytes(file)])
        assert len(set(places)) == 1
        assert places[0] is not threading.current_thread()
        assert attend(lambda: time.sleep(0.2) or "slow, but no read") == "slow, but no read"
        with pytest.raises(ZeroDivisionError):
            attend(lambda: 1 / 0)
        went_on = []
        with blocked(monkeypatch, "a.bin"), pytest.raises(Overdue, match=re.escape(str(file))):
            attend(lambda: (read_bytes(file), went_on.append("after")))
        wait_until(lambda: places[0] not in readers())
        assert went_on == []
    with read_timeout(0):
        assert attend(threading.current_thread) is threading.current_thread()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_a_forked_process_starts_threads_of_its_own(file):
    read_bytes(file)  # so that there is one to be kept
    queue = multiprocessing.get_context("fork").SimpleQueue()
    child = os.fork()
    if child == 0:
        queue.put(len(read_bytes(file)))
        os._exit(0)
    assert queue.get() == len(CONTENT)
    os.waitpid(child, 0)


OPENERS = re.compile(r"(?<![\w.])open\(|\.read_text\(|\.read_bytes\(|np\.load\(|\.open\(")
FINE = {
    # Programs for another Python, and what reads files that we wrote or that the system has.
    *("interop/record_torchvision", "interop/time_torchvision", "interop/run_torchvision"),
    *("benchmark/start", "benchmark/stages", "benchmark/memory", "runtime/machine"),
    *("training/profiling", "training/tracker_kinds", "runtime/executables", "opening"),
    *("config_names", "study/report", "interop/download", "cli/export"),
    # These give an open file to Pillow and numpy, or files of a checkpoint to tensorstore.
    *("data/images", "data/proposals", "training/failure", "training/arrays"),
    *("data/in_memory", "cli/parsing", "cli/errors", "data/cache", "data/sharing"),
    *("data/workers", "runtime/room", "training/lock", "writing"),
}


def test_files_are_opened_here_and_nowhere_else():
    root = pathlib.Path(opening.__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).with_suffix("").as_posix()
        for line in path.read_text(encoding="utf-8").splitlines():
            writes = re.search(r'open\(.*"[wax]b?t?"', line)
            if OPENERS.search(line) and not writes and name not in FINE:
                found.append(f"{name}: {line.strip()}")
    assert found == []
