import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.data.splits import Splits, choose_splits, missing_split, role_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("train2017", "train"),
        ("VOC2007/trainval", "trainval"),
        ("cells_valid", "val"),
        ("validation", "val"),
        ("dev", "val"),
        ("TEST", "test"),
        ("default", ""),
        ("trains", ""),
        ("latest", ""),
        ("train_val", ""),
    ],
)
def test_the_role_of_a_split_is_a_word_in_its_name(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "val"], Splits(("train",), "val", "")),
        (["train", "valid", "test"], Splits(("train",), "valid", "test")),
        (["test", "train", "trainval", "val"], Splits(("train",), "val", "test")),  # bccd
        (["train2017", "val2017"], Splits(("train2017",), "val2017", "")),
        (["training", "validation"], Splits(("training",), "validation", "")),
        (["Train", "Dev"], Splits(("Train",), "Dev", "")),
        (["train", "test"], Splits(("train",), "", "test")),
        (["trainval", "test"], Splits(("trainval",), "", "test")),
        (["trainval", "val", "test"], Splits(("trainval",), "", "test")),  # val is part of it
        (["train"], Splits(("train",), "", "")),
        (["default"], Splits(("default",), "", "")),
        (["all"], Splits(("all",), "", "")),
        (["train", "train2017", "val"], Splits(("train",), "val", "")),
        (["train", "val", "extra"], Splits(("train",), "val", "")),
        (["VOC2007/train", "VOC2007/val"], Splits(("VOC2007/train",), "VOC2007/val", "")),
    ],
)
def test_splits_are_chosen_by_their_names(names, expected):
    assert choose_splits(names) == expected


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b"], ["'a', 'b'", "--config.data.train_splits"]),
        (["val"], ["'val'", "--config.data.train_splits"]),
        (["val", "test"], ["'val', 'test'"]),
        ([], ["--config.data.train_splits"]),
        (["train2014", "train2017"], ["'train2014', 'train2017'", "--config.data.train_splits"]),
        (["train", "val2014", "val2017"], ["'val2014', 'val2017'", "--config.data.eval_split"]),
        (["train", "test_a", "test_b"], ["'test_a', 'test_b'", "--config.data.test_split"]),
    ],
)
def test_what_is_not_clear_is_asked_for(names, words):
    with pytest.raises(ConfigError) as error:
        choose_splits(names)
    assert all(word in str(error.value) for word in words)


def test_a_missing_split_lists_those_that_are_there():
    found = {"default": "annotations/instances_default.json"}
    assert str(missing_split("/x", "train", found)) == (
        "/x: split train: there is no such split; the folder has default "
        "(annotations/instances_default.json); give --config.data.train_splits default"
    )
    many = {f"s{i}": f"{i}.json" for i in range(12)}
    line = str(missing_split("/x", "train", many))
    assert "s9 (9.json), 2 more; name one of them in data.train_splits" in line
