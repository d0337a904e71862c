import dataclasses

import numpy as np
import pytest

from jaxrcnn.data import fingerprint
from jaxrcnn.data.fingerprint import differences, take_fingerprint
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.synthetic import shapes_dataset

BOXES = {"a.jpg": [[1, 2, 30, 40], [5, 5, 9, 9]], "b.jpg": [], "c.jpg": [[0, 0, 7.5, 8]]}
LENGTHS = {"a.jpg": 10, "b.jpg": 20, "c.jpg": 30}


def dataset_of(folder, boxes=BOXES, **fields):
    """Images of a folder in order; their files hold as many bytes as `LENGTHS` says."""
    folder.mkdir(exist_ok=True)
    for name, length in LENGTHS.items():
        if not (folder / name).exists():
            (folder / name).write_bytes(b"x" * length)
    records = tuple(
        make_record(place, name, str(folder / name), (60, 80), rows, [1] * len(rows))
        for place, (name, rows) in enumerate(boxes.items(), 1)
    )
    return Dataset("train", records, **{"class_names": ("cat", "dog"), **fields})


@pytest.fixture
def dataset(tmp_path):
    return dataset_of(tmp_path / "images")


def changed(dataset, place, **fields):
    records = list(dataset.records)
    records[place] = dataclasses.replace(records[place], **fields)
    return dataclasses.replace(dataset, records=tuple(records))


def compare(one, other):
    """What differs, and whether the digests do."""
    before, after = take_fingerprint(one), take_fingerprint(other)
    found = differences(before, after)
    assert (before.digest != after.digest) == bool(found)
    return found


def test_it_holds_the_names_and_the_bytes_of_the_files(dataset):
    found = take_fingerprint(dataset)
    assert found.classes == ("cat", "dog")
    assert dict(zip(found.names, found.sizes, strict=True)) == LENGTHS
    assert len(set(found.annotations)) == 3


def test_the_same_data_in_another_place_are_the_same(tmp_path, dataset):
    assert compare(dataset, dataset_of(tmp_path / "moved")) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("boxes", np.array([[1, 2, 30, 40.001], [5, 5, 9, 9]], np.float32)),
        ("boxes", np.array([[5, 5, 9, 9], [1, 2, 30, 40]], np.float32)),
        ("labels", np.array([1, 2], np.int32)),
        ("ignore", np.array([False, True])),
        ("crowd", np.array([True, False])),
        ("difficult", np.array([True, False])),
        ("area", np.array([1, 2], np.float32)),
        ("height", 61),
        ("width", 81),
        ("as_stored", True),
    ],
)
def test_every_part_of_an_annotation_counts(dataset, field, value):
    found = compare(dataset, changed(dataset, 0, **{field: value}))
    assert found == ["1 image with other annotations ('a.jpg')"]


@pytest.mark.parametrize("field", ["image_id", "source_id", "annotation_ids"])
def test_what_formats_number_by_themselves_does_not(dataset, field):
    value = np.array([8, 9]) if field == "annotation_ids" else 77
    assert compare(dataset, changed(dataset, 0, **{field: value})) == []


def test_a_box_that_went_to_the_next_image_is_noticed(tmp_path, dataset):
    other = dataset_of(tmp_path / "images", {**BOXES, "a.jpg": [], "b.jpg": BOXES["a.jpg"]})
    assert compare(dataset, other) == ["2 images with other annotations ('a.jpg', 'b.jpg')"]


def test_new_missing_and_longer_files_are_counted_with_the_first_names(tmp_path, dataset):
    (tmp_path / "images" / "c.jpg").write_bytes(b"x" * 31)
    before = take_fingerprint(dataset)._replace(sizes=(10, 20, 30))
    boxes = {"c.jpg": BOXES["c.jpg"], **{f"{n}.jpg": [] for n in "defgh"}}
    after = take_fingerprint(dataset_of(tmp_path / "images", boxes))
    assert differences(before, after) == [
        "5 new images ('d.jpg', 'e.jpg', 'f.jpg', 2 more)",
        "2 missing images ('a.jpg', 'b.jpg')",
        "1 image of another file size ('c.jpg')",
    ]


def test_another_order_and_other_classes_are_said(tmp_path, dataset):
    backwards = dict(reversed(BOXES.items()))
    found = compare(dataset, dataset_of(tmp_path / "images", backwards))
    assert found == ["the images are in another order"]
    found = compare(dataset, dataclasses.replace(dataset, class_names=("dog", "cat")))
    assert found == ["the classes are 'dog', 'cat', not 'cat', 'dog'"]


def test_images_of_one_name_are_told_apart_by_their_order(dataset):
    twice = dataclasses.replace(dataset, records=(dataset.records[0],) * 2)
    once = dataclasses.replace(dataset, records=dataset.records[:1])
    assert compare(twice, twice) == []
    assert compare(twice, once) == ["1 missing image ('a.jpg')"]
    other = changed(twice, 1, labels=np.array([2, 2], np.int32))
    assert compare(twice, other) == ["1 image with other annotations ('a.jpg')"]


def test_a_large_set_is_looked_at_in_parts(dataset, monkeypatch):
    whole = take_fingerprint(dataset)
    monkeypatch.setattr(fingerprint, "AT_ONCE", 2)
    assert take_fingerprint(dataset) == whole


def test_a_file_that_is_gone_and_one_that_can_not_be_have_no_bytes(tmp_path, dataset):
    (tmp_path / "images" / "b.jpg").unlink()
    assert take_fingerprint(changed(dataset, 2, file="a\0b")).sizes == (10, 0, 0)


def test_names_that_are_no_text_have_a_digest(dataset):
    one, other = (changed(dataset, 0, name=name) for name in ("\udcff", "\ud800"))
    assert compare(one, one) == []
    assert take_fingerprint(one).digest != take_fingerprint(other).digest


def test_a_set_without_images_or_without_boxes_has_one():
    empty = Dataset("none", (), ("cat",))
    assert take_fingerprint(empty).names == ()
    bare = Dataset("bare", (make_record(1, "a", "", (4, 4), [], []),), ("cat",))
    assert len(take_fingerprint(bare).annotations) == 1


def test_drawn_sets_are_the_same_where_their_fields_are():
    assert compare(shapes_dataset(4, 0), shapes_dataset(4, 0)) == []
    assert compare(shapes_dataset(4, 0), shapes_dataset(4, 1))
    assert compare(shapes_dataset(4, 0), shapes_dataset(5, 0))
