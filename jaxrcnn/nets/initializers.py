"""Initial parameters, drawn as slices of one long vector.

Drawn array by array they are hundreds of small programs, or one whose compilation takes ten
seconds: each array needs its own random bits. Here a network is traced once for its shapes, in
which the initialisers below leave a note of what they would draw, and one program draws it all.
"""

import contextlib
import contextvars
import functools
import math
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.types import Array


class Initializer(NamedTuple):
    """Draws a parameter: `scale` times a standard normal, a uniform one of -1..1, or 1.

    Called as flax calls its own: (key, shape, dtype) for a parameter, (shape, dtype) for a variable
    that is not random.
    """

    distribution: Literal["normal", "uniform", "constant"]
    scale: float
    fan: Literal["in", "out", ""] = ""
    """Divide the scale by the root of the kernel's inputs or outputs, taps included."""

    def __call__(self, *arguments: Any) -> Array:
        """The parameter, or while `plan` traces, zeros in its shape."""
        *key, shape, dtype = arguments
        notes = _NOTES.get()
        if notes is not None:
            noted = jnp.zeros(shape, dtype)
            notes.append((weakref.ref(noted), self))  # a trace of flax's within must not leak
            return noted
        draw = _DRAWS.get(self.distribution)
        values = draw(*key, shape, dtype) if draw else jnp.ones(shape, dtype)
        return values * jnp.asarray(self.scale_for(shape), dtype)

    def scale_for(self, shape: tuple[int, ...]) -> float:
        """The factor for a kernel (..., inputs, outputs)."""
        if not self.fan:
            return self.scale
        *taps, inputs, outputs = shape
        return self.scale / math.sqrt(math.prod(taps) * (inputs if self.fan == "in" else outputs))


_DRAWS = {
    "normal": jax.random.normal,
    "uniform": functools.partial(jax.random.uniform, minval=-1.0),
}

# Caffe2's MSRAFill: normal, variance 2 / fan_out (arXiv 1502.01852).
HE_NORMAL = Initializer("normal", math.sqrt(2), "out")

# Caffe2's XavierFill, in Detectron2's and torchvision's necks and heads: uniform, 1 / fan_in.
XAVIER_UNIFORM = Initializer("uniform", math.sqrt(3), "in")

ZEROS, ONES = Initializer("constant", 0.0), Initializer("constant", 1.0)


def constant(value: float) -> Initializer:
    """This value everywhere."""
    return Initializer("constant", value)


def normal(deviation: float) -> Initializer:
    """Normal with this standard deviation."""
    return Initializer("normal", deviation)


_Notes = list[tuple["weakref.ref[Array]", Initializer]]

_NOTES: contextvars.ContextVar[_Notes | None] = contextvars.ContextVar("notes", default=None)
"""What the initialisers of a trace drew; None outside of `plan`."""


class Plan(NamedTuple):
    """A network's variables, before they are drawn."""

    module: Any
    sample: Any  # what the module is called with, as shapes
    tree: Any  # structure of the variables
    leaves: "tuple[_Leaf, ...]"


class _Leaf(NamedTuple):
    """An array to be drawn. Hashable."""

    shape: tuple[int, ...]
    dtype: Any
    initializer: Initializer | None  # None where flax's own, or a fork's, draws


def plan(module: Any, sample: Any) -> tuple[Plan, Any]:
    """The plan of a network's variables, and the shapes of its outputs.

    Args:
        module: with `init` and `init_with_output` as flax's.
        sample: what the network is called with, or the shapes of it.
    """
    initializers: list[Initializer | None] = []

    def traced(key: Array, sample: Any) -> Any:
        with _notes() as notes:
            outputs, variables = module.init_with_output(key, sample)
        noted = ((array(), initializer) for array, initializer in notes)
        by_array = {id(array): initializer for array, initializer in noted if array is not None}
        initializers.extend(by_array.get(id(leaf)) for leaf in jax.tree.leaves(variables))
        return outputs, variables

    outputs, variables = jax.eval_shape(traced, jax.random.key(0), sample)
    shapes, tree = jax.tree.flatten(variables)
    leaves = tuple(_Leaf(x.shape, x.dtype, y) for x, y in zip(shapes, initializers, strict=True))
    return Plan(module, sample, tree, leaves), outputs


def draw(plans: Mapping[str, Plan], key: Array) -> dict[str, Mapping[str, Any]]:
    """The variables of networks, by the networks' names. Traceable.

    One program draws them all, but for a network with initialisers of flax's or of its own, whose
    `init` does.
    """
    own_key, *keys = jax.random.split(key, 1 + len(plans))
    ours = {name: x for name, x in plans.items() if all(leaf.initializer for leaf in x.leaves)}
    arrays = iter(_draw(tuple(leaf for x in ours.values() for leaf in x.leaves), own_key))
    drawn = {}
    for (name, each), module_key in zip(plans.items(), keys, strict=True):
        if name in ours:
            drawn[name] = jax.tree.unflatten(each.tree, [next(arrays) for _ in each.leaves])
        else:
            zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), each.sample)
            drawn[name] = each.module.init(module_key, zeros)
    return drawn


@contextlib.contextmanager
def _notes() -> Iterator[_Notes]:
    notes: _Notes = []
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


@functools.partial(jax.jit, static_argnums=0)
def _draw(leaves: tuple[_Leaf, ...], key: Array) -> list[Array]:
    """The arrays: one vector of each distribution, cut into pieces."""
    sizes = dict.fromkeys(_DRAWS, 0)
    places = []
    for leaf in leaves:
        distribution = leaf.initializer.distribution if leaf.initializer else ""
        places.append(sizes.get(distribution, 0))
        if distribution in sizes:
            sizes[distribution] += math.prod(leaf.shape)
    keys = jax.random.split(key, len(_DRAWS))
    vectors = {
        name: draw(each, (sizes[name],))
        for (name, draw), each in zip(_DRAWS.items(), keys, strict=True)
    }
    return [_piece(vectors, *each) for each in zip(places, leaves, strict=True)]


def _piece(vectors: Mapping[str, Array], place: int, leaf: _Leaf) -> Array:
    assert leaf.initializer is not None
    scale = jnp.asarray(leaf.initializer.scale_for(leaf.shape), leaf.dtype)
    if leaf.initializer.distribution == "constant":
        return jnp.full(leaf.shape, scale)
    vector = vectors[leaf.initializer.distribution]
    values = vector[place : place + math.prod(leaf.shape)].reshape(leaf.shape)
    return values.astype(leaf.dtype) * scale
