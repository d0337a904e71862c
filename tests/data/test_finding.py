import json

import pytest
from PIL import Image

from jaxrcnn.data import finding
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.finding import describe, explain, find_all, find_format
from jaxrcnn.data.formats import FORMATS
from tests.data import coco_files, voc_files


def write_voc(root, *splits):
    for split in splits:
        voc_files.write(root, {"p1": voc_files.SIZE + voc_files.item()}, split)


def test_the_only_format_is_taken(tmp_path):
    write_voc(tmp_path, "train", "val")
    found = find_format(str(tmp_path))
    assert found.format == "voc"
    assert found.root == str(tmp_path)
    assert found.splits == {x: f"ImageSets/Main/{x}.txt" for x in ("train", "val")}
    assert found.lines == (f"{tmp_path}: VOC (ImageSets/Main/train.txt)",)


def test_of_two_formats_the_first_is_taken_and_the_other_is_named(tmp_path):
    write_voc(tmp_path, "train")
    coco_files.write(tmp_path, coco_files.TABLES)
    found = find_format(str(tmp_path))
    assert found.format == "coco"
    assert found.lines == (
        f"{tmp_path}: COCO (annotations/instances_train.json); also there: VOC "
        "(ImageSets/Main/train.txt), which --config.data.format voc reads",
    )


def test_a_format_without_a_training_split_comes_after_one_that_has_it(tmp_path):
    write_voc(tmp_path, "train", "val")
    coco_files.write(tmp_path, coco_files.TABLES, "test")
    assert find_format(str(tmp_path)).format == "voc"
    assert list(find_all(str(tmp_path))) == ["coco", "voc"]


def test_the_order_of_the_formats_decides(tmp_path, monkeypatch):
    found = {
        name: form._replace(find_splits=lambda *_: {"all": "x"}) for name, form in FORMATS.items()
    }
    monkeypatch.setattr(finding, "FORMATS", found)
    for name in ("coco", "voc", "yolo", "imagefolder", "table"):
        assert find_format(str(tmp_path)).format == name
        found[name] = found[name]._replace(find_splits=lambda *_: {})


def test_an_archive_that_was_unpacked_a_folder_too_deep_is_read(tmp_path):
    write_voc(tmp_path / "cells", "train")
    for name in ("README.md", ".DS_Store"):
        (tmp_path / name).write_text("")
    (tmp_path / "__MACOSX").mkdir()
    found = find_format(str(tmp_path))
    assert (found.root, found.format) == (str(tmp_path / "cells"), "voc")
    assert found.lines[0] == f"{tmp_path} itself has no data set, so {tmp_path / 'cells'} is read"


def test_one_of_several_folders_is_not_guessed(tmp_path):
    write_voc(tmp_path / "cells", "train")
    (tmp_path / "notes").mkdir()
    with pytest.raises(DataError) as error:
        find_format(str(tmp_path))
    assert str(error.value) == (
        f"{tmp_path}: no data set was recognised: it contains the folder cells/ (a data set, "
        f"VOC: name {tmp_path / 'cells'} instead), the folder notes/; docs/data.md describes the "
        "formats that are read"
    )


def test_a_failed_guess_says_what_is_there(tmp_path):
    for name in ("a.jpg", "b.PNG"):
        Image.new("RGB", (4, 3)).save(tmp_path / name)
    for name in ("a.txt", "b.txt", "c.log", "LICENSE"):
        (tmp_path / name).write_text("")
    (tmp_path / "annotations.xml").write_text("<annotations/>")
    (tmp_path / "more").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "more" / "c.jpg")
    assert describe(str(tmp_path)) == (
        "no data set was recognised: it contains 2 images, 2 .txt files, 1 other file, 1 .xml "
        "file, 1 .log file, the folder more/ (1 image); annotations.xml is CVAT's XML; export as "
        "COCO 1.0; docs/data.md describes the formats that are read"
    )


def test_an_empty_folder_and_a_missing_one_are_called_so(tmp_path):
    assert "the folder is empty" in describe(str(tmp_path))
    with pytest.raises(DataError, match=r"none: there is no such folder; check data\.root"):
        find_format(str(tmp_path / "none"))
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(DataError, match=r"result\.json: data\.root is a file; give the folder"):
        find_format(str(tmp_path / "result.json"))


def test_the_error_of_a_reader_names_the_format_that_is_there(tmp_path):
    write_voc(tmp_path, "train")
    error = DataError("x: cannot be read")
    assert str(explain(error, str(tmp_path), "coco")) == (
        "x: cannot be read; the folder contains VOC (ImageSets/Main/train.txt): "
        "--config.data.format voc"
    )
    assert explain(error, str(tmp_path), "voc") is error
    (tmp_path / "empty").mkdir()
    said = str(explain(error, str(tmp_path / "empty"), "coco"))
    assert said.startswith("x: cannot be read; no data set was recognised: the folder is empty")


def test_hostile_files_are_no_data_set_and_no_error(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train").mkdir()
    for name in ("annotations/a.json", "b.json", "c.xml", "train/d.xml", "train/e.json"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00<<{[" + bytes(range(256)))
    (tmp_path / "f.json").write_text(json.dumps({"images": 1}))
    (tmp_path / "g.json").mkdir()
    (tmp_path / "h.json").symlink_to(tmp_path / "nowhere")
    assert find_all(str(tmp_path)) == {}


def test_a_folder_in_a_folder_in_a_folder_is_read(tmp_path):
    write_voc(tmp_path / "export" / "my project" / "v2", "train")
    found = find_format(str(tmp_path))
    assert found.root == str(tmp_path / "export" / "my project" / "v2")
    assert found.lines[0] == f"{tmp_path} itself has no data set, so {found.root} is read"


def test_images_alone_are_called_so(tmp_path):
    (tmp_path / "cats").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "cats" / "c.jpg")
    said = "; there are only images, and no file says where objects are on them; docs"
    assert "it contains the folder cats/ (1 image)" + said in describe(str(tmp_path))
    (tmp_path / "labels.csv").write_text("a,b")
    assert said not in describe(str(tmp_path))


def test_a_folder_that_cannot_be_read_is_not_called_empty(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(finding.os, "listdir", refuse)
    assert describe(str(tmp_path)) == "the folder cannot be read (Permission denied)"


def test_files_of_data_sets_in_folders_are_not_called_foreign(tmp_path):
    label = "0 0.5 0.5 0.1 0.1"
    for name in "ab":
        (tmp_path / name / "images").mkdir(parents=True)
        (tmp_path / name / "labels").mkdir()
        (tmp_path / name / "labels" / "a.txt").write_text(label)
    said = describe(str(tmp_path))
    assert f"the folder a/ (a data set, YOLO: name {tmp_path / 'a'} instead)" in said
    assert "label file" not in said
