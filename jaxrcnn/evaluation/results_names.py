"""Which image and which class the detections of a file are of, in the many ways to say it."""

import itertools
import os
import pathlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrcnn.data.errors import DataError, quoted
from jaxrcnn.data.records import Dataset
from jaxrcnn.wording import counted, shortened


def find_images(
    path: pathlib.Path, rows: Sequence[dict[str, Any]], dataset: Dataset
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The place of each detection's image in the data set, (D,) int, and a note on file names.

    Raises:
        DataError: an image is not in the data set.
    """
    wanted = [str(row["image_id"]) for row in rows]
    files = [str(row.get("file_name", "")) for row in rows]
    by_id = [str(record.source_id) for record in dataset.records]
    names = [record.name for record in dataset.records]
    ids = _places(wanted, by_id)
    try:
        for known in (names, [record.file for record in dataset.records]):
            if (named := find_by_path(files, known, ids)) is not None:
                differ = ids is None or not np.array_equal(named, ids)
                return named, ("images are matched by file_name",) if rows and differ else ()
        if ids is not None:
            return ids, ()
        stems = [os.path.splitext(name)[0] for name in names]
        for known in (names, stems):
            if (found := find_by_path(wanted, known)) is not None:
                return found, ()
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if len(set(by_id)) < len(by_id):
        raise DataError(
            f"{path}: image ids are ambiguous, because the annotations of {dataset.name} use some "
            "of them twice; evaluate each split or folder separately"
        )
    there = set(by_id)
    unknown = list(dict.fromkeys(name for name in wanted if name not in there))
    share = f"{len(unknown)} of {counted(len(set(wanted)), 'image')}"
    raise DataError(
        f"{path}: {share} not found in {dataset.name}: the first has image_id "
        f"{quoted(unknown[:1])}, but the ids are {_some(by_id)}; to use another split, set "
        "--config.data.eval_split"
    )


def _places(wanted: Sequence[str], known: Sequence[str]) -> np.ndarray | None:
    """Where names are among those that are known; None where one is not, or some are the same."""
    places = {name: place for place, name in enumerate(known)}
    if len(places) < len(known) or not set(wanted) <= places.keys():
        return None
    return np.array([places[name] for name in wanted], np.int64)


def find_by_path(
    wanted: Sequence[str], known: Sequence[str], ids: np.ndarray | None = None
) -> np.ndarray | None:
    """Places (D,) int of the images that paths refer to, even if they begin with other folders.

    A path refers to the image whose own path agrees with it over the most components, counted from
    the end.

    Args:
        wanted: a path for each detection, with slashes or backslashes.
        known: the paths of the images.
        ids: (D,) places of the images with the detections' ids, to choose among images that match
            a path equally well.

    Returns:
        The places; None if a path's file name is not that of any image.

    Raises:
        ValueError: a path matches several images, or several paths match the same one.
    """
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    parts = [_parts(path) for path in known]
    for place, own in enumerate(parts):
        if own:
            by_name[own[-1]].append(place)
    found: dict[str, list[int]] = {}
    for path in dict.fromkeys(wanted):
        own = _parts(path)
        shared = {place: _common(own, parts[place]) for place in by_name.get("".join(own[-1:]), ())}
        if not shared:
            return None
        most = max(shared.values())
        longest = [place for place, number in shared.items() if number == most]
        found[path] = [place for place in longest if parts[place] == own] or longest
    places = []
    for number, path in enumerate(wanted):
        one = found[path]
        if len(one) > 1 and ids is not None and ids[number] in one:
            one = [int(ids[number])]
        if len(one) > 1:
            images = " or ".join(quoted([known[x]]) for x in one[:2])
            raise ValueError(f"{quoted([path])} could be {images}; include more of its folders")
        places += one
    _check_different(wanted, places, known)
    return np.array(places, np.int64)


def _check_different(wanted: Sequence[str], places: Sequence[int], known: Sequence[str]) -> None:
    """See that no two paths mean the same image."""
    first: dict[int, str] = {}
    for path, place in dict.fromkeys(zip(wanted, places, strict=True)):
        other = first.setdefault(place, path)
        if _parts(other) != _parts(path):
            raise ValueError(
                f"{quoted([other])} and {quoted([path])} could both be {quoted([known[place]])}; "
                "remove the detections of other images"
            )


def _parts(path: str) -> tuple[str, ...]:
    """The names in a path."""
    return pathlib.PurePosixPath(path.replace("\\", "/")).parts


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many names two paths have in common at their ends."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def find_labels(
    path: pathlib.Path, rows: Sequence[dict[str, Any]], dataset: Dataset
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The label of each detection, (D,) int, and a note where category_id is not used as it is.

    Raises:
        DataError: a class is not in the data set.
    """
    in_order = sorted(range(len(dataset.category_ids)), key=lambda k: dataset.category_ids[k])
    names: Mapping[Any, int] = {name: k for k, name in enumerate(dataset.class_names, 1)}
    ids: Mapping[Any, int] = {key: k for k, key in enumerate(dataset.category_ids, 1)}
    wanted = [row["category_id"] for row in rows]
    named = [row.get("category_name", row["category_id"]) for row in rows]
    if named and all(isinstance(name, str) and name in names for name in named):
        notes = ("classes are matched by name",)
        differ = any(ids.get(key) != names[name] for key, name in zip(wanted, named, strict=True))
        return np.array([names[name] for name in named], np.int64), notes if differ else ()
    if wrong := [key for key in wanted if isinstance(key, bool) or not isinstance(key, int | str)]:
        raise DataError(f"{path}: category_id {shortened(repr(wrong[0]))} is not a whole number")
    if set(wanted) <= ids.keys():
        return np.array([ids[key] for key in wanted], np.int64), ()
    for first in (0, 1):
        places = {number: k + 1 for number, k in enumerate(in_order, first)}
        if set(wanted) <= places.keys():
            note = (
                f"category_id is read as a position from {first} among the {len(places)} "
                f"categories, sorted by id: {first} is "
                f"{dataset.class_names[in_order[0]]} (id {dataset.category_ids[in_order[0]]})"
            )
            return np.array([places[number] for number in wanted], np.int64), (note,)
    unknown = next(key for key in wanted if key not in ids)
    known = [f"{key} ({name})" for name, key in zip(dataset.class_names, ids, strict=True)]
    raise DataError(
        f"{path}: category_id {shortened(repr(unknown))} is not a category of {dataset.name}, "
        f"which has {_some(known)}"
    )


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = [f"{len(names) - 5} more"] if len(names) > 6 else names[5:]
    return ", ".join([*names[:5], *more])
