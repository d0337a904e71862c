from jaxrcnn.data.errors import fault, quoted, shortened


def test_a_fault_is_one_line_of_four_parts():
    error = fault("a.csv", "line 3", "it is\n no  table", "correct it")
    assert str(error) == "a.csv: line 3: it is no table; correct it"


def test_long_texts_show_their_ends():
    assert shortened("a" * 10, 10) == "a" * 10
    assert shortened("abc" + "x" * 100 + "yz", 4) == "ab ... yz"
    line = str(fault("a.csv", "line 3", f"x is '{'9' * 10_000}', not a number"))
    assert line.startswith("a.csv: line 3: x is '999")
    assert "999', not a number; correct it, or leave such records out with" in line
    assert len(line) < 700


def test_the_parts_of_a_fault_are_no_longer_than_its_line():
    """Thousands of them are kept, and listed in a page."""
    long = "9" * 10_000
    found = fault(long, long, long, long, image=long, box=(1, 2, 3, 4)).fault
    assert max(len(part) for part in (found.file, found.record, found.what, found.remedy)) < 1100
    assert found.image == long  # to be opened


def test_names_are_quoted_on_one_line_and_of_many_the_first():
    assert quoted(["a", "b\nc"]) == "'a', 'b c'"
    assert quoted("abcd", 2) == "'a', 'b', 2 more"


def test_a_path_that_no_file_system_takes_shows_its_ends():
    line = str(fault(f"/a/{'9' * 5000}.names", "the class names", "cannot be read"))
    assert line.startswith("/a/999")
    assert "9.names: the class names: cannot be read; correct it" in line
    assert len(line) < 1200
