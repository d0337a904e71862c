"""Every test runs on the CPU; programs are compiled quickly, and kept between runs."""

import importlib.metadata
import os
import pathlib
import signal

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Half the time to compile, of programs that are not as quick themselves. In the environment, for
# the processes that tests start, too.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) < (0, 11):
    # Later ones do not know the flag, and XLA ends a process with a flag that it does not know.
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_fusion_emitters=false"
    ).strip()

import hypothesis
import jax
import pytest

from jaxrcnn.training.program import AHEAD

CACHE = pathlib.Path(__file__).parents[1] / ".jax_cache"

os.environ["JAXRCNN_CACHE"] = str(CACHE)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)  # for the processes that tests start, too
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)

USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
for _signal, _handler in USUAL.items():
    # Shells and nohup have what they start in the background ignore these. So would the processes
    # that tests start and signal, and the tests would wait for them.
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)

hypothesis.settings.register_profile(  # the same examples in every run
    "default", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.register_profile(
    "soak", deadline=None, database=None, max_examples=2000, print_blob=True
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

OPTIMISED = ("test_parity.py", "test_step.py", "test_xla.py", "test_fine_tuning.py")
"""Files whose tests compare the last bits, look at what the compiler makes of a program, or train
for more steps than compiling is worth."""


LONGEST = (
    *("test_tutorial.py", "test_train.py", "test_running.py", "test_side_by_side.py"),
    "test_parity.py",
)
"""Files to begin with: one that is left to the end keeps one core busy and the others idle."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="module")
def _optimise_where_tests_look_at_it(request):
    optimised = request.path.name in OPTIMISED
    jax.config.update("jax_disable_most_optimizations", not optimised)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True, scope="module")
def _drop_compiled_programs():
    """Let go of a module's programs: each maps memory, and Linux ends a process at 65530 maps."""
    yield
    jax.clear_caches()
    AHEAD.clear()
