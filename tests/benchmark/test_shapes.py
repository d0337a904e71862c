import argparse

import pytest

from jaxrcnn.benchmark.shapes import Shape, shape


def test_a_shape_is_images_height_and_width():
    assert shape("16x800x1344") == Shape(16, 800, 1344)
    assert str(Shape(16, 800, 1344)) == "16x800x1344"


@pytest.mark.parametrize("text", ["320x320", "2x320", "0x320x320", "2x320x320x3", "a", "2x32.0x3"])
def test_another_shape_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected images, height and width"):
        shape(text)
