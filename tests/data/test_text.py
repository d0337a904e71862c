import pytest

from jaxrcnn.data.text import read_ends, read_text

WORDS = "straße 犬\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes(WORDS.encode(encoding))
    assert read_text(tmp_path / "a.txt") == WORDS


def test_both_byte_orders_are_read(tmp_path):
    (tmp_path / "little.txt").write_bytes(b"\xff\xfea\0\xac\x20")
    (tmp_path / "big.txt").write_bytes(b"\xfe\xff\0a\x20\xac")
    assert read_text(tmp_path / "little.txt") == read_text(tmp_path / "big.txt") == "a€"


def test_another_encoding_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_bytes("straße".encode("latin-1"))
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "a.txt")


def test_the_ends_of_a_long_file_are_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfstart" + b"x" * 100 + "straße".encode())
    assert read_ends(tmp_path / "a.txt", 8, 5) == "start\nraße"
    assert read_ends(tmp_path / "a.txt", 8, 3) == "start\n\N{LATIN SMALL LETTER SHARP S}e"
    assert read_ends(tmp_path / "a.txt") == "start" + "x" * 100 + "straße"
    (tmp_path / "b.txt").write_text("start" + "x" * 100 + "straße", encoding="utf-16")
    assert read_ends(tmp_path / "b.txt", 8, 5).endswith("xstraße")
