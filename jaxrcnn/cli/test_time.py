"""Test-time augmentation as it is asked for on the command line."""

import argparse

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.planning import note_on_canvases
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.views import TestTime, make_views


def read_test_time(arguments: argparse.Namespace) -> TestTime:
    """The views that --flip, --scales, --tile and --overlap ask for.

    Raises:
        ConfigError: one is out of its range.
    """
    try:
        return TestTime(arguments.flip, arguments.scales, arguments.tile, arguments.overlap)
    except ConfigError as error:
        raise ConfigError(f"--{error}") from error


def note_on_shapes(dataset: Dataset, config: Config, test_time: TestTime) -> str:
    """What `note_on_canvases` says of the images in which objects are searched."""
    if test_time.scales:  # padded to the ladder's shapes in any case
        return ""
    images = dataset if test_time.is_plain else make_views(dataset, test_time).dataset
    return note_on_canvases(images, config)
