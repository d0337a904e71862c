"""python -m jaxrcnn configs"""

import argparse

USES_DEVICES = False

EPILOG = """\
Train one with `jaxrcnn train --config NAME`. The last line names the folder with the config files.

For a config of your own, write a file such as mine.py and give it as --config mine.py:

  from jaxrcnn.config_file import load_config
  from jaxrcnn.config_io import replace_fields

  def get_config():
      return replace_fields(load_config("shapes"), {"train.steps": 2000})"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""
    parser.epilog = EPILOG
