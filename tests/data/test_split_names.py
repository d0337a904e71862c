import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.split_names import choose_split, is_split, same_split


@pytest.mark.parametrize("name", ["train", "VALID", "validation", "test", "dev", "val2017"])
def test_names_of_splits(name):
    assert is_split(name)


@pytest.mark.parametrize("name", ["trainer", "all", "images", "2017", ""])
def test_other_names(name):
    assert not is_split(name)


def test_names_that_mean_the_same_split():
    assert same_split("val", "Validation")
    assert same_split("all", "ALL")
    assert not same_split("val", "test")
    assert not same_split("train", "train2017")


def test_the_very_name_is_chosen_or_the_only_one_of_its_meaning():
    assert choose_split("val", ["train", "valid", "val"], "DIR") == "val"
    assert choose_split("val", ["train", "valid"], "DIR") == "valid"


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (["train", "test"], r"^DIR: split val: the splits are 'train', 'test'; name them in"),
        (["valid", "validation"], "the splits are 'valid', 'validation'"),
        ([], "there are no splits"),
    ],
)
def test_the_splits_that_are_there_are_named(found, what):
    with pytest.raises(DataError, match=what):
        choose_split("val", found, "DIR")
