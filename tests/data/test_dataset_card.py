import pytest

from jaxrcnn.data.dataset_card import read_class_names
from tests.data.folders import write

LABEL = """
      dtype:
        class_label:
          names:
            '0': cat
            '1': no
            '10': emu
"""
CARD = f"""---
license: mit
dataset_info:
  features:
  - name: image
    dtype: image
  - name: objects
    sequence:
    - name: bbox
      sequence: float32
      length: 4
    - name: categories{LABEL.replace("10", "2")}---

# Pets
---
"""


def names(root, text):
    write(root, {"README.md": text})
    return read_class_names(str(root))


def test_names_of_a_class_label(tmp_path):
    assert names(tmp_path, CARD) == ("cat", "no", "emu")
    assert names(tmp_path, CARD.replace("\n", "\r\n")) == ("cat", "no", "emu")
    listed = "---\ndataset_info:\n- features: {class_label: {names: [a, b]}}\n---\n"
    assert names(tmp_path, listed) == ("a", "b")


def test_one_list_in_several_places_is_one(tmp_path):
    label = "{class_label: {names: [a]}}"
    assert names(tmp_path, f"---\ndataset_info: [{label}, {label}]\n---\n") == ("a",)
    other = "{class_label: {names: [b]}}"
    assert names(tmp_path, f"---\ndataset_info: [{label}, {other}]\n---\n") == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Pets\n",
        "---\nlicense: mit\n",
        "---\nlicense: mit\n---\n",
        "---\n: [\n---\n",
        CARD.replace("'2'", "'7'"),
        CARD.replace("dataset_info", "info"),
        "---\ndataset_info: &a [*a]\n---\n",
        f"---\ndataset_info: {'[' * 400}{']' * 400}\n---\n",
        b"---\n\xff\n---\n",
    ],
)
def test_a_card_that_says_something_else_names_no_classes(tmp_path, text):
    assert names(tmp_path, text) == ()


def test_without_a_card_there_are_no_names(tmp_path):
    assert read_class_names(str(tmp_path)) == ()
