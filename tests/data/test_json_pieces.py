import json

import numpy as np
import pytest

from jaxrcnn.data import json_pieces
from jaxrcnn.data.json_pieces import NotInPieces, parse_tables
from tests.data.coco_files import TABLES
from tests.data.mutations import mutated

KEYS = ("images", "annotations")


def pieces(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


def parsed(text, size, keys=KEYS):
    found = {}
    for key, entries in parse_tables(pieces(text, size), keys):
        found.setdefault(key, []).extend(entries)
    return found


TRICKY = {
    "info": {"a": [1, {"b": "]}, {"}]},
    "images": [{"name": 'x"}, {"y": [1', "n": -1.5e3}, {}, {"deep": [{"a": [{}]}, {"b": 1}]}],
    "number": 1234567,
    "annotations": [],
    "more": "},",
}


@pytest.mark.parametrize("tables", [TABLES, TRICKY])
@pytest.mark.parametrize("style", [{}, {"indent": 1}, {"separators": (",", ":")}])
@pytest.mark.parametrize("size", [1, 2, 7, 64, 10**6])
def test_tables_are_those_of_a_text_that_is_parsed_at_once(tables, style, size):
    text = json.dumps(tables, **style)
    assert parsed(text, size) == {key: tables[key] for key in KEYS}
    assert parsed(f" \n{text}\t\r\n", size) == {key: tables[key] for key in KEYS}


def test_entries_come_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(json_pieces, "MANY", 2)
    text = json.dumps({"images": [{"id": i} for i in range(5)], "annotations": []})
    parts = [entries for key, entries in parse_tables([text], KEYS) if key == "images"]
    assert [len(entries) for entries in parts] == [0, 2, 2, 1]
    assert [entry["id"] for entries in parts for entry in entries] == [0, 1, 2, 3, 4]


def test_numbers_and_keys_are_read_as_json_reads_them():
    text = '{"images": [{"a": NaN, "b": 1, "b": 2, "c": 1e400, "d": 12345678901234567890123}]}'
    ((_, _), (_, [found])) = parse_tables(pieces(text, 5), ["images"])
    assert repr(found) == repr(json.loads(text)["images"][0])


REFUSED = [
    *("", " ", "[]", "{", '{"images": [], "annotations": []', '{"images": [1], "annotations": []}'),
    *('{"images": {}, "annotations": []}', '{"images": []}', '{"images": [], "annotations": [],}'),
    *('{"images": [{}{}], "annotations": []}', '{"images": [{},], "annotations": []}'),
    *('{"images": [], "annotations": []} x', '{"images": [], "images": [], "annotations": []}'),
    *('{"images": [] "annotations": []}', '{1: 2, "images": [], "annotations": []}', "\ufeff{}"),
    *('{"images": [{"a": "x}], "annotations": []}', '{"images": [[{}]], "annotations": []}'),
]


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_not_as_expected_is_refused(text, size):
    with pytest.raises(NotInPieces):
        parsed(text, size)


def test_a_damaged_text_is_read_rightly_or_refused():
    rng = np.random.default_rng(0)
    content = json.dumps(TABLES).encode()
    outcomes = []
    for _ in range(1000):
        text = mutated(content, rng).decode("utf-8", "replace")
        try:
            found = parsed(text, int(rng.integers(1, 60)))
        except (NotInPieces, RecursionError):
            outcomes.append("refused")
            continue
        outcomes.append("read")
        tables = json.loads(text)
        assert repr(found) == repr({key: tables[key] for key in found})
    assert {"refused", "read"} == set(outcomes)
