"""What the columns of a table mean, by their names or as data.columns says."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from jaxrcnn.data.errors import DataError, fault, quoted

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIDES = ("x", "y", "width", "height")
MEANINGS = ("image", "label", *CORNERS, *SIDES, "bbox", "split", "image_width", "image_height")
"""What data.columns may say of a column."""

# Names without case, blanks and signs. Of several lines, the first that the table has any of.
IMAGES = (
    ("filename", "filepath", "imagename", "imagepath", "imagefile", "imgname", "imgpath"),
    ("image", "img", "path", "file"),
    ("imageid", "imgid"),
)
LABELS = (
    ("class", "label", "category", "classname", "labelname", "categoryname", "species"),
    ("name", "object", "objectclass", "labels", "classes"),
    ("classid", "labelid", "categoryid"),
)
SPLITS = (("split", "set", "subset", "usage", "mlusage", "partition"),)
BOXES = ("bbox", "boundingbox", "box")
WIDTHS = (("imagewidth", "imgwidth", "imagew", "imgw"), ("width",))
HEIGHTS = (("imageheight", "imgheight", "imageh", "imgh"), ("height",))
CORNER_NAMES = (
    CORNERS,
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
    ("minx", "miny", "maxx", "maxy"),
    ("xtl", "ytl", "xbr", "ybr"),
)
SIDE_NAMES = tuple(
    (*corner, *sides)
    for corner in (("x", "y"), ("left", "top"), ("xmin", "ymin"))
    for sides in (("w", "h"), ("width", "height"))
)
"""Beside others that start alike, width and height are those of the image."""
PREFIXES = ("", "bbox", "box", "bndbox", "boundingbox")
OPEN_IMAGES = {"imageid", "labelname", *CORNERS}
"""Of a table whose coordinates are shares of the image."""


class Columns(NamedTuple):
    """The places of columns by what they mean."""

    image: int
    box: tuple[int, ...]  # four columns, or one with four numbers
    kind: str  # of box: "corners", "sides" (x, y, width, height) or "bbox" (the same in one column)
    label: int | None
    split: int | None
    width: int | None  # of the image
    height: int | None
    in_shares: bool  # whatever the numbers are


def find_columns(header: Sequence[str], given: Sequence[str], file: str) -> Columns:
    """What the columns mean.

    Args:
        header: their names.
        given: data.columns, each MEANING=COLUMN; these are not looked for.
        file: the table, for errors.

    Raises:
        DataError: images or boxes have no column, something has several, or data.columns names
            what there is not; lists the columns.
    """
    named = _parse_given(header, given, file)
    known = set(named.values())
    plain = ["" if place in known else _plain(name) for place, name in enumerate(header)]

    def pick(meaning: str, names: Sequence[Sequence[str]]) -> int | None:
        return named[meaning] if meaning in named else _pick(meaning, names, header, plain, file)

    kind, box = _find_box(header, plain, named, file)
    image = pick("image", IMAGES)
    if image is None:
        raise _fault("no column was recognised as the names of the images", header, file)
    sides = {"width": pick("image_width", WIDTHS), "height": pick("image_height", HEIGHTS)}
    return Columns(
        image,
        box,
        kind,
        pick("label", LABELS),
        pick("split", SPLITS),
        **{key: None if place in box else place for key, place in sides.items()},
        in_shares=set(plain) >= OPEN_IMAGES and kind == "corners",
    )


def has_boxes(header: Sequence[str]) -> bool:
    """Whether the names of some columns are those of a box."""
    plain = {_plain(name) for name in header}
    families = (*CORNER_NAMES, *SIDE_NAMES)
    whole = any({p + n for n in names} <= plain for names in families for p in PREFIXES)
    return whole or not plain.isdisjoint(BOXES)


def split_column(header: Sequence[str], given: Sequence[str], file: str) -> int | None:
    """The column with the splits; None where there is none, or more than one."""
    try:
        named = _parse_given(header, given, file)
        plain = [_plain(name) for name in header]
        return named.get("split", _pick("split", SPLITS, header, plain, file))
    except DataError:
        return None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _parse_given(header: Sequence[str], given: Sequence[str], file: str) -> dict[str, int]:
    """The columns that data.columns names."""
    places: dict[str, int] = {}
    for pair in given:
        meaning, _, name = (part.strip() for part in pair.partition("="))
        if meaning not in MEANINGS:
            what = f"data.columns: '{meaning}' is not a meaning; use {', '.join(MEANINGS)}"
            raise fault(file, "the header", what, "write MEANING=COLUMN")
        same = [place for place, column in enumerate(header) if column == name]
        alike = [place for place, column in enumerate(header) if _plain(column) == _plain(name)]
        found = same or alike
        if len(found) != 1:
            number = "no column" if not found else "more than one column"
            raise _fault(f"data.columns: {number} is named '{name}'", header, file)
        places[meaning] = found[0]
    return places


def _pick(
    meaning: str,
    names: Sequence[Sequence[str]],
    header: Sequence[str],
    plain: Sequence[str],
    file: str,
) -> int | None:
    """The only column with one of the first names that there are any of."""
    for alike in names:
        places = [place for place, name in enumerate(plain) if name in alike]
        if len(places) > 1:
            both = quoted(header[place] for place in places)
            raise fault(
                *(file, "the header", f"the columns {both} could each be the {meaning}"),
                f"choose one with data.columns, such as {meaning}={header[places[0]]}",
            )
        if places:
            return places[0]
    return None


def _find_box(
    header: Sequence[str], plain: Sequence[str], named: dict[str, int], file: str
) -> tuple[str, tuple[int, ...]]:
    """The kind of box, and its columns: those that are named, else the only ones that there are."""
    kinds = (("corners", CORNERS), ("sides", SIDES), ("bbox", ("bbox",)))
    chosen = [(kind, names) for kind, names in kinds if any(name in named for name in names)]
    if len(chosen) > 1:
        meanings = quoted(name for _, names in chosen for name in names if name in named)
        raise _fault(f"data.columns: {meanings} describe boxes in different ways", header, file)
    if chosen:
        kind, names = chosen[0]
        missing = [name for name in names if name not in named and name not in plain]
        if missing:
            raise _fault(f"no column was recognised as {quoted(missing)}", header, file)
        return kind, tuple(named.get(name, _place(plain, name)) for name in names)
    found = [("bbox", (place,)) for place, name in enumerate(plain) if name in BOXES]
    found += [("corners", places) for places in _families(plain, CORNER_NAMES)]
    for places in _families(plain, SIDE_NAMES):
        if not any(places[:2] == others[:2] for _, others in found):
            found.append(("sides", places))
    if not found:
        raise _fault("no columns were recognised as boxes", header, file)
    twice = [header[place] for place in found[0][1] if plain.count(plain[place]) > 1]
    if twice:
        raise _fault(f"more than one column is named {quoted(twice)}", header, file)
    if len(found) > 1:
        options = " or ".join(f"({_names(header, places)})" for _, places in found)
        raise fault(
            *(file, "the header", f"the boxes could be {options}"),
            "choose with data.columns, such as xmin=COLUMN ymin=COLUMN xmax=COLUMN ymax=COLUMN",
        )
    return found[0]


def _families(plain: Sequence[str], families: Sequence[Sequence[str]]) -> list[tuple[int, ...]]:
    """The places of those families of which all names are there."""
    whole = [[p + name for name in names] for names in families for p in PREFIXES]
    return [
        tuple(_place(plain, name) for name in names) for names in whole if set(names) <= set(plain)
    ]


def _place(plain: Sequence[str], name: str) -> int:
    return plain.index(name) if name in plain else -1


def _names(header: Sequence[str], places: Sequence[int]) -> str:
    return ", ".join(header[place] for place in places)


def _fault(what: str, header: Sequence[str], file: str) -> DataError:
    remedy = f"name them with data.columns, each MEANING=COLUMN, of {', '.join(MEANINGS)}"
    return fault(file, "the header", f"{what}; the columns are {quoted(header, 20)}", remedy)
