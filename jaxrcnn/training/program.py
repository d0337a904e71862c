"""Programs that are compiled before they are needed."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax

from jaxrcnn.training.hosts import barrier, next_key, several

_COMPILER = ThreadPoolExecutor(1, thread_name_prefix="compiler")
"""One thread: compilers use several cores by themselves."""

_FOREGROUND = ThreadPoolExecutor(1, thread_name_prefix="compiler")
"""For what is waited for."""

AHEAD: dict[Hashable, Future[Any]] = {}
"""Compiled programs, or those to be, of all runs in this process: as jit's own, runs share them."""


class Program:
    """A jitted function, called with the arguments that a run does not choose at every step.

    Args:
        jitted: of `jax.jit`.
        static: its first arguments, those that are static.
        bind: takes the arguments of a call and gives the others of the jitted function.
        mesh: of the devices that it runs on.
    """

    def __init__(
        self,
        jitted: Any,
        static: tuple[Hashable, ...],
        bind: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]],
        mesh: Hashable = None,
    ) -> None:
        self._jitted, self._static, self._bind, self._mesh = jitted, static, bind, mesh
        self._begun: list[Hashable] = []
        self._met: set[Hashable] = set()  # programs for which all processes have met

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run it, and compile it for arguments of new shapes, or wait until that is done."""
        args, options = self._bind(*args, **options)
        key = self._key(args, options) if AHEAD or several() else None
        if several():
            self._compile(key, args, options)
            self._meet(key, again=jax.default_backend() == "cpu")
        compiled = _compiled(key) if AHEAD else None
        if compiled is not None:
            return compiled(*args)
        return self._jitted(*self._static, *args, **options)

    def lower(self, *args: Any, **options: Any) -> Any:
        """Trace it for arguments of such shapes, without a run: a `jax.stages.Lowered`."""
        args, options = self._bind(*args, **options)
        return self._jitted.lower(*self._static, *args, **options)

    def is_ready(self, *args: Any, **options: Any) -> bool:
        """Whether it is compiled for such arguments, so that a call need not wait."""
        key = self._key(*self._bind(*args, **options))
        if several() and key not in self._met:
            return False
        ahead = AHEAD.get(key)
        return ahead is not None and ahead.done() and ahead.exception() is None

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile it for arguments of such shapes, unless that is done.

        Where the background is at it, this waits; what is only queued there is compiled here. All
        processes wait for the last, since some are slower than others.
        """
        args, options = self._bind(*args, **options)
        key = self._key(args, options)
        place = next_key("barrier") if several() else ""  # before it can be left, so that all do
        self._compile(key, args, options)
        # In a thread again, since a signal to another process may end this wait.
        _FOREGROUND.submit(self._meet, key, place).result()

    def _meet(self, key: Hashable, place: str = "", again: bool = False) -> None:
        """Wait for the other processes before the first run, and before each on CPUs.

        There, what is exchanged between processes waits for no more than 30 s (gloo's bound), and
        one may be later than that: it reads images from a slow drive, or its disk is full.
        """
        if several() and (again or key not in self._met):
            self._met.add(key)
            barrier("compiling a program", place)

    def _compile(self, key: Hashable, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if _compiled(key) is None:
            lowered = self._jitted.lower(*self._static, *args, **options)
            # In a thread, for which this one waits: a signal then need not wait for the compiler.
            compiled = _FOREGROUND.submit(lowered.compile).result()
            AHEAD[key] = Future()
            AHEAD[key].set_result(compiled)

    def planned(self, *args: Any, **options: Any) -> Any:
        """What XLA says of the memory that such a call takes, on each device.

        None if it is not compiled, or the backend does not say.
        """
        compiled = _compiled(self._key(*self._bind(*args, **options)))
        return None if compiled is None else compiled.memory_analysis()

    def compile_ahead(self, *args: Any, **options: Any) -> None:
        """Compile it in the background for arguments of such shapes, which may be shapes alone.

        One program is compiled at a time, in the order of the calls.
        """
        args, options = self._bind(*args, **options)
        key = self._key(args, options)
        if key in AHEAD:
            return
        shapes = jax.tree.map(_shape_of, args)  # the arrays may be gone by then
        AHEAD[key] = _COMPILER.submit(
            lambda: self._jitted.lower(*self._static, *shapes, **options).compile()
        )
        self._begun.append(key)

    def forget(self) -> None:
        """Leave out what has not begun to be compiled."""
        for key in self._begun:
            _forget(key)

    def _key(self, args: tuple[Any, ...], options: dict[str, Any]) -> Hashable:
        """What jit would compile for anew, but for the kinds of devices."""
        leaves, structure = jax.tree.flatten(args)
        shapes = tuple((x.shape, x.dtype) for x in leaves)
        function = getattr(self._jitted, "__wrapped__", self._jitted)
        options_of_call = tuple(sorted(options.items()))
        return function, self._static, self._mesh, shapes, structure, options_of_call


def _compiled(key: Hashable) -> Any:
    """The compiled program, for which this waits where the background is at it; else None.

    None too where it was only queued, for it would wait for others there, and where it failed: it
    is compiled again by the caller, where the error belongs.
    """
    if key not in AHEAD or _forget(key) or AHEAD[key].exception() is not None:
        return None
    return AHEAD[key].result()


def _forget(key: Hashable) -> bool:
    """Whether it was only queued, and is no more."""
    if key not in AHEAD or not AHEAD[key].cancel():
        return False
    del AHEAD[key]
    return True


def _shape_of(x: Any) -> Any:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None))
