"""python -m jaxrcnn predict WORKDIR PICTURE... --out DIR"""

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

import jax
import numpy as np

from jaxrcnn.cli.parsing import share
from jaxrcnn.cli.run import Run, check_proposes, load_run, progress_bar
from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset, Record, make_record
from jaxrcnn.detector import forward_infer
from jaxrcnn.evaluation.coco import PictureDetections, detections_to_coco
from jaxrcnn.evaluation.evaluate import Found, find
from jaxrcnn.types import Array, Batch, Detections
from jaxrcnn.visualize import draw_boxes

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WORKDIR PICTURE... --out DIR [--score SCORE]."""
    parser.add_argument(
        "workdir", metavar="WORKDIR", type=pathlib.Path, help="folder of a run, as train.py left it"
    )
    parser.add_argument(
        "pictures", metavar="PICTURE", type=pathlib.Path, nargs="+", help="picture files"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=pathlib.Path, required=True, help="folder to write to"
    )
    parser.add_argument(
        "--score",
        type=share,
        default=0.5,
        help="lowest score of a detection that is kept (default: %(default)s); those below the "
        "run's model.detections.score_threshold are never found",
    )


def main(arguments: argparse.Namespace) -> int:
    """Find, draw and write; exit code 1 where some pictures cannot be read.

    Raises:
        ConfigError: there is no such run, it makes no proposals, or --out is no folder to write to.
        DataError: not one picture can be read.
    """
    run = load_run(arguments.workdir)
    check_proposes(run)
    make_folder(arguments.out, arguments.pictures)
    dataset, unread = open_pictures(arguments.pictures, run)
    found = find_all(run, dataset)
    unread += found.unread
    if not found.detections:
        raise DataError("no picture can be read: " + "; ".join(unread))
    for line in unread:
        print(f"error: {line}", file=sys.stderr)
    kept = {index: _above(arguments.score, one) for index, one in sorted(found.detections.items())}
    write(arguments.out, dataset, kept)
    objects = sum(len(one.labels) for one in kept.values())
    print(f"{len(kept)} pictures, {objects} objects with a score of at least {arguments.score}")
    print(
        f"pictures    {arguments.out}", f"detections  {arguments.out / 'detections.json'}", sep="\n"
    )
    return 1 if unread else 0


def make_folder(out: pathlib.Path, pictures: Iterable[pathlib.Path]) -> None:
    """Make the folder of the results.

    Raises:
        ConfigError: it cannot be made, or holds one of the pictures, which a result of its name
            would overwrite.
    """
    for picture in pictures:
        if picture.resolve().parent == out.resolve():
            raise ConfigError(f"--out: {out} holds {picture}; take another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out: {out} cannot be made ({error.strerror})") from error


def open_pictures(pictures: Sequence[pathlib.Path], run: Run) -> tuple[Dataset, tuple[str, ...]]:
    """A data set of picture files without boxes, and a line for each that cannot be opened."""
    records, unread = [], []
    for number, picture in enumerate(pictures, 1):
        try:
            size = _upright_size(picture)
        except DataError as error:
            unread.append(str(error))
        else:
            name = str(picture)
            records.append(make_record(number, name, name, size, np.zeros((0, 4)), (), ()))
    dataset = Dataset("pictures", tuple(records), run.classes.names, run.classes.ids, read_upright)
    return dataset, tuple(unread)


def _upright_size(path: pathlib.Path) -> tuple[int, int]:
    """Height and width as the picture is to be looked at; only its header is read."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as picture:
            width, height = picture.size
            sideways = picture.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
    except Exception as error:  # a broken file makes Pillow raise nearly any type
        raise _unreadable(path, error) from error
    return (width, height) if sideways else (height, width)


def read_upright(record: Record) -> np.ndarray:
    """The picture as it is to be looked at, turned as its EXIF tag says: (H, W, 3) uint8 RGB.

    Raises:
        DataError: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(record.file) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except Exception as error:  # a broken file makes Pillow's decoders raise nearly any type
        raise _unreadable(record.file, error) from error


def _unreadable(path: str | os.PathLike[str], error: Exception) -> DataError:
    from PIL import UnidentifiedImageError

    what = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        what = "no picture, or of a kind that Pillow does not know"
    return DataError(" ".join(f"{path}: {what}".split()))


def find_all(run: Run, dataset: Dataset) -> Found:
    """What the run's detector finds; pictures that cannot be decoded are left out."""
    data = replace(run.config.data, on_error="skip", workers=0)
    infer = jax.jit(forward_infer, static_argnums=0)

    def detect(batch: Batch) -> tuple[Detections, dict[str, Array]]:
        batch = run.programs.put_batch(batch)
        return infer(run.detector, run.variables, batch.images, batch.image_sizes), {}

    with progress_bar(detect, len(dataset)) as predict:
        return find(predict, dataset, replace(run.config, data=data))


def _above(score: float, found: PictureDetections) -> PictureDetections:
    kept = found.scores >= score
    return PictureDetections(*(values[kept] for values in found))


def write(out: pathlib.Path, dataset: Dataset, found: dict[int, PictureDetections]) -> None:
    """Write detections.json and each picture with its boxes."""
    from PIL import Image

    names = {record.image_id: record.name for record in dataset.records}
    rows = [
        {**row, "file_name": names[row["image_id"]]} for row in detections_to_coco(dataset, found)
    ]
    (out / "detections.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    files = file_names([dataset.records[index].file for index in found])
    for name, (index, (boxes, scores, labels)) in zip(files, found.items(), strict=True):
        drawn = draw_boxes(dataset.read_image(index), boxes, labels, scores, dataset.class_names)
        Image.fromarray(drawn).save(out / name, quality=92)


def file_names(pictures: Iterable[str]) -> list[str]:
    """A file name for each picture's result: its own stem, numbered from the second time on.

    A JPEG gives a JPEG, everything else a PNG. Upper and lower case count as the same, as they do
    on some file systems.
    """
    names: list[str] = []
    taken: set[str] = set()
    for picture in map(pathlib.Path, pictures):
        ending = ".jpg" if picture.suffix.lower() in (".jpg", ".jpeg") else ".png"
        stem, number = picture.stem, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{picture.stem}_{number}"
        taken.add(stem.casefold())
        names.append(stem + ending)
    return names
