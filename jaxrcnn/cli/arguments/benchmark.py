"""python -m jaxrcnn benchmark [--config CONFIG] [--what train,predict,...]"""

from jaxrcnn.cli.benchmark import TAKES_FIELDS, add_arguments

__all__ = ["TAKES_FIELDS", "add_arguments"]
