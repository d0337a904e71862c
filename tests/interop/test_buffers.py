"""Detectron2's buffers, by its own rules in plain numpy."""

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.buffers import fields_of, sizes_and_ratios, takes_rgb

RGB = (123.675, 116.28, 103.53)
CAFFE = (102.9801, 115.9465, 122.7717)


def cell(sizes, ratios):
    """DefaultAnchorGenerator.generate_cell_anchors."""
    anchors = []
    for size in sizes:
        area = size**2.0
        for ratio in ratios:
            w = np.sqrt(area / ratio)
            h = ratio * w
            anchors.append([-w / 2.0, -h / 2.0, w / 2.0, h / 2.0])
    return np.array(anchors, np.float32)


def three(*values):
    return np.array(values, np.float32).reshape(3, 1, 1)


def complaint(function, *arguments):
    with pytest.raises(ConfigError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


OCTAVES = tuple(tuple(base * 2 ** (i / 3) for i in range(3)) for base in (32, 64, 128, 256, 512))


@pytest.mark.parametrize(
    ("sizes", "ratios"),
    [
        (((32,), (64,), (128,), (256,), (512,)), (0.5, 1, 2)),
        (((16,), (32,), (64,), (128,), (256,)), (0.5, 1, 2)),
        (((32, 64, 128, 256, 512),), (0.5, 1, 2)),
        (((16, 24), (32, 48)), (0.25, 0.5, 1, 2, 4)),
        (((8,),), (1,)),
        (((8, 16, 32),), (1,)),
        (((17.5,), (33.3,)), (2, 0.3333)),
        (OCTAVES, (0.5, 1, 2)),
    ],
)
def test_the_anchors_of_a_cell_give_their_sizes_and_ratios(sizes, ratios):
    found_sizes, found_ratios = sizes_and_ratios([cell(level, ratios) for level in sizes])
    np.testing.assert_allclose(found_sizes, sizes, rtol=2e-5)
    np.testing.assert_allclose(found_ratios, ratios, rtol=2e-5)
    if sizes is not OCTAVES:  # as a person wrote them
        assert (found_sizes, found_ratios) == (sizes, ratios)


@pytest.mark.parametrize(
    "cells",
    [
        [cell((32,), (0.5, 1, 2)) + 8],  # not around the origin
        [np.round(cell((33,), (0.3, 1, 2)))],
        [np.concatenate([cell((32,), (0.5, 1)), cell((64,), (1, 2))])],
        [np.zeros((3, 5), np.float32)],  # of boxes with an angle
        [np.zeros((0, 4), np.float32)],
        [cell((32,), (1, 2)), np.zeros((0, 4))],
    ],
)
def test_anchors_that_no_fields_describe_are_shown(cells):
    said = complaint(sizes_and_ratios, cells)
    assert "cell_anchors." in said
    assert "model.anchors.sizes" in said


@pytest.mark.parametrize(
    "cells",
    [
        [cell((32,), (0.5, 1)), cell((64,), (1, 2))],
        [cell((32,), (1,)), cell((64, 128), (1,))],
    ],
)
def test_levels_of_several_kinds_are_shown(cells):
    assert "model.anchors takes the same ratios" in complaint(sizes_and_ratios, cells)


def test_pixel_statistics_come_in_our_order():
    tensors = {"pixel_mean": three(*RGB[::-1]), "pixel_std": three(1, 2, 3)}
    assert not takes_rgb(tensors)
    assert fields_of(tensors, False) == {"pixel_mean": RGB, "pixel_std": (3, 2, 1)}
    tensors = {"pixel_mean": three(*RGB), "pixel_std": three(58.395, 57.12, 57.375)}
    assert takes_rgb(tensors)
    assert fields_of(tensors, True) == {"pixel_mean": RGB, "pixel_std": (58.395, 57.12, 57.375)}


@pytest.mark.parametrize(
    ("mean", "asked", "rgb"),
    [
        (RGB, "", True),
        (RGB[::-1], "", False),
        (CAFFE, "", False),
        (CAFFE[::-1], "", True),
        (RGB, "BGR", False),
        ((0, 0, 0), "RGB", True),
        ((127.5, 127.5, 127.5), "BGR", False),
    ],
)
def test_the_order_of_the_channels_follows_from_imagenets_mean(mean, asked, rgb):
    assert takes_rgb({"pixel_mean": three(*mean)}, asked) is rgb


def test_without_a_mean_it_is_the_zoos():
    assert not takes_rgb({})
    assert fields_of({}, False) == {}


@pytest.mark.parametrize("mean", [(0, 0, 0), (127.5, 127.5, 127.5), (90, 100, 110)])
def test_another_mean_asks_for_the_order(mean):
    assert "--input-format BGR or RGB" in complaint(takes_rgb, {"pixel_mean": three(*mean)})


def test_another_number_of_channels_stops():
    assert "pixel_std has 4 values" in complaint(fields_of, {"pixel_std": np.ones((4, 1, 1))}, True)
