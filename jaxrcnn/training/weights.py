"""A detector's variables alone, in a folder of their own: a model that is not being trained."""

import contextlib
import pathlib
from collections.abc import Collection, Iterator
from typing import Any

import jax
from orbax.checkpoint.experimental import v1 as ocp

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import Variables
from jaxrcnn.training.files import AGAIN, check_whole, write_list
from jaxrcnn.training.modules import is_in

WEIGHTS = "weights"
"""Name of the folder in a model's folder."""


def save_variables(folder: pathlib.Path, variables: Variables) -> None:
    """Write a model's variables; the folder must not hold any."""
    path = (folder / WEIGHTS).resolve()  # orbax wants an absolute path
    ocp.save(str(path), variables)
    write_list(path)


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
        ConfigError: they cannot be read, or do not fit.
    """
    path = (folder / WEIGHTS).resolve()
    check_whole(path)
    with one_line(path):
        saved: Any = ocp.metadata(str(path)).metadata
        if not jax.tree.leaves(saved):
            raise ConfigError(f"{path} cannot be read (it lists no arrays); {AGAIN}")
    check_shapes(path, saved, like, restart)
    with one_line(path):
        loaded = ocp.load(str(path), placed(saved, like, restart))
    return merged(loaded, like, restart)


@contextlib.contextmanager
def one_line(path: pathlib.Path) -> Iterator[None]:
    """Turn whatever orbax raises about a broken file into one error.

    Raises:
        ConfigError: there was such an error.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # what is missing decides which type orbax raises
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}); {AGAIN}") from error


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
