import sys

import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.table_sheet import find_sheets, peek_header, read_sheet
from tests.data.folders import write


def read(root, content, name="a.csv"):
    write(root, {name: content})
    path = str(root / name)
    sheet = read_sheet(path)
    assert peek_header(path) == sheet.header
    return sheet.header, [(cells.where, list(cells.values)) for cells in sheet.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_cells_of_text(tmp_path, delimiter, end, encoding):
    lines = [["image", "class"], ["é.png", '"big, dog; x"'], ["", ""], ["b.png", ""]]
    text = end.join(delimiter.join(line) for line in lines) + end
    header, rows = read(tmp_path, text.encode(encoding))
    assert header == ["image", "class"]
    assert rows == [("line 2", ["é.png", "big, dog; x"]), ("line 4", ["b.png", ""])]


def test_a_cell_may_have_several_lines(tmp_path):
    _, rows = read(tmp_path, 'image,note\na.png,"one\ntwo"\nb.png,x\n')
    assert rows == [("line 2", ["a.png", "one\ntwo"]), ("line 4", ["b.png", "x"])]


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("d/a.png,1,2,3,4,big dog", "image xmin ymin xmax ymax label"),
        ("d/a.png,,,,,", "image xmin ymin xmax ymax label"),
        (
            "TRAIN,gs://b/a.png,dog,0.1,0.1,,,0.3,0.3,,",
            "split image label xmin ymin - - xmax ymax - -",
        ),
        (
            ",gs://b/a.png,dog,0.1,0.1,,,0.3,0.3,,",
            "split image label xmin ymin - - xmax ymax - -",
        ),
        (
            "training,gs://b/a.png,dog,0.1,0.1,,,0.3,0.3",
            "split image label xmin ymin - - xmax ymax",
        ),
        ("gs://b/a.png,dog,0.1,0.1,,,0.3,0.3,,", "image label xmin ymin - - xmax ymax - -"),
        ("gs://b/a.png,,,,,,,,,", "image label xmin ymin - - xmax ymax - -"),
        ("dog,1,2,3,4,a.png,640,480", "label x y width height image image_width image_height"),
    ],
)
def test_layouts_without_a_header(tmp_path, line, header):
    found, rows = read(tmp_path, f"{line}\n{line}\n")
    assert found == header.split()
    assert rows == [(f"line {number}", line.split(",")) for number in (1, 2)]
    assert not read_sheet(str(tmp_path / "a.csv")).written


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", r"a\.csv: the table: it is empty"),
        ('image\na.png\n"b.png\n', r"a\.csv: line 3: it is not a table of text \(unexpected end"),
        ('image\n"a"b\n', r"a\.csv: line 2: it is not a table of text \("),
        (f"image\n{'a' * 200_000}\n", r"a\.csv: line 2: it is not a table of text \(field larger"),
        ("image\né\n".encode("latin-1"), r"a\.csv: the table: it is not UTF-8 text \(byte 6\)"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, what):
    write(tmp_path, {"a.csv": content})
    with pytest.raises(DataError, match=what):
        list(read_sheet(str(tmp_path / "a.csv")).rows)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv: the table: cannot be read \(No such file"):
        read_sheet(str(tmp_path / "a.csv"))
    assert peek_header(str(tmp_path / "a.csv")) is None


def test_cells_of_parquet_keep_their_types(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = str(tmp_path / "a.parquet")
    columns = {"image": ["a.png", None], "xmin": [1.5, None], "bbox": [[1, 2, 3, 4], None]}
    parquet.write_table(pyarrow.table(columns), path)
    sheet = read_sheet(path)
    assert sheet.header == peek_header(path) == ["image", "xmin", "bbox"]
    assert [(cells.where, list(cells.values)) for cells in sheet.rows] == [
        ("row 1", ["a.png", 1.5, [1, 2, 3, 4]]),
        ("row 2", [None, None, None]),
    ]


def test_what_is_no_parquet_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    write(tmp_path, {"a.parquet": "image,xmin"})
    with pytest.raises(DataError, match=r"a\.parquet: the table: cannot be read as Parquet \("):
        read_sheet(str(tmp_path / "a.parquet"))
    assert peek_header(str(tmp_path / "a.parquet")) is None


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write(tmp_path, {"a.parquet": "PAR1"})
    with pytest.raises(DataError, match=r"requires pyarrow; pip install 'jaxrcnn\[parquet\]'$"):
        read_sheet(str(tmp_path / "a.parquet"))
    assert peek_header(str(tmp_path / "a.parquet")) is None


def test_tables_of_a_folder(tmp_path):
    write(tmp_path, {"b.TSV": "", "a.csv": "", ".c.csv": "", "d.txt": "", "e.csv/x": ""})
    assert find_sheets(str(tmp_path)) == [str(tmp_path / "a.csv"), str(tmp_path / "b.TSV")]
    assert find_sheets(str(tmp_path / "none")) == []
