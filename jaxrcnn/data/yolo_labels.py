"""YOLO's label files: a line is a class and a box, or the corners of a polygon, in shares."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxrcnn.data.annotated import BadBox, Box, Corners, lines_of
from jaxrcnn.data.errors import INVALID, UNKNOWN_CLASS, Invalid
from jaxrcnn.data.written import written_number, written_whole
from jaxrcnn.wording import counted

ROUNDING = 1e-6
"""Of the border of a box, where its centre and sides are written with six decimals."""

FARTHEST = 2.0
"""No coordinate of an image is a larger share of it; pixels are."""

ORIENTED = 8
"""Numbers of an oriented box, four corners; a polygon of four corners has as many."""


class Labels(NamedTuple):
    """What a label file says."""

    boxes: list[Box]
    faults: list[BadBox]
    lengths: frozenset[int]  # how many numbers its lines have behind the class


def parse_labels(text: str, names: Mapping[int, str], keypoint_numbers: int = 0) -> Labels:
    """The boxes of a label file, in shares of the image, in the order of its lines.

    Args:
        text: of the file.
        names: of the classes, by number.
        keypoint_numbers: how many numbers of keypoints are behind each box.
    """
    boxes: list[Box] = []
    faults: list[BadBox] = []
    lengths: set[int] = set()
    rows = [(line, text.split()) for line, text in enumerate(lines_of(text), 1)]
    for place, (line, words) in enumerate(((line, words) for line, words in rows if words), 1):
        lengths.add(len(words) - 1)
        try:
            name = _class_name(words[0], names)
            corners = _corners(words[1:], keypoint_numbers)
        except ValueError as error:
            kind = getattr(error, "kind", INVALID)
            faults.append(BadBox(f"line {line}", str(error), kind))
        else:
            boxes.append(Box(place, f"line {line}", name, corners))
    return Labels(boxes, faults, frozenset(lengths))


def are_oriented(files: Iterable[Labels]) -> bool:
    """Whether the labels of a set are oriented boxes: every line of all files has four corners."""
    return frozenset().union(*(labels.lengths for labels in files)) == {ORIENTED}


def _class_name(word: str, names: Mapping[int, str]) -> str:
    number = written_whole(word, "the class")
    if number not in names:
        raise Invalid(f"the class is {number}, but {_ranges(names)}", UNKNOWN_CLASS)
    return names[number]


def _ranges(names: Mapping[int, str]) -> str:
    """The numbers of the classes, for a message."""
    first, last = min(names), max(names)
    whole = len(names) == last - first + 1
    if first == last:
        return f"the only class is {first}"
    return f"the classes are {f'{len(names)} of ' * (not whole)}{first} to {last}"


def _corners(words: Sequence[str], keypoint_numbers: int) -> Corners:
    """The box that some numbers describe, xyxy; ValueError where they describe none."""
    number = len(words)
    if number == 4 or (keypoint_numbers and number == 4 + keypoint_numbers):
        return _box(words[:4])
    if keypoint_numbers:
        raise ValueError(
            f"it has {counted(number, 'number')}, not 4 and the {keypoint_numbers} of kpt_shape"
        )
    if number == 5:
        raise ValueError(
            "it has 5 numbers, a box has 4: the fifth is a confidence (predictions saved with "
            "save_conf) or an angle (oriented boxes)"
        )
    if number < 6 or number % 2:
        raise ValueError(
            f"it has {counted(number, 'number')}: a box has 4, a polygon 6, 8, 10 or more"
        )
    shares = [_share(word, "a coordinate") for word in words]
    return min(shares[::2]), min(shares[1::2]), max(shares[::2]), max(shares[1::2])


def _box(words: Sequence[str]) -> Corners:
    """The corners of a box from its centre and sides."""
    x, y, width, height = (
        _share(word, name)
        for word, name in zip(words, ("x", "y", "the width", "the height"), strict=True)
    )
    x0, y0, x1, y1 = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return _snapped(x0), _snapped(y0), _snapped(x1), _snapped(y1)


def _share(word: str, name: str) -> float:
    share = written_number(word, name)
    if FARTHEST < abs(share) < float("inf"):
        what = f"{name} is {word[:20]}, but coordinates are fractions of the image size, 0 to 1"
        raise Invalid(what, "box-in-pixels")
    return share


def _snapped(share: float) -> float:
    """A border, on that of the image where it is within the rounding of the file."""
    nearest = float(round(share)) if abs(share) <= FARTHEST else share
    return nearest if abs(share - nearest) <= ROUNDING else share
