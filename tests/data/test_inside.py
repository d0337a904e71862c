"""File names and links that lead out of a data set's folder, in every format."""

import json
import os
import pathlib

import pytest

from jaxrcnn.config import Config, DataConfig
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.errors import DataError, Invalid
from jaxrcnn.data.inside import Inside
from tests.data import coco_files
from tests.data.test_formats import write_set

FORMATS = ("coco", "voc", "yolo", "imagefolder", "table")


def opened(root, name="coco", **data):
    fields = {"format": name, "root": str(root), "train_splits": ("train",), "eval_split": "train"}
    return open_datasets(Config(data=DataConfig(**fields, **data)), any_classes=True)[0]


def first_image(root):
    return next(path for path in sorted(root.rglob("*")) if path.suffix in (".png", ".jpg"))


def moved(path, folder):
    """A file in another folder; returns where it is now."""
    folder.mkdir(parents=True, exist_ok=True)
    os.rename(path, folder / path.name)
    return folder / path.name


@pytest.mark.parametrize("name", FORMATS)
def test_a_link_out_of_the_folder_is_refused_in_every_format(tmp_path, name):
    root = tmp_path / "set"
    write_set(root, name, "train")
    image = first_image(root)
    target = moved(image, tmp_path / "elsewhere")
    image.symlink_to(target)
    with pytest.raises(DataError) as caught:
        opened(root, name)
    assert caught.value.kind == "image-outside"
    line = str(caught.value)
    assert f"{image}, a link to {target}, is outside of {root}" in line
    assert f"data.image_roots {target.parent}" in line
    assert "\n" not in line
    assert len(opened(root, name, image_roots=(str(target.parent),))) >= 1


@pytest.mark.parametrize("name", FORMATS[:4])  # the images of the table are in the root
def test_a_folder_that_is_a_link_out_of_the_folder_is_refused_in_every_format(tmp_path, name):
    root = tmp_path / "set"
    write_set(root, name, "train")
    folder = first_image(root).parent
    os.rename(folder, tmp_path / "big")
    folder.symlink_to(tmp_path / "big")
    with pytest.raises(DataError, match=r"is outside of .*data\.image_roots"):
        opened(root, name)
    assert len(opened(root, name, image_roots=(str(tmp_path),))) >= 1


@pytest.mark.parametrize("kind", ["..", "absolute"])
def test_a_name_that_leads_out_is_refused_and_the_record_named(tmp_path, kind):
    root = tmp_path / "set"
    coco_files.write(root, coco_files.TABLES)
    target = moved(root / "train/a.png", tmp_path)
    written = "../../a.png" if kind == ".." else str(target)
    tables = coco_files.changed("images", 0, file_name=written)
    (root / "annotations/instances_train.json").write_text(json.dumps(tables))
    with pytest.raises(
        DataError, match=r"instances_train\.json: image 40 \(.*\): the image .*outside of"
    ):
        opened(root)
    train = opened(root, on_error="skip", max_skipped_share=0.5, skip_empty=False)
    assert [record.name for record in train.records] == ["b.png", "c.png"]
    assert [fault.kind for fault in train.faults] == ["image-outside"]
    allowed = opened(root, image_roots=(str(tmp_path),), skip_empty=False)
    assert len(allowed) == 3


@pytest.mark.parametrize("written", ["ROOT/train/a.png", "../train/a.png", "./a.png"])
def test_names_that_stay_inside_may_be_written_in_any_way(tmp_path, written):
    coco_files.write(tmp_path, coco_files.TABLES)
    name = written.replace("ROOT", str(tmp_path))
    tables = coco_files.changed("images", 0, file_name=name)
    (tmp_path / "annotations/instances_train.json").write_text(json.dumps(tables))
    assert len(opened(tmp_path, skip_empty=False)) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_the_folder_itself_may_be_a_link_and_links_inside_it_are_followed(tmp_path, name):
    write_set(tmp_path / "real", name, "train")
    image = first_image(tmp_path / "real")
    image.symlink_to(moved(image, tmp_path / "real/kept"))
    (tmp_path / "set").symlink_to(tmp_path / "real")
    assert len(opened(tmp_path / "set", name)) >= 1


def test_a_folder_whose_name_begins_alike_is_another_folder(tmp_path):
    for name in ("set", "set2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    inside = Inside([str(tmp_path / "set")])
    path = str(tmp_path / "set/a.png")
    assert inside.check(path) == path
    with pytest.raises(Invalid, match=r"set2/a\.png is outside of"):
        inside.check(str(tmp_path / "set2/a.png"))
    assert Inside(["/"]).check(path) == path
    assert Inside([os.path.relpath(tmp_path)]).check(path) == path


def test_yolo_may_name_a_folder_elsewhere_and_images_in_it_stay_there(tmp_path):
    write_set(tmp_path / "set", "yolo", "train")
    pathlib.Path(tmp_path / "big").mkdir()
    for part in ("images", "labels"):
        os.rename(tmp_path / "set" / part, tmp_path / "big" / part)
    (tmp_path / "set/data.yaml").write_text("path: ../big\ntrain: images/train\nnames: [cat]\n")
    (tmp_path / "set/classes.txt").unlink()
    assert len(opened(tmp_path / "set", "yolo")) == 1
    image = first_image(tmp_path / "big")
    image.symlink_to(moved(image, tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="is outside of"):
        opened(tmp_path / "set", "yolo")
