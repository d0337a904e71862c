"""Test-time augmentation as it is asked for on the command line."""

import argparse

from jaxrcnn.config import ConfigError
from jaxrcnn.evaluation.views import TestTime


def read_test_time(arguments: argparse.Namespace) -> TestTime:
    """The views that --flip, --scales, --tile and --overlap ask for.

    Raises:
        ConfigError: one is out of its range.
    """
    try:
        return TestTime(arguments.flip, arguments.scales, arguments.tile, arguments.overlap)
    except ConfigError as error:
        raise ConfigError(f"--{error}") from error
