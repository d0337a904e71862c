"""Folders of arrays that a disk or a copy has damaged, one file at a time."""

import collections
import pathlib
import shutil
from collections.abc import Callable, Iterator

import jax
import numpy as np

from jaxrcnn.training.errors import CheckpointError

Harm = Callable[[pathlib.Path], object]


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def flip(place, bit=0):
    def apply(path):
        content = bytearray(path.read_bytes())
        content[place] ^= 1 << bit
        path.write_bytes(content)

    return apply


def spoil(folder):
    """Flip a bit in the middle of a folder's largest file; its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    path = max(files, key=lambda path: path.stat().st_size)
    flip(path.stat().st_size // 2)(path)
    return path


HARMS: dict[str, Harm] = {
    "deleted": pathlib.Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a folder": replace_by_folder,
}


def harms(folder, flips, seed=0) -> Iterator[tuple[str, str, Harm]]:
    """What may happen to each file: its path in the folder, the kind of harm, and the harm.

    Args:
        folder: of the files.
        flips: bytes of each file in which a bit is flipped, all if there are fewer.
        seed: of the bits.
    """
    rng = np.random.default_rng(seed)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, size = path.relative_to(folder).as_posix(), path.stat().st_size
        for kind, harm in HARMS.items():
            if size or kind in ("deleted", "a folder"):
                yield name, kind, harm
        for place in np.unique(np.linspace(0, size - 1, min(flips, size), dtype=int)):
            yield name, "flipped", flip(int(place), int(rng.integers(8)))


def outcomes(folder, read, expected, flips, scratch, keep=lambda number: True):
    """What comes of reading a damaged folder: counts of (file, kind of harm, outcome).

    An outcome is "found", with one line, or "harmless", with the arrays that were written. Anything
    else is an error, of the test.

    Args:
        folder: whole.
        read: reads a folder; gives a tree of arrays.
        expected: the tree that was written.
        flips: see `harms`.
        scratch: a folder to copy to.
        keep: whether to try the harm of a number.
    """
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for number, (name, kind, harm) in enumerate(harms(folder, flips)):
        if not keep(number):
            continue
        copy = scratch / folder.name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        harm(copy / name)
        counts[name, kind, outcome(read, copy, expected)] += 1
    return counts


def outcome(read, folder, expected):
    try:
        tree = read(folder)
    except CheckpointError as error:
        assert_one_line(error)
        return "found"
    assert_same_bits(tree, expected)
    return "harmless"


def assert_one_line(error):
    said = str(error)
    assert "\n" not in said
    assert len(said) <= 300 + said.count("/tmp/") * 120, said  # of a test's long paths


def assert_same_bits(tree, expected):
    assert jax.tree.structure(tree) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=True):
        assert ours.dtype == theirs.dtype
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()
