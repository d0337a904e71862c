"""Trees of arrays in a folder: written by orbax, and verified by checksums as they are read."""

import contextlib
import errno
import functools
import logging
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint
from orbax.checkpoint.experimental import v1 as ocp

from jaxrcnn.config import ConfigError
from jaxrcnn.training.checksums import (
    Checksum,
    checksum,
    checksums,
    first_difference,
    leaf_name,
    short_name,
)
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.files import AGAIN, FILE, check_whole, first_damaged, write_list
from jaxrcnn.training.hosts import is_first, several
from jaxrcnn.training.mesh import put, whole
from jaxrcnn.training.undisturbed import undisturbed
from jaxrcnn.writing import flush_to_disk

LISTED: Any = {"listed": True}
"""Kept in orbax' own metadata: the folder has a list, and one without it is not of an earlier
format but damaged."""

OVERHEAD, OVERHEAD_EACH = 1 << 16, 1 << 10
"""Bytes of a folder that are not numbers, about, and of each array in it."""


class Saved(NamedTuple):
    """Arrays in a folder, before they are read."""

    path: pathlib.Path
    tree: Any  # of shapes and types
    sums: dict[str, Checksum] | None  # by dotted path; None in an earlier format
    origin: dict[str, Any] | None  # where the arrays come from


def host_copy(tree: Any) -> Any:
    """A copy of a tree in host memory, which keeps its numbers when the arrays are given away.

    All processes of a run call this, since the parts of an array that others hold are fetched. The
    first has the copy, and the others have None in the place of each array.
    """
    own = is_first()

    def copied(array: Any) -> np.ndarray | None:
        array = whole(array)  # one at a time: a device need not have room for all
        # On a CPU, numpy's array is jax' own memory, which the next step writes over.
        return np.array(array, copy=True) if own else None

    return jax.tree.map(copied, tree)


def write_arrays(path: pathlib.Path, tree: Any, origin: Mapping[str, Any] | None = None) -> None:
    """Write a tree of arrays to a folder that is not there yet, with their checksums.

    Raises:
        Exception: orbax' own; the folder may be left there in part.
    """
    _check_place(path, tree)
    with quiet():
        (_save_alone if several() else _save)(path, tree)
    write_list(path, checksums(tree), origin)
    flush_to_disk([*path.rglob("*"), path])  # orbax leaves some of its files to the system


def _save(path: pathlib.Path, tree: Any) -> None:
    # Trained numbers hardly become smaller, and training waits for the cores that compress them.
    saving = ocp.options.ArrayOptions.Saving(use_compression=False)
    with ocp.Context(array_options=ocp.options.ArrayOptions(saving=saving)):
        ocp.save(str(path), tree, custom_metadata=LISTED)


def _save_alone(path: pathlib.Path, tree: Any) -> None:
    """Save as one of several processes, of which the others do something else meanwhile.

    `ocp.save` would wait for them; orbax' older way writes what it reads as its own.
    """
    options = orbax.checkpoint.options.MultiprocessingOptions(**_alone())
    handler = orbax.checkpoint.CompositeCheckpointHandler(
        composite_options=orbax.checkpoint.CompositeOptions(multiprocessing_options=options),
        state=orbax.checkpoint.PyTreeCheckpointHandler(
            multiprocessing_options=options, use_compression=False
        ),
    )
    with orbax.checkpoint.Checkpointer(handler, multiprocessing_options=options) as checkpointer:
        save = orbax.checkpoint.args.PyTreeSave(tree)
        arguments = orbax.checkpoint.args.Composite(state=save)
        checkpointer.save(path, args=arguments, custom_metadata=LISTED)


def open_arrays(path: pathlib.Path) -> Saved:
    """What a folder holds, once all of its files are there and as they were written.

    Raises:
        CheckpointError: it is damaged; names the file and, if it is in that, the array.
    """
    listed = check_whole(path)
    # Before orbax reads them: what it and tensorstore say of damaged files fills a screen.
    damaged = listed and first_damaged(path, listed.files)
    if listed and damaged:
        leaf = short_name(_first_damaged_array(path, listed.leaves))
        raise CheckpointError(f"{damaged} is damaged{leaf and f' (array {leaf})'}; {AGAIN}")
    with undisturbed(), one_line(path), quiet(), alone():
        metadata: Any = ocp.metadata(str(path))
        tree, own = metadata.metadata, metadata.custom_metadata or {}
        if listed is None and own.get("listed"):
            raise CheckpointError(f"{path / FILE}: No such file or directory; {AGAIN}")
        if not jax.tree.leaves(tree):
            raise CheckpointError(f"{path} cannot be read (it lists no arrays); {AGAIN}")
    if listed is None:
        return Saved(path, tree, None, None)
    return Saved(path, tree, listed.leaves or None, listed.origin)


