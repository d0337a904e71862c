"""The operation of a function in which its results stop being finite.

The function is traced and its operations run one after the other. For each value that is not finite
it is known where that began: in the operation that was the first to give such a value from finite
ones. A loop runs as a whole, and step by step only if something goes wrong in it.
"""

import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

LIBRARIES = ("jax", "jaxlib", "flax", "optax")
"""Packages whose lines are not named, as they are the same for everybody."""

NESTED = (
    *("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call"),
    *("checkpoint", "remat", "remat2"),
)
"""Operations that only call others, in newer and older names of jax."""


class Origin(NamedTuple):
    """Where values stop being finite."""

    operation: str  # its name, such as "log"; "" of an argument
    where: str  # "file:line (function)", of the code that asked for it; or the argument's name
    scope: str  # the named scopes around it, such as "transpose(jvp(backbone))/layer1"
    inputs: tuple[str, ...]  # in words
    output: str  # in words
    place: tuple[int, ...]  # the first value of the output that is not finite
    size: int  # of the output's first axis; 0 without axes
    constant: bool  # an infinity that the code writes, as in a mask


class _Value(NamedTuple):
    value: Any
    origin: Origin | None  # None where all is finite


class _FoundError(Exception):
    """A NaN appeared: what comes after it need not run."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.origin = origin


def find_origin(function: Callable[..., Any], names: Sequence[str], *args: Any) -> Origin | None:
    """Where the first NaN comes from, or else the first infinity that reaches a result.

    Args:
        function: traceable; gives a tree of arrays.
        names: of the arguments' arrays, in the order of their flattened trees.
        args: trees of arrays.

    Returns:
        The operation or the argument; None if all results are finite.
    """
    closed = jax.make_jaxpr(function)(*args)
    values = [
        _Value(x, _argument(name, x) if _is_wrong(x) else None)
        for name, x in zip(names, jax.tree.leaves(args), strict=True)
    ]
    try:
        results = _run(closed.jaxpr, closed.consts, values)
    except _FoundError as found:
        return found.origin
    return _worst([x.origin for x in results])


def _run(jaxpr: Any, consts: Sequence[Any], args: Sequence[_Value]) -> list[_Value]:
    """The results of a traced function."""
    known: dict[Any, _Value] = dict(zip(jaxpr.invars, args, strict=True))
    known |= {var: _literal(x) for var, x in zip(jaxpr.constvars, consts, strict=True)}
    uses = _last_uses(jaxpr)

    def read(atom: Any) -> _Value:
        return _literal(atom.val) if isinstance(atom, core.Literal) else known[atom]

    for number, eqn in enumerate(jaxpr.eqns):
        results = _operation(eqn, [read(atom) for atom in eqn.invars])
        known.update(zip(eqn.outvars, results, strict=True))
        for var in uses.get(number, ()):  # so that memory does not grow
            known.pop(var, None)
    return [read(atom) for atom in jaxpr.outvars]


def _last_uses(jaxpr: Any) -> dict[int, list[Any]]:
    """By the number of an operation, the variables that no later one takes."""
    last: dict[Any, int] = {}
    for number, eqn in enumerate(jaxpr.eqns):
        last |= {atom: number for atom in eqn.invars if not isinstance(atom, core.Literal)}
        last |= {var: number for var in eqn.outvars if var not in last}
    for atom in jaxpr.outvars:
        if not isinstance(atom, core.Literal):
            last.pop(atom, None)
    uses: dict[int, list[Any]] = {}
    for var, number in last.items():
        uses.setdefault(number, []).append(var)
    return uses


def _operation(eqn: Any, args: list[_Value]) -> list[_Value]:
    """The results of one operation; those that only call others are looked into."""
    name, params = eqn.primitive.name, eqn.params
    if name in NESTED:
        inner = params.get("jaxpr", params.get("call_jaxpr"))
        consts = getattr(inner, "consts", ())
        return _run(getattr(inner, "jaxpr", inner), consts, args)
    if name == "cond":
        branches = params["branches"]
        taken = branches[int(jnp.clip(args[0].value, 0, len(branches) - 1))]
        return _run(taken.jaxpr, taken.consts, args[1:])
    results = _bind(eqn, [x.value for x in args])
    if not any(map(_is_wrong, results)):
        return [_Value(x, None) for x in results]
    if name in ("scan", "while") and not any(x.origin for x in args):
        return (_scan if name == "scan" else _while)(params, args)
    found = [_Value(x, _blame(eqn, args, x) if _is_wrong(x) else None) for x in results]
    for value, origin in found:
        if origin is not None and not origin.constant and _has_nan(value):
            raise _FoundError(origin)
    return found


def _bind(eqn: Any, values: Sequence[Any]) -> list[Any]:
    with eqn.ctx.manager:
        results = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return list(results) if eqn.primitive.multiple_results else [results]


def _scan(params: Any, args: list[_Value]) -> list[_Value]:
    """A scan, step by step."""
    body, n, carried = params["jaxpr"], params["num_consts"], params["num_carry"]
    consts, carry, stacked = args[:n], args[n : n + carried], args[n + carried :]
    steps = range(params["length"])
    rows = {}
    for k in reversed(steps) if params["reverse"] else steps:
        own = [_Value(x.value[k], x.origin) for x in stacked]
        results = _run(body.jaxpr, body.consts, [*consts, *carry, *own])
        carry, rows[k] = results[:carried], results[carried:]
    columns = zip(*(rows[k] for k in steps), strict=True)
    return [*carry, *(_stack(column) for column in columns)]


def _stack(column: Sequence[_Value]) -> _Value:
    origin = _worst([x.origin for x in column])
    return _Value(jnp.stack([x.value for x in column]), origin)


def _while(params: Any, args: list[_Value]) -> list[_Value]:
    """A while loop, step by step."""
    n, m = params["cond_nconsts"], params["body_nconsts"]
    asks, consts, carry = args[:n], args[n : n + m], args[n + m :]
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    while bool(_run(cond.jaxpr, cond.consts, [*asks, *carry])[0].value):
        carry = _run(body.jaxpr, body.consts, [*consts, *carry])
    return carry


def _blame(eqn: Any, args: Sequence[_Value], result: Any) -> Origin:
    """Where a result that is not finite comes from: an argument's origin, or this operation."""
    earlier = _worst([x.origin for x in args])
    makes_nan = bool(jnp.isnan(result).any()) and not any(_has_nan(x.value) for x in args)
    if earlier is not None and not (earlier.constant and makes_nan):
        return earlier
    wrong = ~np.isfinite(np.asarray(result))
    return Origin(
        operation=eqn.primitive.name,
        where=_where(eqn),
        scope=str(eqn.source_info.name_stack),
        inputs=tuple(describe(x.value) for x in args),
        output=describe(result),
        place=tuple(int(k) for k in np.argwhere(wrong)[0]),
        size=len(wrong) if wrong.ndim else 0,
        constant=not args,
    )


