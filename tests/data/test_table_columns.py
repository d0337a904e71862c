import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.table_columns import Columns, find_columns, has_boxes, split_column


def find(header, *given):
    return find_columns(header.split(), given, "a.csv")


def named(header, *given):
    """The names of the columns by their meanings."""
    columns, names = find(header, *given), header.split()
    boxes = " ".join(names[place] for place in columns.box)
    other = [None if place is None else names[place] for place in (columns.image, *columns[3:7])]
    return columns.kind, boxes, *other


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (  # TensorFlow's
            "filename width height class xmin ymin xmax ymax",
            ("corners", "xmin ymin xmax ymax", "filename", "class", None, "width", "height"),
        ),
        (  # Kaggle's wheat
            "image_id width height bbox source",
            ("bbox", "bbox", "image_id", None, None, "width", "height"),
        ),
        (  # OpenImages
            "ImageID Source LabelName Confidence XMin XMax YMin YMax IsOccluded",
            ("corners", "XMin YMin XMax YMax", "ImageID", "LabelName", None, None, None),
        ),
        (
            "Image Path,x1,y1,x2,y2,Class Name,Subset".replace(" ", "-").replace(",", " "),
            ("corners", "x1 y1 x2 y2", "Image-Path", "Class-Name", "Subset", None, None),
        ),
        ("img x0 y0 x1 y1 label", ("corners", "x0 y0 x1 y1", "img", "label", None, None, None)),
        (
            "img left top right bottom name",
            ("corners", "left top right bottom", "img", "name", None, None, None),
        ),
        ("img x y width height", ("sides", "x y width height", "img", None, None, None, None)),
        (
            "img x y w h width height",
            ("sides", "x y w h", "img", None, None, "width", "height"),
        ),
        (  # Label Studio's and VoTT's cousins
            "label_name bbox_x bbox_y bbox_width bbox_height image_name image_width image_height",
            (
                *("sides", "bbox_x bbox_y bbox_width bbox_height", "image_name", "label_name"),
                *(None, "image_width", "image_height"),
            ),
        ),
        (
            "file xmin ymin width height",
            ("sides", "xmin ymin width height", "file", None, None, None, None),
        ),
        (
            "filename image_id class_id class_name bbox",
            ("bbox", "bbox", "filename", "class_name", None, None, None),
        ),
    ],
)
def test_columns_are_known_by_their_usual_names(header, expected):
    assert named(header) == expected


def test_open_images_has_shares():
    assert find("ImageID LabelName XMin XMax YMin YMax").in_shares
    assert not find("ImageID Class XMin XMax YMin YMax").in_shares


def test_columns_may_be_given():
    header = "datei art links oben breite hoehe teil bild_w"
    given = ("image=datei", "label=art", "x=links", "y=oben", "width=Breite", "height=hoehe")
    assert find(header, *given, "split=teil", "image_width=bild_w") == Columns(
        0, (2, 3, 4, 5), "sides", 1, 6, 7, None, False
    )


def test_what_is_given_settles_what_is_ambiguous():
    header = "filename path class label x1 y1 x2 y2 bbox"
    assert named(header, "image=path", "label=label", "bbox=bbox")[:4] == (
        *("bbox", "bbox", "path", "label"),
    )
    given = ("image=path", "label=label", "xmin=x1", "ymin=y1", "xmax=x2", "ymax=y2")
    assert named(header, *given)[:2] == ("corners", "x1 y1 x2 y2")


def test_a_column_that_is_given_has_no_other_meaning():
    assert named("name xmin ymin xmax ymax", "image=name")[2:4] == ("name", None)


MEANINGS = "image, label, xmin, ymin, xmax, ymax, x, y, width, height, bbox, split, image_width"


@pytest.mark.parametrize(
    ("header", "given", "what"),
    [
        (
            "filename imgpath bbox",
            (),
            "the columns 'filename', 'imgpath' could each be the image; choose",
        ),
        (
            "img class label bbox",
            (),
            r"could each be the label; choose one with data\.columns, such as ",
        ),
        ("img bbox split set", (), "the columns 'split', 'set' could each be the split"),
        (
            "img bbox xmin ymin xmax ymax",
            (),
            r"the boxes could be \(bbox\) or \(xmin, ymin, xmax, ymax\)",
        ),
        ("img x1 y1 x2 y2 x0 y0", (), "the boxes could be"),
        ("img xmin xmin ymin xmax ymax", (), "more than one column is named 'xmin'"),
        (
            "img xmn ymin xmax ymax",
            (),
            "no columns were recognised as boxes; the columns are 'img', 'xmn', 'ym",
        ),
        (
            "bild bbox",
            (),
            "no column was recognised as the names of the images; .* each MEANING=COLUMN, of "
            f"{MEANINGS}",
        ),
        ("img bbox", ("picture=img",), f"'picture' is not a meaning; use {MEANINGS}"),
        ("img bbox", ("label=art",), "no column is named 'art'; the columns are 'img', 'bbox'"),
        ("img bbox Art art.", ("label=ART",), "more than one column is named 'ART'"),
        ("img a b", ("xmin=a", "width=b"), "'xmin', 'width' describe boxes in different ways"),
        ("img a b", ("xmin=a", "ymin=b"), "no column was recognised as 'xmax', 'ymax'"),
    ],
)
def test_what_is_missing_or_ambiguous_is_named_with_what_is_there(header, given, what):
    with pytest.raises(DataError, match=what) as caught:
        find(header, *given)
    assert str(caught.value).startswith("a.csv: the header: ")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("filename xmin ymin xmax ymax", True),
        ("a bbox", True),
        ("a x y width height", True),
        ("image_id PredictionString", False),
        ("file_name text", False),
        ("id x y", False),
    ],
)
def test_a_table_of_boxes_is_told_from_others(header, expected):
    assert has_boxes(header.split()) == expected


def test_the_column_of_splits():
    assert split_column(["img", "Set"], (), "a.csv") == 1
    assert split_column(["img", "set", "teil"], ("split=teil",), "a.csv") == 2
    assert split_column(["img", "set", "split"], (), "a.csv") is None
    assert split_column(["img"], ("split=teil",), "a.csv") is None
