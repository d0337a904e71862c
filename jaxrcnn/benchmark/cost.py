"""What a program costs before it runs, and what it must cost: compilation, arithmetic, memory."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache import compilation_cache

from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.programs import Program


class Cost(NamedTuple):
    """Of one program."""

    traced: float  # seconds from Python to the compiler's input
    cold: float  # seconds of the compiler
    cached: float  # seconds to read the same from the persistent cache instead
    flops: float  # floating-point operations of a run, a loop's body counted once
    moved: float  # bytes that its operations read and write, a loop's body counted once
    memory: float  # bytes of arguments, results and temporary arrays on one device

    def floor(self, peak: Peak) -> float:
        """Seconds that the roofline allows: the arithmetic or the memory at the device's peak."""
        return max(self.flops / peak.flops, self.moved / peak.bandwidth)

    def utilisation(self, peak: Peak, seconds: float) -> float:
        """Share of the peak's arithmetic that a run of so many seconds makes use of (MFU)."""
        return self.flops / seconds / peak.flops


def measure_cost(program: Program) -> Cost:
    """Compile a program twice, the second time from the persistent cache of `fresh_cache`.

    What jax holds in memory of compiled programs is dropped first.
    """
    jax.clear_caches()
    traced, lowered = _timed(program.lower)
    cold, compiled = _timed(lowered.compile)
    jax.clear_caches()
    cached, _ = _timed(program.lower().compile)
    counts, memory = compiled.cost_analysis(), compiled.memory_analysis()
    held = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    return Cost(traced, cold, cached, counts["flops"], counts["bytes accessed"], held)


def _timed(call: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


@contextlib.contextmanager
def fresh_cache() -> Iterator[None]:
    """An empty persistent compilation cache that takes every program; afterwards it is gone."""
    wanted = {
        "jax_enable_compilation_cache": True,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    with tempfile.TemporaryDirectory() as folder:
        wanted["jax_compilation_cache_dir"] = folder
        before = {name: getattr(jax.config, name) for name in wanted}
        jax.clear_caches()
        try:
            _configure(wanted)
            yield
        finally:
            _configure(before)


@contextlib.contextmanager
def cache_apart() -> Iterator[None]:
    """Another persistent cache, inside that of `fresh_cache`: always the same one.

    Two detectors may have a program in common, which each is to compile for itself.
    """
    name = "jax_compilation_cache_dir"
    whole = getattr(jax.config, name)
    _configure({name: os.path.join(whole, "apart")})
    try:
        yield
    finally:
        _configure({name: whole})


def _configure(values: dict[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # else the cache that was opened first stays in use


def peak_bytes(device: Any) -> int | None:
    """The most bytes that were in use on a device so far; None where it does not say."""
    statistics = device.memory_stats() or {}
    return statistics.get("peak_bytes_in_use")
