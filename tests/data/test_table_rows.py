import tracemalloc

import numpy as np
import pytest

from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.table_columns import find_columns
from jaxrcnn.data.table_rows import are_shares, group_rows, read_rows
from jaxrcnn.data.table_sheet import Cells, Sheet


def rows_of(header, *lines, on_error="raise"):
    log = FaultLog(on_error)
    cells = [Cells(f"line {n}", line.split(",")) for n, line in enumerate(lines, 2)]
    sheet = Sheet("a.csv", header.split(","), cells, True)
    return read_rows(sheet, find_columns(sheet.header, (), "a.csv"), "object", log), log.lines


CORNERS = "image,class,xmin,ymin,xmax,ymax,width,height"


def test_a_row_is_an_image_and_a_box():
    (row, empty), _ = rows_of(CORNERS, "d\\a.png, big dog ,1,2.5,3e1,4,640,", "b.png,cat,,, ,,,")
    assert row == ("line 2", "d/a.png", "", "big dog", (1, 2.5, 30, 4), (None, 640), "")
    assert empty == ("line 3", "b.png", "", "", None, (None, None), "")


def test_sides_become_corners():
    (row,), _ = rows_of("image,label,x,y,w,h", "a.png,cat,1,2,3.5,4")
    assert row.corners == (1, 2, 4.5, 6)


@pytest.mark.parametrize(
    "cell", ["[1, 2, 3.5, 4]", "1 2 3.5 4", "(1.0,2.0,3.5,4.0)", "[1  2 3.5 4]"]
)
def test_a_bbox_is_x_y_width_and_height(cell):
    log = FaultLog("raise")
    sheet = Sheet("a.csv", ["image", "bbox"], [Cells("line 2", ["a.png", cell])], True)
    (row,) = read_rows(sheet, find_columns(sheet.header, (), "a.csv"), "wheat", log)
    assert (row.label, row.corners) == ("wheat", (1, 2, 4.5, 6))


@pytest.mark.parametrize("value", [[1, 2, 3.5, 4], [1.0, 2.0, 3.5, 4.0]])
def test_a_bbox_may_be_a_list(value):
    sheet = Sheet("a.parquet", ["image", "bbox"], [Cells("row 1", ["a.png", value])], True)
    (row,) = read_rows(sheet, find_columns(sheet.header, (), "a"), "wheat", FaultLog("raise"))
    assert row.corners == (1, 2, 4.5, 6)


@pytest.mark.parametrize("value", ["[]", "", None, []])
def test_an_empty_bbox_is_no_box(value):
    sheet = Sheet("a.csv", ["image", "bbox"], [Cells("line 2", ["a.png", value])], True)
    (row,) = read_rows(sheet, find_columns(sheet.header, (), "a"), "wheat", FaultLog("raise"))
    assert (row.corners, row.fault) == (None, "")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("a.png,cat,1,2,x,4,,", "xmax is 'x', not a number"),
        ("a.png,cat,1,2,,4,,", "xmax is '', not a number"),
        ("a.png,,1,2,3,4,,", "the class is '', not a name"),
        ("a.png,cat,1,2,3,4,wide,", "the image's width is 'wide', not a number"),
        ("a.png,cat,1,2,3,4,,-5", "the image's height is -5, which is not a valid image size"),
        ("a.png,cat,1,2,3,4,1.5,", "the image's width is '1.5', not a whole number"),
    ],
)
def test_a_box_that_cannot_be_understood_is_left_to_its_image(line, what):
    rows, lines = rows_of(CORNERS, line, "a.png,dog,1,2,3,4,40,30")
    assert lines == []
    assert rows[0].fault == what
    (entry,) = group_rows("a.csv", rows, False, FaultLog("raise"))
    assert [(box.place, box.name) for box in entry.boxes] == [(2, "dog")]
    assert [fault[:2] for fault in entry.faults] == [("line 2", what)]
    assert entry.sides[1] == (30, 40)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (" ,cat,1,2,3,4,,", "line 2: the image is ' ', not a name"),
        ("a.png,cat,1,2,3,4", "line 2: it has 6 cells, but the header has 8"),
        ("a.png,cat,1,5,2,3,4,,x", "line 2: it has 9 cells, but the header has 8"),
    ],
)
def test_a_row_without_an_image_goes_to_the_log(line, what):
    with pytest.raises(DataError, match=what):
        rows_of(CORNERS, line)
    rows, lines = rows_of(CORNERS, line, "a.png,dog,1,2,3,4,40,30", on_error="skip")
    assert (len(rows), len(lines)) == (1, 1)


