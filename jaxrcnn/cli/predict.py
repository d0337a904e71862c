"""python -m jaxrcnn predict MODEL IMAGES ... --out DIR [--config.FIELD VALUE ...]"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from jaxrcnn.cli.image_files import file_names, find_images, image_ids
from jaxrcnn.cli.out import make_folder
from jaxrcnn.cli.run import counting, load_model, note, say_checkpoint
from jaxrcnn.cli.test_time import note_on_shapes, read_test_time
from jaxrcnn.config import ConfigError
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.unannotated import open_images
from jaxrcnn.evaluation.coco import ImageDetections, detections_to_coco
from jaxrcnn.evaluation.views import TestTime
from jaxrcnn.fonts import missing_characters
from jaxrcnn.model import Model, check_proposes
from jaxrcnn.visualize import draw_boxes
from jaxrcnn.wording import counted, legible, shortened


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Find, draw and write; exit code 1 where some images cannot be read.

    Raises:
        ConfigError: there are no images or no such model, it makes no proposals, a field cannot be
            changed, --score best has no evaluation to go by, --font is no font, or --out is no
            folder to write to.
        DataError: not one image can be read.
    """
    test_time = read_test_time(arguments)
    images = find_images(arguments.images, arguments.out)
    model = load_model(arguments.model, fields, arguments.pieces, arguments.checkpoint)
    say_checkpoint(model)
    check_proposes(model)
    check_font(arguments.font, model.classes.names)
    lowest = lowest_scores(arguments.score, model)
    faults = FaultLog("skip")
    data = model.config.data
    dataset = open_images(images, *model.classes, faults, data.max_pixels, data.read_timeout)
    check_readable(len(dataset), faults)
    if line := note_on_shapes(dataset, model.config, test_time):
        print(line, flush=True)
    make_own_folder(arguments.out, images)
    found = draw_all(arguments, model, dataset, faults, test_time, lowest)
    check_readable(len(found), faults)
    path = arguments.out / "detections.json"
    write_detections(path, dataset, found, image_ids(images))
    report(arguments, found, faults)
    return 1 if faults.lines else 0


def check_font(font: pathlib.Path | None, names: Sequence[str]) -> None:
    """See that the font can be used; say which characters of the class names it lacks.

    Raises:
        ConfigError: it cannot be used.
    """
    try:
        missing = missing_characters(names, font)
    except ConfigError as error:
        raise ConfigError(f"--font: {error}") from error
    if missing:
        shown = "".join(missing[:20])
        print(
            f"note: class names contain characters that no font has, drawn as boxes: {shown}; "
            "choose a font that has them with --font FILE",
            file=sys.stderr,
        )


def lowest_scores(score: float | Literal["best"], model: Model) -> float | np.ndarray:
    """The lowest score to keep, or that of each class; says where the best ones are from.

    Raises:
        ConfigError: the best ones are asked for, and no evaluation has written them.
    """
    if not isinstance(score, str):
        return score
    lowest, source, notes = model.best_thresholds()
    for line in notes:
        note(line)
    pairs = zip(model.classes.names, lowest.tolist(), strict=True)
    shown = shortened(", ".join(f"{name} {value:.2f}" for name, value in pairs))
    print(legible(f"thresholds  {shown} ({source})"), flush=True)
    return lowest


def check_readable(number: int, faults: FaultLog) -> None:
    """See that some images are left.

    Raises:
        DataError: there are none; says why the first is not.
    """
    if not number:
        asked, first = len(faults.lines), faults.lines[0]
        raise DataError(first if asked == 1 else f"none of the {asked} images can be read: {first}")


def report(
    arguments: argparse.Namespace, found: Mapping[int, ImageDetections], faults: FaultLog
) -> None:
    """Say what could not be read, what was found, and where it lies."""
    for line in faults.lines:
        print(f"error: {line}", file=sys.stderr)
    objects = sum(len(one.labels) for one in found.values())
    images, shown = counted(len(found), "image"), counted(objects, "object")
    least = "the best threshold of its class" if arguments.score == "best" else arguments.score
    print(f"{images}, {shown} with a score of at least {least}")
    print(f"images      {arguments.out}")
    print(f"detections  {arguments.out / 'detections.json'}")


def make_own_folder(out: pathlib.Path, images: Iterable[pathlib.Path]) -> None:
    """Make the folder of the results.

    Raises:
        ConfigError: it cannot be written to, or holds one of the images, which a result of its name
            would overwrite.
    """
    for image in images:
        if os.path.dirname(os.path.realpath(image)) == os.path.realpath(out):
            raise ConfigError(f"--out: {out} holds {image}; take another folder")
    make_folder(out)


def draw_all(
    arguments: argparse.Namespace,
    model: Model,
    dataset: Dataset,
    faults: FaultLog,
    test_time: TestTime,
    lowest: float | np.ndarray,
) -> dict[int, ImageDetections]:
    """Find the objects, and write each image with its boxes as soon as it is searched.

    Returns:
        What is found, by the image's place in the data set.
    """
    names = file_names([record.file for record in dataset.records])
    found = {}
    with counting(len(dataset)) as advance:
        for index, objects in model.find(
            dataset, faults, test_time, score=lowest, batch_size=arguments.batch
        ):
            draw(arguments.out / names[index], dataset, index, objects, arguments.font)
            found[index] = objects
            advance(1)
    return found


def draw(
    path: pathlib.Path,
    dataset: Dataset,
    index: int,
    found: ImageDetections,
    font: pathlib.Path | None = None,
) -> None:
    """Write an image with its boxes, their classes and scores.

    Raises:
        ConfigError: it cannot be written.
    """
    from PIL import Image

    image = dataset.read_image(index)
    drawn = draw_boxes(
        *(image, found.boxes, found.labels, found.scores, dataset.class_names), font=font
    )
    with written_whole(path) as partial:
        Image.fromarray(drawn).save(partial, quality=92)


def write_detections(
    path: pathlib.Path,
    dataset: Dataset,
    found: Mapping[int, ImageDetections],
    ids: Sequence[int],
) -> None:
    """Write detections in COCO's results format, with the names of files and classes, a line each.

    Args:
        path: of the file.
        dataset: of the images, as `open_images` makes it.
        found: by the image's place in the data set.
        ids: image_id by the image's place among those given.

    Raises:
        ConfigError: it cannot be written.
    """
    with written_whole(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write("[")
        for number, row in enumerate(_rows(dataset, found, ids)):
            file.write(("," if number else "") + "\n" + json.dumps(row))
        file.write("\n]\n")


def _rows(
    dataset: Dataset, found: Mapping[int, ImageDetections], ids: Sequence[int]
) -> Iterator[dict[str, Any]]:
    for index in sorted(found):
        record = dataset.records[index]
        own = {"image_id": ids[record.image_id], "file_name": record.name}
        rows = detections_to_coco(dataset, {index: found[index]})
        for row, label in zip(rows, found[index].labels.tolist(), strict=True):
            yield {**row, **own, "category_name": dataset.class_names[label - 1]}


@contextlib.contextmanager
def written_whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A path beside to write to; the file takes the place of `path` when it is whole.

    Raises:
        ConfigError: it cannot be written.
    """
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"--out: {path} cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
