"""What the allocator keeps and gives back, in processes of their own: it holds for a process."""

import subprocess
import sys

import pytest

from jaxrcnn.runtime.allocator import _glibc

pytestmark = pytest.mark.skipif(_glibc() is None, reason="of glibc's allocator")

MIB = 2**20


def run_alone(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pages_made_anew(prepare: str) -> int:
    """Pages of 4 KiB that a second piece of 64 MiB waits for."""
    code = f"""
import resource
import jax
from jaxrcnn.runtime.allocator import keep_freed_memory
{prepare}
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
piece = b"x" * (64 * {MIB})
del piece
before = faults()
piece = b"x" * (64 * {MIB})
print(faults() - before)
"""
    return int(run_alone(code))


def test_a_large_piece_that_was_freed_is_used_again():
    assert pages_made_anew("") > 16000
    assert pages_made_anew("keep_freed_memory()") < 1000


GIVE_BACK = """
import ctypes
import pathlib
import re
import jax
from jaxrcnn.runtime.allocator import COMPILED, keep_freed_memory

def resident():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]) * 1024

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
keep_freed_memory()
pieces = [libc.malloc(16384) for _ in range(8192)]
for piece in pieces:
    ctypes.memset(piece, 1, 16384)
kept = libc.malloc(16384)  # above the others, so that the heap cannot shrink
for piece in pieces:
    libc.free(piece)
before = resident()
"""


def given_back(then: str) -> float:
    """MiB of 128 freed ones in small pieces."""
    return float(run_alone(f"{GIVE_BACK}\n{then}\nprint((before - resident()) / {MIB})"))


def test_a_long_compilation_ends_with_memory_given_back():
    record = "jax.monitoring.record_event_duration_secs"
    assert given_back(f"{record}(COMPILED, 5.0)") > 100
    assert given_back(f"{record}(COMPILED, 0.1)") < 10
    assert given_back(f"{record}('another event', 5.0)") < 10


def test_jax_ends_its_compilations_with_that_event():
    code = """
import jax
from jaxrcnn.runtime.allocator import COMPILED
heard = []
jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: heard.append(event))
jax.jit(lambda x: x + 1)(1.0)
print(heard.count(COMPILED))
"""
    assert int(run_alone(code)) == 1


PROGRAM = """
import resource
import jax
import jax.numpy as jnp
from jaxrcnn.runtime.allocator import keep_freed_memory
{prepare}
# The loop's arrays are of 128 MiB: more than fits in the heap of a further thread.
program = jax.jit(lambda x: jax.lax.fori_loop(0, 3, lambda _, y: jnp.sin(y[::-1]), x).sum())
x = jnp.ones(2**25)
program(x).block_until_ready()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
new = []
for _ in range(4):  # the heap may grow once more in one of them
    before = faults()
    program(x).block_until_ready()
    new.append(faults() - before)
print(sorted(new)[1])
"""


def test_a_programs_temporary_arrays_are_used_again():
    assert int(run_alone(PROGRAM.format(prepare=""))) > 30000
    assert int(run_alone(PROGRAM.format(prepare="keep_freed_memory()"))) < 1000
