import pytest

from jaxrcnn.data.yolo_description import describes_splits, parse_description


def names(text):
    return parse_description("data.yaml", text).names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names: [cat, 'big dog', 犬]", {0: "cat", 1: "big dog", 2: "犬"}),
        (
            "names:\n- no\n- yes\n- 'on'\n- 7\n- null",
            dict(enumerate(["no", "yes", "on", "7", "null"])),
        ),
        ("names: {3: dog, 1: cat}", {1: "cat", 3: "dog"}),
        ("names: {0: 2024-01-01, 10: 1e3}", {0: "2024-01-01", 10: "1e3"}),
        ("nc: 2\nnames: [a, b]", {0: "a", 1: "b"}),
        ("nc: 5\nnames: {0: a, 4: b}", {0: "a", 4: "b"}),  # numbers up to 4
    ],
)
def test_names_are_text_in_the_order_of_their_numbers(text, expected):
    found = names(text)
    assert list(found.items()) == list(expected.items())


def test_splits_and_path_are_as_written():
    text = "path: ../data\ntrain: images/train\nval: [a, b.txt]\ntest:\nnames: [a]\ndownload: x"
    description = parse_description("data.yaml", text)
    assert description.splits == {"train": ("images/train",), "val": ("a", "b.txt")}
    assert (description.path, description.keypoint_numbers) == ("../data", 0)
    assert parse_description("f", "path: null\nnames: [a]").path == ""


def test_numbers_of_keypoints():
    text = "names: [a]\nkpt_shape: [17, 3]"
    assert parse_description("data.yaml", text).keypoint_numbers == 51


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("train: a", r"there are no class names \(names\)"),
        ("names: []", "there are no class names"),
        ("names: cat", "names is neither a list nor a mapping"),
        ("names: {cat: 0}", "names has the key 'cat', which is not a class number"),
        ("names: {0: a, 00: b}", "names has the same number twice"),
        ("names: {0: a, 0: b}", "names has the key '0' twice"),
        ("names: [a, b, a]", "more than one class is named 'a'"),
        ("names: [a, '']", "the name of class 1 is '', not a name"),
        ("names: [a, [b]]", "name 1 of names is not a single value"),
        ("nc: 3\nnames: [a, b]", "nc is 3, but names has 2"),
        ("nc: [2]\nnames: [a, b]", "nc is not a single value"),
        ("task: OBB\nnames: [a]", "task is obb: oriented boxes are not supported"),
        ("names: [a]\nkpt_shape: 17", "kpt_shape is not a list"),
        ("names: [a]\nkpt_shape: [17, 4]", r"kpt_shape is \[17, 4\], not a number of points"),
        ("names: [a]\ntrain: {a: b}", "a path of train is not a single value"),
        ("names: [a]\ntrain: ['']", "train is '', not a name"),
        ("- a", "the file is not a mapping"),
    ],
)
def test_what_cannot_be_understood_is_named(text, what):
    with pytest.raises(ValueError, match=what):
        parse_description("data.yaml", text)


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("names: [a]\ntrain: x\nval: y\ntest:", ("train", "val")),
        ("names: 7\ntrain: x", ("train",)),  # what is wrong with it is said later
        ("names: [a]", None),
        ("train: x", None),
        ("lr: 0.1", None),
        ("[", None),
    ],
)
def test_a_data_yaml_is_told_from_other_files(text, splits):
    assert describes_splits(text) == splits
