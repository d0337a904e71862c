"""What XLA's CPU backend must be told, or it holds more arrays than it need."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.experimental.xla_metadata import set_xla_metadata

T = TypeVar("T")

LEAST_MEMORY = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


def jit_program(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit` with the same options, for a whole program: on a CPU it takes the least memory.

    By default XLA begins every operation there as early as it can, so that threads find several at
    once. Those of a detector use all threads each, and what is there early only lies in wait.
    """
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=LEAST_MEMORY if on_cpu else None, **options)


RUNS_ONCE = {"xla_backend_optimization_level": "1"}


def jit_once(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit` with the same options, for a program that runs only once.

    A CPU's compiler then takes less than half of the time for a detector's initial parameters, and
    the numbers are the same. (At level 0 they would not be.)
    """
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=RUNS_ONCE if on_cpu else None, **options)


def computed_once(tree: T) -> T:
    """The same arrays, which XLA's CPU backend then computes once and keeps.

    It else computes what several results need in the pass of each, from whatever that takes: the
    arrays below are all kept in its place. Other backends write several results in one pass.
    """
    kept: T = jax.lax.platform_dependent(tree, cpu=computed_apart, default=_same)
    return kept


def computed_apart(tree: T) -> T:
    """The same arrays, for code that only a CPU runs: none is computed in the pass of another.

    XLA compiles a pass that occurs several times in a program only once.
    """
    # A barrier is dropped before XLA fuses; a call that is not inlined stays.
    with set_xla_metadata(inlineable="false"):
        apart: T = jax.jit(_same)(tree)
        return apart


def _same(tree: Any) -> Any:
    return tree
