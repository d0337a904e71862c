from jaxrcnn.writing import replace_text


def test_a_text_is_replaced_at_once(tmp_path):
    path = tmp_path / "a.json"
    for text in ("é", "short"):
        replace_text(path, text)
        assert path.read_bytes().decode() == text
    assert list(tmp_path.iterdir()) == [path]