def _worst(origins: Sequence[Origin | None]) -> Origin | None:
    """The first that is no constant, else the first."""
    there = [origin for origin in origins if origin is not None]
    return next((origin for origin in there if not origin.constant), there[0] if there else None)


def _literal(value: Any) -> _Value:
    if not _is_wrong(value):
        return _Value(value, None)
    return _Value(value, Origin("", "a constant", "", (), describe(value), (), 0, True))


def _argument(name: str, value: Any) -> Origin:
    place = np.argwhere(~np.isfinite(np.asarray(value)))[0]
    place = tuple(int(k) for k in place)
    return Origin("", name, "", (), describe(value), place, len(value) if place else 0, False)


def _is_float(x: Any) -> bool:
    dtype = getattr(x, "dtype", None)
    return isinstance(x, float) or (dtype is not None and jnp.issubdtype(dtype, jnp.floating))


def _is_wrong(x: Any) -> bool:
    return _is_float(x) and not bool(jnp.isfinite(x).all())


def _has_nan(x: Any) -> bool:
    return _is_float(x) and bool(jnp.isnan(x).any())


def describe(x: Any) -> str:
    """An array in words: its type and shape, its range, and what is not finite in it."""
    if not hasattr(x, "shape"):
        return str(x)
    array = np.asarray(x)
    kind = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
    if not _is_float(x) or not array.size:
        return kind
    array = array.astype(np.float64)
    finite = array[np.isfinite(array)]
    words = [f"{finite.min():.6g} to {finite.max():.6g}"] if finite.size else []
    for name, mask in (("NaN", np.isnan(array)), ("infinite", np.isinf(array))):
        words += [f"{int(mask.sum())} of {array.size} {name}"] if mask.any() else []
    return f"{kind}: {', '.join(words)}"


def _where(eqn: Any) -> str:
    """The line that asked for an operation, in the model or in one's own code."""
    frames = list(_frames(eqn))
    own = [frame for frame in frames if not _is_library(frame.file_name)]
    if not (own or frames):
        return "an unknown line"
    frame = (own or frames)[0]
    line = getattr(frame, "line_num", None) or getattr(frame, "start_line", 0)
    return f"{frame.file_name}:{line} ({frame.function_name})"


def _frames(eqn: Any) -> Iterator[Any]:
    traceback = eqn.source_info.traceback
    return iter(() if traceback is None else traceback.frames)


def _is_library(file: str) -> bool:
    parts = pathlib.PurePath(file).parts
    return any(
        before in ("site-packages", "dist-packages") and name in LIBRARIES
        for before, name in itertools.pairwise(parts)
    )
