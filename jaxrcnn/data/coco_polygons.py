"""Leaves the polygons out of the text of a file in COCO's format: most of it, and not read."""

import re

_BLANKS = r"[ \t\n\r]*+"
# Of integers, not so many digits that Python refuses them.
_NUMBER = r"-?+(?:[1-9][0-9]{0,99}+|0)(?:\.[0-9]++)?+"


def _list_of(item: str) -> str:
    """The pattern of a list of items in JSON, with one at least."""
    return rf"\[{_BLANKS}{item}(?:{_BLANKS},{_BLANKS}{item})*+{_BLANKS}\]"


_POLYGONS = re.compile(rf'"segmentation":{_BLANKS}{_list_of(_list_of(_NUMBER))}')


def without_polygons(text: str) -> str:
    """A part of a text in JSON with 0 for each list of polygons under the key "segmentation".

    Only a list that is valid JSON as a whole is replaced, of numbers without exponents. One that is
    not, that is written in another way or that does not end in this part stays. So the text is
    valid after it if and only if it was before. Within a string the key would have a backslash
    before its last quotation mark.
    """
    return _POLYGONS.sub('"segmentation":0', text)
