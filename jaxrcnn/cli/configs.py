"""python -m jaxrcnn configs"""

import argparse

from jaxrcnn.config_names import configs_folder, named_configs, summary_of


def main(arguments: argparse.Namespace) -> int:
    """List the named configs, each with the first line of its docstring, and where they are."""
    configs = named_configs()
    width = max(map(len, configs))
    for name, path in configs.items():
        print(f"{name:{width}}  {summary_of(path)}")
    print(f"\nfolder: {configs_folder()}")
    return 0
