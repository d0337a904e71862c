import json
import sys
import types

import pytest

from jaxrcnn.config import DataConfig
from jaxrcnn.data import formats
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.formats import FORMATS
from tests.data import coco_files, voc_files
from tests.data.folders import write

DATA = DataConfig(
    keep_difficult=True,
    on_error="skip",
    voc_one_based=False,
    max_pixels=7,
    columns=("image=x",),
    image_roots=("more",),
)


class Recorder:
    """A module whose functions return what they were called with."""

    def __getattr__(self, name):
        return lambda *given, **named: (name, *given, named)


@pytest.mark.parametrize(
    ("name", "module", "reader", "given", "named"),
    [
        ("coco", "", "read_coco", ("skip", 7, ("more",)), {}),
        (
            "voc",
            "",
            "read_voc",
            (),
            {
                "keep_difficult": True,
                "on_error": "skip",
                "one_based": False,
                "max_pixels": 7,
                "image_roots": ("more",),
            },
        ),
        ("yolo", "yolo", "read_yolo", ("skip", 7, ("more",)), {}),
        ("imagefolder", "image_folder", "read_image_folder", ("skip", 7, ("more",)), {}),
        ("table", "table", "read_table", (("image=x",), "skip", 7, ("more",)), {}),
    ],
)
def test_fields_of_the_config_reach_every_reader(monkeypatch, name, module, reader, given, named):
    recorder = Recorder()
    monkeypatch.setattr(formats, "read_coco", recorder.read_coco)
    monkeypatch.setattr(formats, "read_voc", recorder.read_voc)
    if module:
        stub = types.ModuleType(module)
        stub.__dict__.update(
            {reader: getattr(recorder, reader), "find_splits": lambda root, *_: root}
        )
        monkeypatch.setitem(sys.modules, f"jaxrcnn.data.{module}", stub)
        assert FORMATS[name].find_splits("root") == "root"
    found = FORMATS[name].read(DATA, "root", ("train",), ("a",))
    assert found == (reader, "root", ("train",), ("a",), *given, named)


def test_every_format_but_the_drawn_one_has_a_reader():
    kinds = set(DataConfig.__annotations__["format"].__args__)
    assert set(FORMATS) == kinds - {"shapes", "auto"}


def write_set(root, name, split):
    """A data set of one split in a format."""
    if name == "coco":
        coco_files.write(root, coco_files.TABLES, split, split)
    elif name == "voc":
        voc_files.write(root, {"p1": voc_files.SIZE + voc_files.item()}, split)
    elif name == "yolo":
        label = f"labels/{split}/a.txt"
        files = {"classes.txt": "cat", label: "0 0.5 0.5 0.5 0.5"}
        write(root, files, [f"images/{split}/a.png"])
    elif name == "imagefolder":
        entry = {"file_name": "a.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": ["cat"]}}
        write(root, {f"{split}/metadata.jsonl": json.dumps(entry)}, [f"{split}/a.png"])
    else:
        rows = "filename,class,xmin,ymin,xmax,ymax\na.png,cat,1,2,3,4\n"
        write(root, {f"{split}.csv": rows}, ["a.png"])


@pytest.mark.parametrize("name", FORMATS)
def test_a_split_is_read_by_every_name_of_its_meaning(tmp_path, name):
    write_set(tmp_path, name, "valid")
    for split in ("valid", "val", "Validation"):
        dataset = FORMATS[name].read(DataConfig(), str(tmp_path), (split,), ())
        assert len(dataset) > 0
        assert dataset.name == split
    with pytest.raises(DataError, match=r"split test: there is no such split; the folder has va"):
        FORMATS[name].read(DataConfig(), str(tmp_path), ("test",), ())


@pytest.mark.parametrize("name", FORMATS)
def test_hidden_files_and_folders_hold_no_data_set(tmp_path, name):
    write_set(tmp_path, name, "train")
    assert list(FORMATS[name].find_splits(str(tmp_path))) == ["train"]
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rename(path.with_name(f".{path.name}"))
    assert FORMATS[name].find_splits(str(tmp_path)) == {}


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_mac_adds_to_an_archive_is_not_seen(tmp_path, name):
    write_set(tmp_path / "__MACOSX", name, "train")
    write_set(tmp_path / "train" / "__MACOSX", name, "train")
    write_set(tmp_path / "images" / "__MACOSX", name, "train")
    assert FORMATS[name].find_splits(str(tmp_path)) == {}
