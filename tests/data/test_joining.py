import dataclasses
import pickle

import numpy as np
import pytest

from jaxrcnn.data.joining import join, name_classes, parse_renames, relabel, rename
from jaxrcnn.data.records import Dataset, make_record


def read_grey(record):
    """An image as grey as its id in its own data set."""
    return np.full((record.height, record.width, 3), record.image_id, np.uint8)


def dataset_of(name, class_names, *images, first_id=0, **fields):
    """Images given by the labels of their boxes; box i begins at i."""
    records = [
        make_record(
            first_id + place,
            f"{name}{place}",
            "",
            (20, 20),
            [[i, 0, i + 4, 4] for i in range(len(labels))],
            labels,
            difficult=[i == 1 for i in range(len(labels))],
            source_id=100 + place,
        )
        for place, labels in enumerate(images)
    ]
    return Dataset(name, tuple(records), class_names, reader=read_grey, **fields)


def boxes_of(dataset):
    """Names of classes and first coordinates of each image's boxes."""
    return [
        [
            (dataset.class_names[label - 1], int(box[0]))
            for label, box in zip(record.labels, record.boxes, strict=True)
        ]
        for record in dataset.records
    ]


def test_pairs_are_split_at_the_last_sign():
    assert parse_renames(("a=b", "x=y=z", " c = d ")) == {"a": "b", "x=y": "z", "c": "d"}


def test_labels_follow_the_names():
    dataset = dataset_of("one", ("a", "b", "c"), (1, 2, 3), (), (2,), category_ids=(5, 7, 9))
    moved = relabel(dataset, ("c", "x", "a"))
    assert boxes_of(moved) == [[("a", 0), ("c", 2)], [], []]
    assert moved.class_names == ("c", "x", "a")
    assert moved.category_ids == (1, 2, 3)
    assert moved.other_boxes == 2
    record = moved.records[0]
    assert record.annotation_ids.tolist() == [1, 3]
    assert record.difficult.tolist() == record.ignore.tolist() == [False, False]
    assert record.labels.dtype == np.int32
    assert len(dataset.records[0].boxes) == 3


def test_several_classes_may_become_one():
    dataset = dataset_of("one", ("a", "b", "c"), (1, 2, 3), source_classes=("a", "b", "c"))
    merged = rename(dataset, {"a": "c", "b": "new", "other": "x"})
    assert merged.class_names == merged.source_classes == ("c", "new")
    assert boxes_of(merged) == [[("c", 0), ("new", 1), ("c", 2)]]
    assert merged.other_boxes == 0


def test_joined_sets_match_their_classes_by_name_and_number_their_images():
    one = dataset_of("one", ("a", "b"), (1, 2), (2,), first_id=30, clipped=1, notes=("odd",))
    two = dataset_of("two", ("c", "b"), (1,), (2, 1), first_id=30, empty_boxes=2, skipped=("x",))
    joined = join((one, two), name_classes((one, two)))
    assert joined.class_names == ("a", "b", "c")
    assert boxes_of(joined) == [
        [("a", 0), ("b", 1)],
        [("b", 0)],
        [("c", 0)],
        [("b", 0), ("c", 1)],
    ]
    assert [record.image_id for record in joined.records] == [1, 2, 3, 4]
    assert [record.source_id for record in joined.records] == [100, 101, 100, 101]
    assert joined.name == "one + two"
    assert (joined.clipped, joined.empty_boxes, joined.skipped) == (1, 2, ("x",))
    assert joined.notes == ("joined from 2 images of one, 2 images of two", "one: odd")


def test_joined_images_are_read_by_their_own_sets():
    one = dataset_of("one", ("a",), (1,), (), first_id=30)
    two = dataset_of("two", ("a",), (), (1,), (), first_id=30)
    joined = pickle.loads(pickle.dumps(join((one, two, one), ("a",))))
    greys = [int(joined.read_image(place)[0, 0, 0]) for place in range(len(joined))]
    assert greys == [30, 31, 30, 31, 32, 30, 31]
    part = dataclasses.replace(joined, records=joined.records[3:5])
    assert int(part.read_image(1)[0, 0, 0]) == 32


def test_names_that_differ_in_case_alone_are_noted():
    one, two = dataset_of("one", ("RBC", "b"), (1,)), dataset_of("two", ("rbc", "c"), (1,))
    joined = join((one, two), name_classes((one, two)))
    assert joined.class_names == ("RBC", "b", "rbc", "c")
    assert joined.notes[1:] == (
        "the classes 'RBC' and 'rbc' differ only in case or spaces: "
        "--config.data.rename 'rbc=RBC' merges them",
    )


def test_transforms_belong_to_the_joined_set():
    one = dataset_of("one", ("a",), (1,), transforms=(lambda sample, record, rng: sample,))
    with pytest.raises(ValueError, match="add them to the result"):
        join((one, one), ("a",))
