"""What a command's parser makes of words."""

from jaxrcnn.cli.parsing import OneLineParser


def parse(command, *words):
    parser = OneLineParser("x", "y")
    command.add_arguments(parser)
    return vars(parser.parse_args(words))
