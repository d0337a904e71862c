"""Every test runs on the CPU; compiled programs are kept between runs."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

CACHE = pathlib.Path(__file__).parents[1] / ".jax_cache"

jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture(autouse=True, scope="module")
def _drop_compiled_programs():
    """Let go of a module's programs: each maps memory, and Linux ends a process at 65530 maps."""
    yield
    jax.clear_caches()
