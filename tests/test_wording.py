"""Numbers in messages."""

import pytest

from jaxrcnn.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (1, ("image",), "1 image"),
        (0, ("image",), "0 images"),
        (2, ("label file",), "2 label files"),
        (1, ("class", "classes"), "1 class"),
        (3, ("class", "classes"), "3 classes"),
    ],
)
def test_the_noun_agrees_with_the_number(number, words, text):
    assert counted(number, *words) == text