def read_arrays(saved: Saved, wanted: Any) -> Any:
    """The arrays of a folder, of which each that has a checksum is compared with it.

    Args:
        saved: of `open_arrays`.
        wanted: the tree, with arrays or their shapes, which give type and placing, or
            `ocp.PLACEHOLDER` for those that are not to be read.

    Raises:
        CheckpointError: they are damaged; names the first array.
    """
    there = {
        leaf_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(saved.tree)
    }
    asked = jax.tree_util.tree_map_with_path(
        lambda path, like: _as_saved(there.get(leaf_name(path)), like), wanted
    )
    with undisturbed(), one_line(saved.path), quiet(), alone():
        loaded = ocp.load(str(saved.path), asked)
    if saved.sums is not None:
        wrong = first_difference(loaded, saved.sums)
        if wrong:
            raise CheckpointError(f"{saved.path}: {wrong}; {AGAIN}")
    return jax.tree.map(_as_wanted, loaded, wanted)


def read_all(path: pathlib.Path) -> Any:
    """All arrays of a folder in host memory, verified.

    Raises:
        CheckpointError: they are damaged.
    """
    saved = open_arrays(path)
    return read_arrays(saved, jax.tree.map(_host_shape, saved.tree))


@contextlib.contextmanager
def one_line(path: pathlib.Path) -> Iterator[None]:
    """Turn whatever orbax raises about a broken file into one error.

    Raises:
        CheckpointError: there was such an error.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # what is missing decides which type orbax raises
        reason = type(error).__name__
        raise CheckpointError(f"{path} cannot be read ({reason}); {AGAIN}") from error


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep orbax from waiting for other processes, each of which reads for itself."""
    if several():
        options = ocp.options.MultiprocessingOptions(**_alone())
        with ocp.Context(multiprocessing_options=options):
            yield
    else:
        yield


def _alone() -> dict[str, Any]:
    me = jax.process_index()
    return {
        "primary_host": me,
        "active_processes": {me},
        "barrier_sync_key_prefix": f"jaxrcnn_{me}",
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep orbax from logging: what goes wrong is said by the error, in one line."""
    log = logging.getLogger("absl")  # orbax', and that of others

    def is_of_others(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    # For good: asyncio speaks of a task that failed when its memory is freed, which is later, and
    # tensorstore's threads speak of what was written when nobody waits for it any more.
    logging.getLogger("asyncio").addFilter(_is_no_task_of_orbax)
    _ignore_closed_loops()
    log.addFilter(is_of_others)
    try:
        yield
    finally:
        log.removeFilter(is_of_others)


def _check_place(path: pathlib.Path, tree: Any) -> None:
    """See that a folder can be made and that a tree fits on the disk.

    Where one of these fails later, the threads of orbax and tensorstore print traces.

    Raises:
        OSError: it cannot be made, or there is no room.
    """
    path.mkdir()
    path.rmdir()
    needed = OVERHEAD + sum(x.nbytes + OVERHEAD_EACH for x in jax.tree.leaves(tree))
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _is_no_task_of_orbax(record: logging.LogRecord) -> bool:
    return "orbax" not in record.getMessage()


def _ignore_closed_loops() -> None:
    """Print no trace where a thread calls an event loop that orbax has closed after an error."""
    report = sys.unraisablehook
    if getattr(report, "func", None) is not _report_others:
        sys.unraisablehook = functools.partial(_report_others, report)


def _report_others(report: Callable[[Any], object], unraisable: Any) -> None:
    error = unraisable.exc_value
    if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
        report(unraisable)


def _as_saved(there: Any, like: Any) -> Any:
    """What orbax is to read: the array as it was saved, since that is what the checksum is of."""
    if like is ocp.PLACEHOLDER or there is None:
        return like
    return like if like.dtype == there.dtype and not _is_shared(like) else _host_shape(there)


def _host_shape(there: Any) -> Any:
    """An array of a shape and type without memory of its own: orbax reads another like it."""
    return np.broadcast_to(np.zeros((), there.dtype), there.shape)


def _as_wanted(loaded: Any, like: Any) -> Any:
    """A loaded array in the type and place that is wanted."""
    if like is ocp.PLACEHOLDER or (loaded.dtype == like.dtype and not _is_shared(like)):
        return loaded
    cast = np.asarray(loaded).astype(like.dtype)
    return cast if isinstance(like, np.ndarray) else put(cast, like.sharding)


def _is_shared(like: Any) -> bool:
    """Whether an array is on the devices of several processes, each of which reads all of it."""
    placing = getattr(like, "sharding", None)
    return placing is not None and not placing.is_fully_addressable


def _first_damaged_array(path: pathlib.Path, sums: Mapping[str, Checksum]) -> str:
    """The name of the first array that is not as it was saved; empty if none is, or if all are.

    Read by tensorstore, one at a time: orbax' readers print what becomes of those that are left
    when one fails.
    """
    import tensorstore

    base = {"driver": "file", "path": f"{path / 'state'}/"}
    good, bad = False, ""
    for name, known in sums.items():
        store = {"driver": "ocdbt", "base": base, "path": f"{name}/"}
        try:
            array = tensorstore.open({"driver": "zarr3", "kvstore": store}).result().read().result()
            is_good = checksum(array) == known
        except Exception:  # the type depends on what is damaged
            is_good = False
        good, bad = good or is_good, bad or ("" if is_good else name)
        if good and bad:
            return bad
    return ""