def test_blank_cells_behind_the_last_column_do_not_matter():
    rows, _ = rows_of("image,bbox", "a.png,1 2 3 4,,")
    assert rows[0].corners == (1, 2, 4, 6)


def test_a_decimal_comma_is_named():
    sheet = Sheet("a.csv", ["image", "xmin", "ymin", "xmax", "ymax"], [], True)
    sheet.rows.append(Cells("line 2", ["a.png", "1,5", "2", "3", "4"]))
    (row,) = read_rows(sheet, find_columns(sheet.header, (), "a"), "o", FaultLog("raise"))
    assert row.fault == "xmin is '1,5', not a number: write a decimal point instead of the comma"


def test_images_are_sorted_by_name_and_boxes_stay_in_order():
    lines = ("b.png,1,1 1 1 1", "a.png,2,2 2 2 2", "b.png,3,3 3 3 3")
    rows, _ = rows_of("image,label,bbox", *lines)
    entries = group_rows("a.csv", rows, True, FaultLog("raise"))
    assert [(e.name, e.where, [box.name for box in e.boxes]) for e in entries] == [
        ("a.png", "line 3", ["2"]),
        ("b.png", "line 2", ["1", "3"]),
    ]
    assert all(entry.in_shares for entry in entries)


def test_an_image_in_two_splits_is_a_fault():
    lines = ("train,b.png,1 1 1 1", "val,b.png,1 1 2 2", "val,c.png,1 1 2 2")
    rows, _ = rows_of("split,image,bbox", *lines)
    with pytest.raises(DataError, match="line 2: the image is in the splits 'train' and 'val'"):
        group_rows("a.csv", rows, False, FaultLog("raise"))
    log = FaultLog("skip")
    assert [entry.name for entry in group_rows("a.csv", rows, False, log)] == ["c.png"]
    assert len(log.lines) == 1


def test_boxes_within_0_and_1_are_counted_without_those_that_have_no_area():
    boxes = ("0 0 0 0", "0.1 .1 .5 .5", "0 0 1 1.0000001", "0 0 2 1", "nan 0 1 1")
    rows, _ = rows_of("image,bbox", *(f"a.png,{box}" for box in boxes))
    assert are_shares(rows) == (2, 3)
    assert np.isnan(rows[-1].corners[0])


def test_boxes_of_an_image_are_those_of_its_rows():
    lines = ("a.png,cat,,,,,,", "a.png,dog,1,2,3,4,,", "b.png,cat,0,0,9,9,,", "a.png,emu,5,6,7,8,,")
    rows, _ = rows_of(CORNERS, *lines)
    first, second = group_rows("a.csv", rows, False, FaultLog("raise"))
    assert list(first.boxes) == [
        (1, "line 3", "dog", (1, 2, 3, 4)),
        (2, "line 5", "emu", (5, 6, 7, 8)),
    ]
    assert (len(first.boxes), len(second.boxes)) == (2, 1)
    assert first.boxes[1:] == [first.boxes[-1]]


def test_rows_of_a_large_table_take_little_memory():
    header = CORNERS.split(",")
    cells = (
        Cells(f"line {n}", [f"{n // 8}.png", f"c{n % 80}", *(f"{n}.{i}" for i in range(4)), "", ""])
        for n in range(20_000)
    )
    columns = find_columns(header, (), "a.csv")
    tracemalloc.start()
    try:
        rows = read_rows(Sheet("a.csv", header, cells, True), columns, "object", FaultLog("raise"))
        entries = group_rows("a.csv", rows, False, FaultLog("raise"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(entry.boxes) for entry in entries) == 20_000
    assert peak < 300 * 20_000  # 630 with a tuple for each
