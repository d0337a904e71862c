import argparse

import numpy as np
import pytest

from jaxrcnn.cli.arguments.test_time import add_test_time_arguments
from jaxrcnn.cli.test_time import note_on_shapes, read_test_time
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.unannotated import open_images
from jaxrcnn.evaluation.views import PLAIN, TestTime


def parse(*words):
    parser = argparse.ArgumentParser()
    add_test_time_arguments(parser)
    return read_test_time(parser.parse_args(words))


def test_the_options_are_those_of_the_views():
    assert parse() == PLAIN
    words = ("--flip", "--scales", "600,800", "--tile", "512", "--overlap", "0.5")
    assert parse(*words) == TestTime(True, (600, 800), 512, 0.5)


def test_what_is_out_of_its_range_is_called_as_on_the_command_line():
    with pytest.raises(ConfigError, match=r"^--tile=5 must be"):
        parse("--tile", "5")


def test_the_note_on_shapes_is_about_tiles_where_these_are_searched():
    config = Config(data=DataConfig(canvas="exact", short_side=64, long_side=256))
    images = [np.zeros((64, 64 + 32 * n, 3), np.uint8) for n in range(6)]
    dataset = open_images(images, ("a",), (1,), FaultLog("raise"))
    assert note_on_shapes(dataset, config, PLAIN).startswith("data.canvas=exact: 6 image shapes")
    assert note_on_shapes(dataset, config, TestTime(flip=True)).startswith("data.canvas=exact: 6")
    assert note_on_shapes(dataset, config, TestTime(tile=64)) == ""
    assert note_on_shapes(dataset, config, TestTime(scales=(64, 96))) == ""
