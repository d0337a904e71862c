import gc
import io
import subprocess
import sys
import warnings
from unittest import mock

import pytest

from jaxrcnn.runtime import process
from jaxrcnn.runtime.process import prepare_output, prepare_process


def test_it_prepares_cache_allocator_and_garbage_collector():
    before = gc.get_threshold()
    names = ("keep_compiled_programs", "keep_freed_memory")
    try:
        with mock.patch.multiple(process, **dict.fromkeys(names, mock.DEFAULT)) as asked:
            prepare_process()
        assert gc.get_threshold() == (10_000, *before[1:])
    finally:
        gc.set_threshold(*before)
    for name in names:
        asked[name].assert_called_once_with()


@pytest.fixture(autouse=True)
def _usual_warnings(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)


def test_a_warning_is_one_line():
    prepare_output()
    assert warnings.formatwarning("a\nb", FutureWarning, "file.py", 3) == "note: a b\n"
    assert warnings.formatwarning("a", UserWarning, "file.py", 3) == "UserWarning: a\n"


def test_what_stdout_cannot_write_is_a_question_mark(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare_output()
    print("cat, 猫, \udcff", flush=True)
    assert written.getvalue() == b"cat, ?, ?\n"


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_stdout_that_is_no_file_is_left_as_it_is(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_output()
    assert sys.stdout is stream


def test_the_library_alone_sets_nothing():
    code = """
import gc, os
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
before = gc.get_threshold()
import jax
import jaxrcnn.runs, jaxrcnn.training.loop, jaxrcnn.runtime.process
assert gc.get_threshold() == before
assert jax.config.jax_compilation_cache_dir is None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
