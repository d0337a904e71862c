import os
import re

import jax
import pytest

from jaxrcnn.runtime import compilation
from jaxrcnn.runtime.compilation import (
    cache_folder,
    keep_compiled_programs,
    make_private,
    processor_kind,
)


@pytest.fixture
def no_cache(monkeypatch):
    """jax without a folder, as in a process that has just begun; restored afterwards."""
    names = ("jax_compilation_cache_dir", "jax_compilation_cache_max_size")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_are_kept_in_the_folder_that_the_user_names(no_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "mine"))
    keep_compiled_programs()
    folder = jax.config.jax_compilation_cache_dir
    assert folder == str(cache_folder())
    assert folder.startswith(str(tmp_path / "mine" / "compiled"))
    assert cache_folder().is_dir()
    assert jax.config.jax_compilation_cache_max_size == 4 * 1024**3


def test_by_default_they_are_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXRCNN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert str(cache_folder()).startswith(str(tmp_path / "jaxrcnn" / "compiled"))


def test_a_folder_that_is_set_already_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path))
    before = jax.config.jax_compilation_cache_dir
    assert before is not None
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == before
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_costs_one_line(no_cache, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "file"))
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir is None
    said = capsys.readouterr().err
    assert said.startswith(f"compiled programs are not kept: {tmp_path}")
    assert said.count("\n") == 1


def test_each_kind_of_processor_has_a_folder_of_its_own(monkeypatch):
    monkeypatch.setattr(compilation.platform, "machine", lambda: "x86_64")
    zen = processor_kind("vendor_id : AMD\nflags\t\t: fpu avx512f avx2\nbugs : none\n")
    same = processor_kind("processor : 7\nflags\t\t: avx2 fpu avx512f\n")
    older = processor_kind("flags\t\t: fpu avx2\n")
    assert zen == same != older
    assert re.fullmatch("x86_64-[0-9a-f]{12}", zen)
    assert processor_kind("") == processor_kind("bugs : none\n") != older


def test_a_folder_is_made_for_this_user_alone(tmp_path, monkeypatch):
    make_private(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a/b").chmod(0o775)
    make_private(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o755
    monkeypatch.setattr(compilation.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        make_private(tmp_path / "a/b")
