"""The formats of data sets: how each is found and read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxrcnn.config import DataConfig
from jaxrcnn.data import coco_layouts, voc_layouts
from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.voc import read_voc

Names = Sequence[str]


class Format(NamedTuple):
    """How data sets of one format are found and read."""

    title: str
    """What a person calls it."""
    find_splits: Callable[[str, Names], dict[str, str]]
    """Places of the splits by name, {} if there are none; of a root and data.columns."""
    read: Callable[[DataConfig, str, Names, Names], Dataset]
    """The data set; of the config, a root, the names of splits and of classes."""


def _find_coco(root: str, _: Names = ()) -> dict[str, str]:
    return coco_layouts.find_splits(root)


def _read_coco(data: DataConfig, root: str, splits: Names, classes: Names) -> Dataset:
    return read_coco(root, splits, classes, data.on_error, data.max_pixels, data.image_roots)


def _find_voc(root: str, _: Names = ()) -> dict[str, str]:
    return voc_layouts.find_splits(root)


def _read_voc(data: DataConfig, root: str, splits: Names, classes: Names) -> Dataset:
    return read_voc(
        root,
        splits,
        classes,
        keep_difficult=data.keep_difficult,
        on_error=data.on_error,
        one_based=data.voc_one_based,
        max_pixels=data.max_pixels,
        image_roots=data.image_roots,
    )


def _find_yolo(root: str, _: Names = ()) -> dict[str, str]:
    from jaxrcnn.data.yolo import find_splits

    return find_splits(root)


def _read_yolo(data: DataConfig, root: str, splits: Names, classes: Names) -> Dataset:
    from jaxrcnn.data.yolo import read_yolo

    return read_yolo(root, splits, classes, data.on_error, data.max_pixels, data.image_roots)


def _find_image_folder(root: str, _: Names = ()) -> dict[str, str]:
    from jaxrcnn.data.image_folder import find_splits

    return find_splits(root)


def _read_image_folder(data: DataConfig, root: str, splits: Names, classes: Names) -> Dataset:
    from jaxrcnn.data.image_folder import read_image_folder

    given = data.on_error, data.max_pixels, data.image_roots
    return read_image_folder(root, splits, classes, *given)


def _find_table(root: str, columns: Names = ()) -> dict[str, str]:
    from jaxrcnn.data.table import find_splits

    return find_splits(root, columns)


def _read_table(data: DataConfig, root: str, splits: Names, classes: Names) -> Dataset:
    from jaxrcnn.data.table import read_table

    given = data.columns, data.on_error, data.max_pixels, data.image_roots
    return read_table(root, splits, classes, *given)


FORMATS = {
    "coco": Format("COCO", _find_coco, _read_coco),
    "voc": Format("VOC", _find_voc, _read_voc),
    "yolo": Format("YOLO", _find_yolo, _read_yolo),
    "imagefolder": Format("Hugging Face's imagefolder", _find_image_folder, _read_image_folder),
    "table": Format("a table", _find_table, _read_table),
}
"""By data.format. Where a folder is in several, the first that can be trained on is taken."""
