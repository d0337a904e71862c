import json

import numpy as np
import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.held_out import Halves
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.split_file import FILE, copy_split, has_split, read_split, write_split


def dataset_of(names):
    records = [
        make_record(i, name, "", (9, 9), np.zeros((0, 4)), ()) for i, name in enumerate(names)
    ]
    return Dataset("set", tuple(records), ("a",))


def test_what_was_written_is_read(tmp_path):
    dataset = dataset_of(["a", "犬", "c"])
    write_split(tmp_path / "run", dataset, Halves([0, 2], [1]), 7, 0.25)
    tree = json.loads((tmp_path / "run" / FILE).read_text(encoding="utf-8"))
    assert tree == {"seed": 7, "share": 0.25, "train": ["a", "c"], "val": ["犬"]}
    assert [path.name for path in (tmp_path / "run").iterdir()] == [FILE]
    assert not has_split(tmp_path / "run")  # no run has begun
    (tmp_path / "run" / "config.json").write_text("{}")
    assert has_split(tmp_path / "run")
    (tmp_path / "run" / "config.json").rename(tmp_path / "run" / "study.json")
    assert has_split(tmp_path / "run")
    (tmp_path / "run" / FILE).rename(tmp_path / FILE)
    assert not has_split(tmp_path / "run")
    (tmp_path / FILE).rename(tmp_path / "run" / FILE)
    assert read_split(tmp_path / "run", dataset) == (Halves([0, 2], [1]), [])
    assert read_split(tmp_path / "run", dataset_of(["犬", "c", "a"]))[0] == Halves([1, 2], [0])


def test_new_images_are_left_out_and_said(tmp_path):
    write_split(tmp_path, dataset_of(["a", "b"]), Halves([0], [1]), 0, 0.5)
    halves, lines = read_split(tmp_path, dataset_of(["a", "new", "b", "newer"]))
    assert halves == Halves([0], [2])
    assert lines == [
        f"2 images (the first: new) newer than {tmp_path / FILE} left out; another --workdir "
        "includes them"
    ]


def test_images_that_are_gone_are_an_error(tmp_path):
    write_split(tmp_path, dataset_of(["a", "b", "c"]), Halves([0], [1, 2]), 0, 0.5)
    with pytest.raises(DataError) as error:
        read_split(tmp_path, dataset_of(["a", "c"]))
    assert str(error.value) == (
        f"{tmp_path / FILE}: image b: 1 image (the first: b) missing from the data set; "
        "bring them back, start a new run in another --workdir, or resume this one without them "
        "with --config.train.on_changed_data continue"
    )


def test_images_that_are_gone_are_left_out_where_that_is_asked_for(tmp_path):
    write_split(tmp_path, dataset_of(["a", "b", "c", "d"]), Halves([0, 3], [1, 2]), 0, 0.5)
    halves, _ = read_split(tmp_path, dataset_of(["c", "d"]), without_missing=True)
    assert halves == Halves([1], [0])


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "[" * 100_000, '{"train": ["a"]}', '{"train": ["a"], "val": []}'),
        *('{"train": "a", "val": ["b"]}', '{"train": [1], "val": ["b"]}'),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DataError, match=r"split\.json: the images held out: it cannot be read"):
        read_split(tmp_path, dataset_of(["a", "b"]))


def test_a_copy_replaces_nothing(tmp_path):
    dataset = dataset_of(["a", "b"])
    copy_split(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    write_split(tmp_path, dataset, Halves([0], [1]), 0, 0.5)
    copy_split(tmp_path, tmp_path / "run")
    assert read_split(tmp_path / "run", dataset)[0] == Halves([0], [1])
    write_split(tmp_path, dataset, Halves([1], [0]), 0, 0.5)
    copy_split(tmp_path, tmp_path / "run")
    assert read_split(tmp_path / "run", dataset)[0] == Halves([0], [1])
