"""Every test runs on the CPU; compiled programs are kept between runs."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

from jaxrcnn.training.program import AHEAD

CACHE = pathlib.Path(__file__).parents[1] / ".jax_cache"

os.environ["JAXRCNN_CACHE"] = str(CACHE)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)  # for the processes that tests start, too
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


LARGE_PROGRAMS = (
    *("training", "study", "cli"),
    *("test_contracts", "test_detector", "test_earlier_folders", "test_forking", "test_runs"),
    "test_train",
)
"""Tests of whole detectors, on tiny models: their time goes into compiling."""


LONGEST = ("test_train.py", "test_running.py", "test_side_by_side.py", "test_parity.py")
"""Files to begin with: one that is left to the end keeps one core busy and the others idle."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="module")
def _compile_large_programs_quickly(request):
    """A third less time to compile, at the cost of programs that are not as quick themselves."""
    place = pathlib.Path(request.path).relative_to(pathlib.Path(__file__).parent).parts[0]
    large = place.removesuffix(".py") in LARGE_PROGRAMS
    jax.config.update("jax_disable_most_optimizations", large)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True, scope="module")
def _drop_compiled_programs():
    """Let go of a module's programs: each maps memory, and Linux ends a process at 65530 maps."""
    yield
    jax.clear_caches()
    AHEAD.clear()
