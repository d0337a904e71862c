"""Which image and which class the detections of a file are of, in the many ways to say it."""

import pathlib
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
    files = [pathlib.PurePath(str(row.get("file_name", ""))).name for row in rows]
    by_id = [str(record.source_id) for record in dataset.records]
    paths = [pathlib.PurePath(record.name) for record in dataset.records]
    names, stems = [path.name for path in paths], [path.stem for path in paths]
    ids = _places(wanted, by_id)
    if (named := _places(files, names)) is not None:
        differ = ids is None or not np.array_equal(named, ids)
        return named, ("images are matched by file_name",) if rows and differ else ()
    for found in (ids, _places(wanted, names), _places(wanted, stems)):
        if found is not None:
            return found, ()
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
