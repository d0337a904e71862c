import dataclasses
from collections import Counter

import numpy as np
import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.held_out import hold_out, note_on_copies, original_name
from jaxrcnn.data.records import Dataset, make_record


def dataset_of(images):
    """A data set from labels by the name of the image."""
    records = [
        make_record(i, name, "", (9, 9), [[0, 0, 4, 4]] * len(labels), labels)
        for i, (name, labels) in enumerate(images.items())
    ]
    return Dataset("set", tuple(records), tuple("abcdefgh"))


def images_with(dataset, places):
    """On how many of these images each label is; 0 stands for images without boxes."""
    return Counter(x for p in places for x in set(dataset.records[p].labels.tolist() or [0]))


@pytest.mark.parametrize("seed", range(5))
def test_every_class_has_its_share_held_out(seed):
    rng = np.random.default_rng(seed)
    chance = (0.9, 0.5, 0.2, 0.05)
    images = {f"{i}.jpg": [k + 1 for k in range(4) if rng.random() < chance[k]] for i in range(400)}
    dataset = dataset_of(images)
    halves = hold_out(dataset, 0.2, seed)
    assert sorted(halves.train + halves.val) == list(range(400))
    assert halves.train == sorted(halves.train)
    assert abs(len(halves.val) - 80) <= 4
    whole, val = (images_with(dataset, places) for places in (range(400), halves.val))
    for label, count in whole.items():
        assert abs(val[label] - 0.2 * count) <= 2, label


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_two_images_has_one_on_either_side(seed):
    images = {f"{i}": [1] for i in range(30)}
    images |= {"a": [1, 2], "b": [2], "c": [3, 1], "d": [3, 4], "e": [4], "f": [], "g": []}
    images |= {"h": [5]}  # a single image of a class is trained on
    dataset = dataset_of(images)
    halves = hold_out(dataset, 0.1, seed)
    for places in halves:
        assert set(images_with(dataset, places)) >= {0, 1, 2, 3, 4}
    assert images_with(dataset, halves.train)[5] == 1


def test_neither_the_order_nor_anything_but_the_seed_changes_the_choice():
    images = {f"{i}.jpg": [1 + i % 3] for i in range(60)}
    turned = dict(reversed(images.items()))

    def names(images, seed):
        dataset = dataset_of(images)
        return {dataset.records[place].name for place in hold_out(dataset, 0.25, seed).val}

    assert names(images, 1) == names(turned, 1)
    assert names(images, 1) != names(images, 2)
    assert len(names(images, 1)) == 15


def test_the_same_images_in_another_format_are_divided_in_the_same_way():
    images = {f"{i}.jpg": [1 + i % 3, 3] for i in range(60)}
    other = {f"train/images/{i}.png": [3 - i % 3, 1] for i in range(60)}
    one, two = dataset_of(images), dataset_of(other)
    two = dataclasses.replace(two, class_names=("c", "b", "a", *"defgh"))
    assert hold_out(one, 0.25, 1) == hold_out(two, 0.25, 1)


def test_copies_of_one_image_stay_together():
    images = {f"p{i}_jpg.rf.{j:032x}.jpg": [1 + i % 2] for i in range(20) for j in range(3)}
    dataset = dataset_of(images)
    halves = hold_out(dataset, 0.2, 0)
    sources = [{dataset.records[p].name.split(".rf.")[0] for p in places} for places in halves]
    assert not sources[0] & sources[1]
    assert len(halves.val) == 12
    assert note_on_copies(dataset) == [
        "60 images are copies of one another and are kept on the same side"
    ]
    assert note_on_copies(dataset_of({"a": [1], "b": [1]})) == []


def test_the_same_image_in_two_folders_stays_together_and_others_of_its_name_do_not():
    twice = dataset_of({f"{folder}/{i}.jpg": [1 + i % 2] for i in range(10) for folder in "ab"})
    halves = hold_out(twice, 0.2, 0)
    sides = [{twice.records[p].name[2:] for p in places} for places in halves]
    assert not sides[0] & sides[1]
    assert note_on_copies(twice) == [
        "20 images are copies of one another and are kept on the same side"
    ]
    folders = dataset_of({f"{i}/image.png": [1] * i for i in range(10)} | {"10/image.png": []})
    assert len(hold_out(folders, 0.2, 0).val) in (2, 3)  # 2.2 of 11
    assert note_on_copies(folders) == []


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("cell_jpg.rf.0a1B2c3D.jpg", "cell_jpg"),
        ("cell_jpg.rf.0a1B2c3D", "cell_jpg"),  # VOC's names have no ending
        ("cell.v2", "cell.v2"),
        ("x/y\\cell.rf.png", "cell.rf"),
        ("one/0001.jpg", "0001"),
        ("cell.jpg", "cell"),
    ],
)
def test_the_name_of_the_original(name, original):
    assert original_name(name) == original


@pytest.mark.parametrize("labels", [([1], [2]), ([], []), ([1], [])])
def test_two_images_are_one_on_either_side(labels):
    halves = hold_out(dataset_of(dict(zip("ab", labels, strict=True))), 0.2, 0)
    assert list(map(len, halves)) == [1, 1]


@pytest.mark.parametrize("images", [{"a": [1]}, {"x/a": [1], "y/a": [1]}])
def test_one_image_cannot_be_divided(images):
    with pytest.raises(DataError, match=r"name a split in data\.eval_split"):
        hold_out(dataset_of(images), 0.2, 0)


def test_a_set_without_images_is_called_so():
    with pytest.raises(DataError, match=r": there are no images; check data\.root"):
        hold_out(dataset_of({}), 0.2, 0)
