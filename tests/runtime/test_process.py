import gc
import subprocess
import sys
import warnings
from unittest import mock

from jaxrcnn.runtime import process
from jaxrcnn.runtime.process import prepare_process


def test_it_prepares_cache_allocator_and_garbage_collector():
    before, written = gc.get_threshold(), warnings.formatwarning
    names = ("keep_compiled_programs", "keep_freed_memory")
    try:
        with mock.patch.multiple(process, **dict.fromkeys(names, mock.DEFAULT)) as asked:
            prepare_process()
        assert gc.get_threshold() == (10_000, *before[1:])
        assert warnings.formatwarning("a\nb", FutureWarning, "file.py", 3) == "note: a b\n"
        assert warnings.formatwarning("a", UserWarning, "file.py", 3) == "UserWarning: a\n"
    finally:
        warnings.formatwarning = written
        gc.set_threshold(*before)
    for name in names:
        asked[name].assert_called_once_with()


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
