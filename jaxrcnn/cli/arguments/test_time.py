"""Arguments of test-time augmentation."""

import argparse

from jaxrcnn.cli.parsing import count, counts, share


def add_test_time_arguments(parser: argparse.ArgumentParser) -> None:
    """[--flip] [--scales N,N] [--tile N] [--overlap SHARE], for `jaxrcnn.cli.test_time`."""
    group = parser.add_argument_group("test-time augmentation")
    group.add_argument(
        "--flip", action="store_true", help="also search each image mirrored left to right"
    )
    group.add_argument(
        "--scales",
        metavar="N,N",
        type=counts,
        default=(),
        help="search each image at these short sides in pixels, such as 640,800,960 (default: "
        "data.short_side)",
    )
    group.add_argument(
        "--tile",
        metavar="N",
        type=count,
        default=0,
        help="search large images in tiles of N x N pixels (default: each image as a whole)",
    )
    group.add_argument(
        "--overlap",
        metavar="SHARE",
        type=share,
        default=0.2,
        help="share of a tile's side by which it overlaps the next tile; an object no larger than "
        "the overlap is completely inside some tile (default: %(default)s)",
    )
