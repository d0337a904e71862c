"""The kinds of faults: what each is called, and what to do about it."""

from typing import NamedTuple

from jaxrcnn.data.errors import REMEDY, Fault


class Kind(NamedTuple):
    """Of faults."""

    title: str
    remedy: str


KINDS = {
    "split-unreadable": Kind("split that cannot be read", "correct the file, then check again"),
    "annotation-unreadable": Kind(
        "annotation file that cannot be read", "correct or export the file again"
    ),
    "record-invalid": Kind("value that is missing, malformed or of the wrong type", "correct it"),
    "id-twice": Kind("duplicate id", "give each image and each annotation its own id"),
    "image-unknown": Kind(
        "annotation of an image that is not listed", "add the image or remove the annotation"
    ),
    "image-missing": Kind("missing image file", "add the file or correct its name"),
    "image-outside": Kind(
        "image outside of the data set's folder",
        "move it there, or allow its folder with data.image_roots",
    ),
    "image-unreadable": Kind("file that is not a readable image", "replace the file"),
    "image-damaged": Kind("image that cannot be decoded completely", "replace the file"),
    "image-too-large": Kind("image with too many pixels", "shrink it, or raise data.max_pixels"),
    "image-size": Kind(
        "image whose size differs from the annotated size",
        "find out which image the boxes were drawn on, and use that image",
    ),
    "image-exif": Kind(
        "image that is rotated by its EXIF tag, with boxes for the unrotated image",
        "save the image without the tag, so that it fits its boxes",
    ),
    "image-listed-twice": Kind("image that is listed twice", "list it once, with all its boxes"),
    "image-twice": Kind("image with the same pixels as another", "keep one of them"),
    "image-in-two-splits": Kind(
        "image that is in two splits", "keep it in one split; otherwise scores are too high"
    ),
    "box-not-finite": Kind("box with a coordinate that is not finite", "correct or remove it"),
    "box-inverted": Kind("inverted box", "swap its corners, or remove it"),
    "box-outside": Kind("box outside of its image", "correct or remove it"),
    "box-reaches-out": Kind("box that extends beyond its image", "clip it to the image"),
    "box-empty": Kind("box without width or height", "correct or remove it"),
    "box-twice": Kind("duplicate box", "keep one of them"),
    "box-in-pixels": Kind(
        "box in pixels where fractions are expected",
        "divide x and width by the image's width, y and height by its height",
    ),
    "boxes-normalised": Kind(
        "image whose boxes are between 0 and 1",
        "multiply x and width by the image's width, y and height by its height",
    ),
    "boxes-xywh": Kind(
        "boxes written as x, y, width, height where corners are expected",
        "write xmin, ymin, xmax, ymax instead",
    ),
    "boxes-corners": Kind(
        "boxes written as corners where x, y, width, height are expected",
        "write x, y, xmax - x, ymax - y instead",
    ),
    "class-unknown": Kind("class that is not listed", "add it to the list, or correct the box"),
    "classes-alike": Kind(
        "classes whose names differ only in case or spaces",
        "give them one name, in the files or with data.rename",
    ),
    "class-not-in-training": Kind(
        "class without boxes in the training set",
        "move some of its images to the training set, or leave the class out",
    ),
}
"""By the names that check.json has, which stay the same."""


def remedy_of(fault: Fault) -> str:
    """What to do about a fault."""
    is_general = fault.remedy in ("", REMEDY) and fault.kind in KINDS
    return KINDS[fault.kind].remedy if is_general else fault.remedy
