import pytest

from jaxrcnn.data.coco_categories import number_categories
from jaxrcnn.data.coco_tables import Split
from jaxrcnn.data.errors import DataError


def splits_of(*categories):
    return [
        Split(f"s{place}", f"s{place}.json", "", names, [], None, [])
        for place, names in enumerate(categories)
    ]


def test_labels_follow_ascending_ids_or_the_classes():
    splits = splits_of({90: "dog", 4: "cat", 17: "owl"})
    found = number_categories(splits, ())
    assert found.names == ("cat", "owl", "dog")
    assert (found.ids, found.labels) == ((4, 17, 90), ({90: 3, 4: 1, 17: 2},))
    found = number_categories(splits, ("dog", "cat"))
    assert (found.ids, found.labels) == ((90, 4), ({90: 1, 4: 2},))
    assert set(found.listed) == {"dog", "cat", "owl"}
    assert found.notes == ()


def test_splits_share_names_and_not_always_ids():
    found = number_categories(splits_of({1: "cat", 2: "dog"}, {1: "dog", 5: "emu"}), ())
    assert found.names == ("cat", "dog", "emu")
    assert found.ids == (1, 2, 5)
    assert found.labels == ({1: 1, 2: 2}, {1: 2, 5: 3})
    assert found.notes == ("the splits list different categories, which are matched by name",)


def test_an_id_with_two_meanings_is_numbered_anew():
    found = number_categories(splits_of({7: "cat", 9: "dog"}, {7: "emu"}), ())
    assert found.ids == (1, 2, 3)
    assert found.labels == ({7: 1, 9: 2}, {7: 3})
    assert "an id means different categories" in found.notes[1]


def test_a_class_that_no_split_lists_has_no_objects_and_is_named():
    found = number_categories(splits_of({1: "cat"}), ("dog", "cat"))
    assert (found.names, found.ids, found.labels) == (("dog", "cat"), (-1, 1), ({1: 2},))
    assert found.notes == ("no category is named 'dog': classes without objects",)


def test_fillers_of_torchvision_are_no_classes_of_the_data_unless_it_lists_them():
    classes = ("cat", "N/A 2", "N/A dog")
    found = number_categories(splits_of({1: "cat", 2: "N/A dog"}), classes)
    assert (found.ids, found.labels, found.notes) == ((1, -2, 2), ({1: 1, 2: 3},), ())
    found = number_categories(splits_of({1: "cat", 2: "N/A 2"}), classes)
    assert found.ids == (1, 2, -3)
    assert found.notes == ("no category is named 'N/A dog': classes without objects",)


def test_classes_of_other_data_are_refused():
    with pytest.raises(
        DataError, match=r"s0\.json: .* 'emu' \(the categories are 'cat', 'dog'\); "
    ):
        number_categories(splits_of({1: "cat", 2: "dog"}), ("emu",))
    with pytest.raises(DataError, match=r"'class 1', .*, 70 more \(the categories are 'cat'"):
        number_categories(splits_of({1: "cat"}), tuple(f"class {i}" for i in range(1, 81)))


def test_a_set_without_categories_is_refused():
    with pytest.raises(DataError, match=r"s0\.json: categories: there are none"):
        number_categories(splits_of({}), ("cat",))
