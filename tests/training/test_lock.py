import errno
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.training.lock import FILE, locked

ROOT = pathlib.Path(__file__).parents[2]

HOLD = (
    "import pathlib, subprocess, sys, time\nfrom jaxrcnn.training.lock import locked\n"
    "with locked(pathlib.Path(sys.argv[1]), print):\n"
    "    child = subprocess.Popen(['sleep', '60'], close_fds=False)\n"
    "    print(child.pid, flush=True)\n    time.sleep(60)\n"
)


def test_a_folder_is_held_by_one_process_until_that_dies(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        who = rf"run is in use by process {holder.pid} on {socket.gethostname()} since 20"
        with pytest.raises(ConfigError, match=who), locked(folder, print):
            pass
        holder.kill()
        holder.wait()
    with locked(folder, print):  # though a child that it started is still there
        os.kill(child, signal.SIGKILL)
        assert f"process {os.getpid()}" in (folder / FILE).read_text()


def test_one_process_holds_a_folder_once(tmp_path):
    with locked(tmp_path, print), pytest.raises(ConfigError, match="in use"):  # noqa: SIM117
        with locked(tmp_path, print):
            pass
    with locked(tmp_path, print):
        pass


def test_a_folder_that_is_gone_in_the_end_hides_no_error(tmp_path):
    def fail():
        shutil.rmtree(tmp_path / "new")
        raise ConfigError("what went wrong")

    with pytest.raises(ConfigError, match="what went wrong"), locked(tmp_path / "new", print):
        fail()


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with pytest.raises(ConfigError), locked(tmp_path / "new", print):
        raise ConfigError("a")
    assert not (tmp_path / "new").exists()
    with locked(tmp_path / "used", print):
        (tmp_path / "used" / "config.json").write_text("{}")
    assert (tmp_path / "used" / "config.json").exists()
    (tmp_path / "old").mkdir()
    with locked(tmp_path / "old", print):
        pass
    assert (tmp_path / "old").exists()


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match="run is a file"), locked(tmp_path / "run", print):
        pass


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    said = []
    with locked(tmp_path, said.append):
        pass
    (line,) = said
    assert line.startswith(f"note: the file system of {tmp_path} has no locks")


def test_a_system_without_such_locks_is_said(tmp_path):
    """Windows has no fcntl."""
    code = (
        "import pathlib, sys\nsys.modules['fcntl'] = None\n"
        "from jaxrcnn.training.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), print): pass"
    )
    said = subprocess.check_output([sys.executable, "-c", code, tmp_path], cwd=ROOT, text=True)
    assert (
        said
        == f"note: {tmp_path} cannot be locked on this system; a second run would not be noticed\n"
    )
