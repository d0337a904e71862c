"""The rows of a box head's last layers, which belong to classes and are kept by the classes' names.

`box_head/cls_score` has a row for the background, label 0, and one for each class;
`box_head/bbox_pred` has four for each class, unless it is class-agnostic.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrcnn.config import ModelConfig
from jaxrcnn.detector import Variables
from jaxrcnn.interop.transfer import path_of
from jaxrcnn.training.workdir import Classes

SCORES, BOXES = "cls_score", "bbox_pred"
WIDTHS = {SCORES: 1, BOXES: 4}
"""Columns of a class in the arrays of a layer."""
MANY = 6
"""Names in a line, before the rest is counted."""


class Rows(NamedTuple):
    """Which rows of the weights' layers those of this model are."""

    number: int  # of the weights' classes
    sources: tuple[int, ...] | None  # by label from 1, the weights' label or 0; None: all as is
    line: str  # what is kept and what is not, for a person; empty where there is nothing to say


def match_rows(
    number: int, theirs: Classes | None, ours: Sequence[str] | None, config: ModelConfig, keep: bool
) -> Rows:
    """Match the classes of weights with those of a run.

    Args:
        number: of the weights' classes.
        theirs: their names, where known.
        ours: the run's, in label order, where known.
        config: of the run.
        keep: whether rows of classes with the same name are kept where the classes differ.
    """
    count = config.num_classes
    if theirs is None or ours is None:
        if number == count:
            unnamed = theirs is None and ours is not None
            said = "in the weights, without names: their rows are taken in the run's order"
            return Rows(number, None, _line(f"{count} {said}") if unnamed else "")
        return Rows(
            number, (0,) * count, _line(f"{number} in the weights, {count} here: {_anew()}")
        )
    labels = {name.strip(): label for label, name in enumerate(theirs.names, start=1)}
    sources = tuple(labels.get(name.strip(), 0) for name in ours)
    if sources == tuple(range(1, number + 1)):
        return Rows(number, None, "")
    if not keep:
        return Rows(
            number,
            (0,) * count,
            _line(f"they differ, and train.init_keep_classes is False: {_anew()}"),
        )
    if not any(sources):
        return Rows(
            number,
            sources,
            _line(f"none of the {number} in the weights has the same name: {_anew()}"),
        )
    kept, drawn = (
        _listed([name for name, label in zip(ours, sources, strict=True) if bool(label) is has])
        for has in (True, False)
    )
    rest = f"those of {drawn} re-initialised" if drawn else "all of them"
    return Rows(number, sources, _line(f"rows of {kept} kept by name, {rest}"))


def _anew() -> str:
    return f"box_head/{SCORES} and box_head/{BOXES} are re-initialised"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more


def _line(text: str) -> str:
    return f"  {'classes':18}  {text}"


def drawn_layers(rows: Rows, config: ModelConfig) -> tuple[str, ...]:
    """The layers that none of the weights' rows goes into, as `is_in` takes parts."""
    if rows.sources is None or any(rows.sources):
        return ()
    boxes = () if config.box_head.class_agnostic else (f"box_head/{BOXES}",)
    return (f"box_head/{SCORES}", *boxes)


def as_in_weights(rows: Rows, like: Variables, config: ModelConfig) -> Variables:
    """The variables, of which the last layers are shapes for the weights' number of classes."""

    def resize(tree_path: Any, x: Any) -> Any:
        layer = _layer(path_of(tree_path), config)
        if layer is None:
            return x
        columns = rows.number * WIDTHS[layer] + (layer == SCORES)
        placing = getattr(x, "sharding", None)
        return jax.ShapeDtypeStruct((*x.shape[:-1], columns), x.dtype, sharding=placing)

    return like if rows.sources is None else jax.tree_util.tree_map_with_path(resize, like)


def with_rows(rows: Rows, loaded: Variables, like: Variables, config: ModelConfig) -> Variables:
    """The loaded variables for the run's classes: rows without a source are those of `like`.

    What `like` has as a shape only stays a shape in the last layers.
    """

    def choose(tree_path: Any, theirs: Any, own: Any) -> Any:
        layer = _layer(path_of(tree_path), config)
        if layer is None:
            return theirs
        if any(isinstance(x, jax.ShapeDtypeStruct) for x in (theirs, own)):
            return own
        merged, theirs = np.array(own), np.asarray(theirs)
        for label, source in enumerate(rows.sources or (), start=1):
            if source:
                merged[..., _columns(layer, label)] = theirs[..., _columns(layer, source)]
        if layer == SCORES:
            merged[..., 0] = theirs[..., 0]  # the background
        return merged

    return (
        loaded if rows.sources is None else jax.tree_util.tree_map_with_path(choose, loaded, like)
    )


def _layer(path: str, config: ModelConfig) -> str | None:
    """The last layer that an array belongs to, if its shape depends on the classes."""
    part, _, rest = path.partition("/")
    layer = rest.partition("/")[0]
    agnostic = layer == BOXES and config.box_head.class_agnostic
    return layer if part == "box_head" and layer in WIDTHS and not agnostic else None


def _columns(layer: str, label: int) -> slice:
    """Those of a class, in the arrays' last axis."""
    first = label if layer == SCORES else 4 * (label - 1)
    return slice(first, first + WIDTHS[layer])
