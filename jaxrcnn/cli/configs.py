"""python -m jaxrcnn configs"""

import argparse
from typing import NoReturn

from jaxrcnn.cli.parsing import show
from jaxrcnn.config_names import configs_folder, named_configs, summary_of


def main(arguments: argparse.Namespace) -> NoReturn:
    """List the named configs, each with the first line of its docstring, and where they are."""
    configs = named_configs()
    width = max(map(len, configs))
    rows = [f"{name:{width}}  {summary_of(path)}" for name, path in configs.items()]
    show("\n".join([*rows, "", f"folder: {configs_folder()}"]))
