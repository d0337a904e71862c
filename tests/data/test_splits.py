import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.splits import Splits, choose_split, choose_splits, is_split, matching, role_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("train2017", "train"),
        ("VOC2007/trainval", "trainval"),
        ("cells_valid", "val"),
        ("validation", "val"),
        ("validate", "val"),
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
    "name", ["train", "VALID", "validation", "test", "dev", "val2017", "trainval"]
)
def test_names_that_are_nothing_but_splits(name):
    assert is_split(name)


@pytest.mark.parametrize("name", ["trainer", "train_args", "val_interval", "all", "2017", ""])
def test_other_names(name):
    assert not is_split(name)


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


@pytest.mark.parametrize(
    ("split", "found", "names"),
    [
        ("val", ["train", "valid", "val"], ["val"]),
        ("val", ["train", "valid"], ["valid"]),
        ("valid", ["train", "VAL"], ["VAL"]),
        ("Training", ["train", "trainval"], ["train"]),
        ("VOC2007/val", ["VOC2007/valid", "VOC2012/valid"], ["VOC2007/valid"]),
        ("all", ["ALL"], ["ALL"]),
        ("val", ["valid", "validation"], ["valid", "validation"]),
        ("train", ["train2017", "val", "my_train"], []),
        ("val", [], []),
    ],
)
def test_the_very_name_means_a_split_or_else_all_of_its_meaning(split, found, names):
    assert matching(split, found) == names


@pytest.mark.parametrize(
    ("split", "found", "line"),
    [
        (
            "train",
            {"default": "annotations/instances_default.json"},
            "there is no such split; the folder has default "
            "(annotations/instances_default.json); give --config.data.train_splits default",
        ),
        (
            "val",
            {"valid": "a.json", "validation": "b.json"},
            "'valid', 'validation' could all be this split; name one of them in "
            "data.train_splits, data.eval_split or data.test_split",
        ),
        ("val", {}, "there are no splits; check data.root"),
    ],
)
def test_a_split_that_is_not_found_lists_those_that_are_there(split, found, line):
    with pytest.raises(DataError) as error:
        choose_split(split, found, "/x")
    assert str(error.value) == f"/x: split {split}: {line}"


def test_of_many_splits_the_first_are_listed():
    many = {f"s{i}": f"{i}.json" for i in range(12)}
    with pytest.raises(DataError, match=r"s9 \(9\.json\), 2 more; name one of them in data\.train"):
        choose_split("train", many, "/x")
