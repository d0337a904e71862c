import os
import pathlib
import stat
import subprocess
import sys
import time
import types

import pytest

from jaxrcnn.training.revision import Revision, find_revision


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit, which is the current directory; the program is elsewhere."""
    folder = tmp_path / "fork"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("one")
    git(folder, "add", "train.py")
    git(folder, "commit", "-q", "-m", "one")
    monkeypatch.chdir(folder)
    program_is(monkeypatch, tmp_path / "elsewhere.py")
    return folder


def program_is(monkeypatch, file, spec=None):
    main = types.SimpleNamespace(__file__=str(file), __spec__=spec)
    monkeypatch.setitem(sys.modules, "__main__", main)


def test_the_commit_and_whether_files_differ_from_it(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert find_revision() == Revision(commit, changed=False)
    (repository / "notes.txt").write_text("not tracked")
    assert find_revision() == Revision(commit, changed=False)
    (repository / "train.py").write_text("two")
    assert find_revision() == Revision(commit, changed=True)


def test_the_programs_own_repository_comes_before_the_current_directory(
    repository, tmp_path, monkeypatch
):
    commit = git(repository, "rev-parse", "HEAD")
    (tmp_path / "outside").mkdir()
    monkeypatch.chdir(tmp_path / "outside")
    assert find_revision() is None
    program_is(monkeypatch, repository / "train.py")
    assert find_revision() == Revision(commit, changed=False)
    package = types.SimpleNamespace(name="jaxrcnn.__main__")
    program_is(monkeypatch, repository / "train.py", package)  # python -m jaxrcnn
    assert find_revision() is None
    monkeypatch.setattr(sys, "prefix", str(repository))  # a script that is installed
    program_is(monkeypatch, repository / "train.py")
    assert find_revision() is None


def test_a_repository_without_a_commit_has_none(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    program_is(monkeypatch, tmp_path / "train.py")
    assert find_revision() is None


def test_variables_of_a_hook_do_not_name_another_repository(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert find_revision() is not None


def test_without_git_there_is_none(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_revision() is None


def put_git_in_path(folder, monkeypatch, script):
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_git_that_does_not_answer_is_not_waited_for(repository, tmp_path, monkeypatch):
    put_git_in_path(tmp_path / "bin", monkeypatch, "exec sleep 60")
    began = time.monotonic()
    assert find_revision(seconds=0.2) is None
    assert time.monotonic() - began < 10


def test_a_slow_status_leaves_the_commit(repository, tmp_path, monkeypatch):
    put_git_in_path(
        tmp_path / "bin",
        monkeypatch,
        'case "$*" in *--porcelain*) exec sleep 60;; *) echo abc;; esac',
    )
    assert find_revision(seconds=1) == Revision("abc", changed=None)


def test_a_current_directory_that_was_deleted_is_no_error(tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    program_is(monkeypatch, pathlib.Path("/nowhere/train.py"))
    assert find_revision() is None
    monkeypatch.chdir(tmp_path)
