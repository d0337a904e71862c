import os
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.runtime import compilation, executables
from jaxrcnn.runtime.executables import load_or_compile

X = jnp.arange(4.0)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path))
    return lambda: sorted(tmp_path.rglob("*.bin"))


@pytest.fixture
def lower():
    """Lowers a program, and counts how often it was asked to."""

    def lower():
        lower.calls += 1
        return jax.jit(lambda x: 3 * x + 1).lower(X)

    lower.calls = 0
    return lower


def test_a_program_is_traced_once_and_then_read(folder, lower):
    for _ in range(2):
        assert load_or_compile("line", lower)(X).tolist() == [1, 4, 7, 10]
    assert lower.calls == 1
    assert len(folder()) == 1


def test_another_description_or_setting_is_another_program(folder, lower):
    load_or_compile("line", lower)
    load_or_compile("another line", lower)
    with jax.default_matmul_precision("highest"):
        load_or_compile("line", lower)
    assert lower.calls == len(folder()) == 3


def test_an_edit_of_the_sources_is_another_program(folder, lower, monkeypatch):
    load_or_compile("line", lower)
    monkeypatch.setattr(executables, "_sources", lambda: "edited")
    load_or_compile("line", lower)
    assert lower.calls == 2


@pytest.mark.parametrize("content", [b"", b"torn", b"\x80\x04N."])
def test_a_file_that_cannot_be_read_is_made_again(folder, lower, content):
    load_or_compile("line", lower)
    (path,) = folder()
    path.write_bytes(content)
    assert load_or_compile("line", lower)(X).tolist() == [1, 4, 7, 10]
    assert lower.calls == 2
    load_or_compile("line", lower)
    assert lower.calls == 2


def test_the_files_that_were_used_the_longest_ago_go(folder, lower, monkeypatch):
    monkeypatch.setattr(executables, "MOST", 2)
    for age, name in enumerate(("a", "b", "c")):
        load_or_compile(name, lower)
        for path in folder():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
        assert len(folder()) == min(age + 1, 2)
    load_or_compile("c", lower)
    assert lower.calls == 3
    load_or_compile("a", lower)
    assert lower.calls == 4


def test_nothing_is_kept_where_that_is_not_wanted(folder, lower, monkeypatch):
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        load_or_compile("line", lower)
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
    assert folder() == []


def test_a_place_that_cannot_be_written_costs_nothing_but_the_time(monkeypatch, tmp_path, lower):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "file"))
    assert load_or_compile("line", lower)(X).tolist() == [1, 4, 7, 10]


def test_what_came_from_jaxs_own_cache_is_not_written(folder, tmp_path):
    code = """
import jax, jax.numpy as jnp
from jaxrcnn.runtime.executables import load_or_compile
x = jnp.arange(4.0)
lower = lambda: jax.jit(lambda x: jnp.sort(3 * x + 1)).lower(x)
print(load_or_compile("line", lower)(x).tolist())
"""
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for written in (1, 0):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout.strip() == "[1.0, 4.0, 7.0, 10.0]", done.stderr
        assert len(folder()) == written
        for path in folder():
            path.unlink()


def test_another_process_reads_it(folder, lower):
    code = """
import jax, jax.numpy as jnp
from jaxrcnn.runtime.executables import load_or_compile
x = jnp.arange(4.0)
print(load_or_compile("line", lambda: jax.jit(lambda x: 3 * x + 1).lower(x))(x).tolist())
"""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
        )
        assert done.stdout.strip() == "[1.0, 4.0, 7.0, 10.0]", done.stderr
        assert len(folder()) == 1


class Planted:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("change", ["others may write to it", "another user's"])
def test_a_program_that_others_could_have_written_is_not_read(
    folder, lower, tmp_path, monkeypatch, change
):
    load_or_compile("line", lower)
    (file,) = folder()
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(pickle.dumps(Planted(tmp_path / "ran")))
    if change == "another user's":
        monkeypatch.setattr(compilation.os, "geteuid", lambda: os.getuid() + 1)
    else:
        file.chmod(0o620)
    assert load_or_compile("line", lower)(X).tolist() == [1, 4, 7, 10]
    assert lower.calls == 2
    assert not (tmp_path / "ran").exists()
    monkeypatch.undo()
    pickle.loads(pickle.dumps(Planted(tmp_path / "ran"))).close()  # it would have been seen
    assert (tmp_path / "ran").exists()
