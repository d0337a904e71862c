"""A detector's variables alone, in a folder of their own: a model that is not being trained."""

import pathlib
from collections.abc import Collection
from typing import Any

import jax
from orbax.checkpoint.experimental import v1 as ocp

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import Variables
from jaxrcnn.training.arrays import open_arrays, read_arrays, write_arrays
from jaxrcnn.training.modules import is_in

WEIGHTS = "weights"
"""Name of the folder in a model's folder."""


def save_variables(folder: pathlib.Path, variables: Variables) -> None:
    """Write a model's variables; the folder must not hold any."""
    write_arrays((folder / WEIGHTS).resolve(), variables)  # orbax wants an absolute path


def holds_weights(folder: pathlib.Path) -> bool:
    """Whether it is a model's folder, and not a run's."""
    return (folder / WEIGHTS).is_dir()


def load_variables(
    folder: pathlib.Path, like: Variables, restart: Collection[str] = ()
) -> dict[str, Any]:
    """A model's variables.

    Args:
        folder: the model's.
        like: variables; give structure, shapes and placing.
        restart: parts that are not read, and are those of `like`.

    Raises:
        CheckpointError: they are damaged.
        ConfigError: they do not fit.
    """
    saved = open_arrays((folder / WEIGHTS).resolve())
    check_shapes(saved.path, saved.tree, like, restart)
    return merged(read_arrays(saved, placed(saved.tree, like, restart)), like, restart)


def check_shapes(where: object, saved: Any, like: Any, restart: Collection[str] = ()) -> None:
    """See that two trees, of variables or of a whole state, have the same arrays.

    Args:
        where: what is saved, for the error.
        saved, like: the trees.
        restart: parts of variables that do not matter.

    Raises:
        ConfigError: a difference; names the first.
    """
    there, here = (_shapes(tree, restart) for tree in (saved, like))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise ConfigError(
                f"{where} does not fit this model: {name} is "
                f"{there.get(name, 'nothing')} there, {here.get(name, 'nothing')} here"
            )


def placed(saved: Variables, like: Variables, restart: Collection[str] = ()) -> Any:
    """What orbax is to load: the arrays of `like` in the tree that is saved, and no others."""
    wanted = _leaves(like)

    def choose(path: Any, _: Any) -> Any:
        name = _name(path)
        return ocp.PLACEHOLDER if _restarts(name, restart) else wanted.get(name, ocp.PLACEHOLDER)

    return jax.tree_util.tree_map_with_path(choose, saved)


def merged(loaded: Variables, like: Variables, restart: Collection[str] = ()) -> dict[str, Any]:
    """The loaded arrays in the structure of `like`, whose own stay in the parts to restart."""
    arrays = _leaves(loaded)

    def choose(path: Any, own: Any) -> Any:
        name = _name(path)
        return own if _restarts(name, restart) else arrays[name]

    return dict(jax.tree_util.tree_map_with_path(choose, like))


def _restarts(name: str, restart: Collection[str]) -> bool:
    return is_in(name.partition("/")[2], restart)  # behind the collection


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _leaves(tree: Any) -> dict[str, Any]:
    return {_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def _shapes(tree: Any, restart: Collection[str]) -> dict[str, Any]:
    return {name: x.shape for name, x in _leaves(tree).items() if not _restarts(name, restart)}
