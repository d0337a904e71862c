"""Proposals on disk: one compressed .npz for a data set, so that others can train on them."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.sample import ImageProposals
from jaxrcnn.opening import open_file

if TYPE_CHECKING:
    import zipfile

    from jaxrcnn.data.records import Dataset

VERSION = 1
REMEDY = "write it again with python -m jaxrcnn proposals WORKDIR --dump FILE"


class StoredProposals(NamedTuple):
    """What a file holds: the proposals of n images, one after the other, M in all."""

    image_ids: np.ndarray  # (n,) int64, as Record.image_id
    file_names: np.ndarray  # (n,) str, as Record.name
    sizes: np.ndarray  # (n, 2) int32, height and width of the original image
    offsets: np.ndarray  # (n + 1,) int64; image i has the rows offsets[i] to offsets[i + 1]
    boxes: np.ndarray  # (M, 4) float32, xyxy in pixels of the original image
    scores: np.ndarray  # (M,) float32, objectness logits, best first in each image

    def of(self, index: int) -> ImageProposals:
        """The proposals of image `index`, counted from 0."""
        rows = slice(self.offsets[index], self.offsets[index + 1])
        return ImageProposals(self.boxes[rows], self.scores[rows])


MAX_GROWTH = 100
SLACK = 2**28
"""How many times larger than packed, or else how many bytes, the arrays of a file may be."""

TYPES = (np.int64, np.str_, np.int32, np.int64, np.float32, np.float32)
"""Of the elements of StoredProposals' arrays."""


def write_proposals(
    path: str | os.PathLike[str], dataset: "Dataset", proposals: Mapping[int, ImageProposals]
) -> None:
    """Write proposals of a data set.

    Args:
        path: of the file, by custom with the ending .npz.
        dataset: all its images are written, in its order.
        proposals: by the image's place in the data set; an image that is missing has none.
    """
    stored = join_proposals(dataset, proposals)
    with open(path, "wb") as file:  # by a name alone, numpy would append .npz to some
        np.savez_compressed(file, version=np.int64(VERSION), **stored._asdict())


def join_proposals(dataset: "Dataset", proposals: Mapping[int, ImageProposals]) -> StoredProposals:
    """What `write_proposals` writes of the same arguments, in memory."""
    nothing = ImageProposals(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    found = [proposals.get(index, nothing) for index in range(len(dataset))]
    return StoredProposals(
        *_images(dataset),
        offsets=np.cumsum([0, *(len(one.scores) for one in found)], dtype=np.int64),
        boxes=np.concatenate([nothing.boxes, *(one.boxes for one in found)]),
        scores=np.concatenate([nothing.scores, *(one.scores for one in found)]),
    )


def read_proposals(
    path: str | os.PathLike[str], dataset: "Dataset | None" = None
) -> StoredProposals:
    """Read and check a file of proposals.

    Args:
        path: of a file that `write_proposals` wrote.
        dataset: if given, the file must be of these images, in this order, so that an image's
            place in the data set is its place in the file.

    Raises:
        DataError: the file is missing, torn, of another kind or version, inconsistent, or for
            other images.
    """
    stored = _load(path)
    problem = _shape_problem(stored) or _value_problem(stored)
    if problem is None and dataset is not None:
        problem = _other_images(stored, dataset)
    if problem is not None:
        raise _fault(path, problem)
    return stored


def _images(dataset: "Dataset") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image ids, file names and sizes, as they are stored."""
    return (
        np.array([record.image_id for record in dataset.records], np.int64),
        np.array([record.name for record in dataset.records], np.str_),
        dataset.sizes.astype(np.int32),
    )


def _load(path: str | os.PathLike[str]) -> StoredProposals:
    try:
        with open_file(path) as file, np.load(file, allow_pickle=False) as arrays:
            _check_growth(arrays.zip)
            found = {name: _array(arrays[name]) for name in arrays}
    except OSError as error:
        raise _fault(path, f"cannot be read ({error.strerror or error})") from error
    except Exception as error:  # what is torn or no .npz makes numpy raise nearly any type
        raise _fault(path, "is torn, or no .npz file") from error
    missing = [name for name in ("version", *StoredProposals._fields) if name not in found]
    if missing:
        raise _fault(path, f"holds no proposals: it has no array '{missing[0]}'")
    version = found.pop("version")
    if not np.array_equal(version, VERSION):
        raise _fault(path, f"is of version {version}, this program reads {VERSION}")
    return StoredProposals(**{name: found[name] for name in StoredProposals._fields})


def _check_growth(archive: "zipfile.ZipFile") -> None:
    """ValueError where unpacking would take far more memory than the file has bytes."""
    members = archive.infolist()
    packed = sum(member.compress_size for member in members)
    if sum(member.file_size for member in members) > max(MAX_GROWTH * packed, SLACK):
        raise ValueError("a zip bomb")


def _array(value: object) -> np.ndarray:
    """The same, if it is an array: numpy gives other parts of an archive as bytes."""
    if not isinstance(value, np.ndarray):
        raise TypeError("no array")
    return value


def _shape_problem(stored: StoredProposals) -> str | None:
    """What is wrong about the arrays' types and shapes, if anything."""
    n, total = stored.image_ids.size, stored.scores.size
    shapes = ((n,), (n,), (n, 2), (n + 1,), (total, 4), (total,))
    for name, array, kind, shape in zip(stored._fields, stored, TYPES, shapes, strict=True):
        if not np.issubdtype(array.dtype, kind) or array.shape != shape:
            found = f"{array.dtype.name} {array.shape}"
            return f"its array '{name}' is {found} instead of {np.dtype(kind).name} {shape}"
    return None


def _value_problem(stored: StoredProposals) -> str | None:
    """What is wrong about the arrays' values, if anything."""
    ends = (stored.offsets[0], stored.offsets[-1])
    if ends != (0, len(stored.boxes)) or (np.diff(stored.offsets) < 0).any():
        return f"its offsets do not share its {len(stored.boxes)} boxes out among the images"
    for index, (image_id, size) in enumerate(zip(stored.image_ids, stored.sizes, strict=True)):
        boxes, scores = stored.of(index)
        # Each says what is right, since a comparison with NaN is false.
        inside = (boxes >= 0) & (boxes <= size[[1, 0, 1, 0]])
        upright = boxes[:, :2] <= boxes[:, 2:]
        if not (inside.all() and upright.all()):
            return f"image {image_id} has a box that is inverted or not in the image"
        if not (np.isfinite(scores).all() and (scores[1:] <= scores[:-1]).all()):
            return f"image {image_id} has scores that are not numbers from the best to the worst"
    return None


def _other_images(stored: StoredProposals, dataset: "Dataset") -> str | None:
    """The first difference from the data set's images, if any."""
    if len(stored.image_ids) != len(dataset):
        return (
            f"has proposals for {len(stored.image_ids)} images, "
            f"{dataset.name} has {len(dataset)} of them"
        )
    rows = zip(stored.image_ids, stored.file_names, *stored.sizes.T, strict=True)
    for row, record in zip(rows, dataset.records, strict=True):
        wanted = (record.image_id, record.name, record.height, record.width)
        if row != wanted:
            return f"is for other images than {dataset.name}: {_say(*row)}, not {_say(*wanted)}"
    return None


def _say(image_id: int, name: str, height: int, width: int) -> str:
    return f"image {image_id} ({name}, {width}x{height})"


def _fault(path: str | os.PathLike[str], what: str) -> DataError:
    return DataError(" ".join(f"{os.fspath(path)}: {what}; {REMEDY}".split()))
