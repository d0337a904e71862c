import json

import numpy as np
import pytest

from jaxrcnn.data import coco_file
from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.coco_file import parse_file, parse_pieces, parse_whole
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.json_pieces import NotInPieces
from tests.data.coco_files import TABLES, changed, write
from tests.data.mutations import mutated
from tests.data.test_columns import assert_same_records
from tests.data.test_json_pieces import pieces


@pytest.fixture
def large(tmp_path, monkeypatch):
    """The file of a split that is taken for a large one."""
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(coco_file, "LARGE", 0)
    write(tmp_path, TABLES)
    return tmp_path / "annotations" / "instances_train.json"


def cached(root):
    return sorted((root / "cache" / "data").glob("*"))


def same(one, two):
    assert repr(one.images) == repr(two.images)  # NaN is not NaN
    assert repr(one.categories) == repr(two.categories)
    assert one.annotations.owner_ids == two.annotations.owner_ids
    assert repr(one.annotations.odd) == repr(two.annotations.odd)
    for column, other in zip(one.annotations.rows, two.annotations.rows, strict=True):
        assert column.dtype == other.dtype
        np.testing.assert_array_equal(column, other)


def test_a_large_file_is_read_as_a_small_one_and_kept(tmp_path, large, monkeypatch):
    expected = parse_whole(str(large))
    same(parse_file(str(large)), expected)
    assert len(cached(tmp_path)) == 1

    def forbidden(_):
        raise AssertionError

    monkeypatch.setattr(coco_file, "parse_pieces", forbidden)
    same(parse_file(str(large)), expected)


def test_another_content_of_the_file_is_read_anew(tmp_path, large):
    parse_file(str(large))
    content = large.read_bytes()
    large.write_bytes(content.replace(b"123.5", b"124.5"))
    assert 124.5 in parse_file(str(large)).annotations.rows.areas
    large.write_bytes(content)
    assert 123.5 in parse_file(str(large)).annotations.rows.areas
    assert len(cached(tmp_path)) == 2


@pytest.mark.parametrize("change", [lambda x: x[: len(x) // 2], lambda x: b"", lambda x: b"PK" + x])
def test_a_damaged_file_of_the_cache_is_made_again(tmp_path, large, change):
    parse_file(str(large))
    (kept,) = cached(tmp_path)
    content = kept.read_bytes()
    kept.write_bytes(change(content))
    same(parse_file(str(large)), parse_whole(str(large)))
    assert len(kept.read_bytes()) == len(content)


def test_what_a_file_of_the_cache_lacks_is_made_again(tmp_path, large):
    parse_file(str(large))
    (kept,) = cached(tmp_path)
    with np.load(kept) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "boxes"}
    with open(kept, "wb") as stream:
        np.savez(stream, **arrays)
    same(parse_file(str(large)), parse_whole(str(large)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_in_another_encoding_is_read_at_once(large, encoding):
    expected = parse_whole(str(large))
    large.write_bytes(large.read_text().encode(encoding))
    same(parse_file(str(large)), expected)


def test_a_fault_of_a_large_file_is_told_as_that_of_a_small_one(tmp_path, large, monkeypatch):
    rng = np.random.default_rng(3)
    content = json.dumps(TABLES, indent=0).encode()
    outcomes = []
    for _ in range(150):
        large.write_bytes(mutated(content, rng))
        found = []
        for size in (0, 2**24):
            monkeypatch.setattr(coco_file, "LARGE", size)
            try:
                found.append(read_coco(str(tmp_path), ["train"], on_error="skip"))
            except DataError as error:
                found.append(str(error))
        if isinstance(found[0], str):
            assert found[0] == found[1]
        else:
            assert found[0].skipped == found[1].skipped
            assert_same_records(found[0].records, found[1].records)
        outcomes.append(type(found[0]).__name__)
    assert set(outcomes) == {"str", "Dataset"}


UNUSUAL = [
    *({"id": None}, {"id": "uuid"}, {"image_id": "7"}, {"image_id": 7.0}, {"category_id": 90.0}),
    *({"bbox": [1, 2, 3]}, {"bbox": [1, 2, 10**400, 5]}, {"area": None}, {"area": "1"}),
    *({"iscrowd": "1"}, {"iscrowd": [1]}, {"ignore": True}, {"id": True}, {"extra": [{"id": 1}]}),
]


@pytest.mark.parametrize("fields", UNUSUAL)
@pytest.mark.parametrize("size", [3, 50, 10**6])
def test_pieces_give_what_the_whole_gives(large, fields, size):
    text = json.dumps(changed("annotations", 1, **fields))
    large.write_text(text)
    same(parse_pieces(pieces(text, size)), parse_whole(str(large)))


def test_few_annotations_among_many_stay_objects():
    entries = [
        {**TABLES["annotations"][0], "id": i, "iscrowd": "0" if i == 300 else 0} for i in range(500)
    ]
    text = json.dumps({**TABLES, "annotations": entries})
    annotations = parse_pieces([text]).annotations
    assert [place for place, _ in annotations.odd] == [301]
    assert annotations.rows.ids.tolist() == [i for i in range(500) if i != 300]
    assert annotations.rows.places.tolist() == [i + 1 for i in range(500) if i != 300]


def test_segmentations_are_not_kept():
    entry = {**TABLES["annotations"][0], "segmentation": [[1, 2, 3]], "iscrowd": "0"}
    text = json.dumps({**TABLES, "annotations": [entry]})
    ((_, kept),) = parse_pieces([text]).annotations.odd
    assert kept == {**TABLES["annotations"][0], "iscrowd": "0"}
    with pytest.raises(NotInPieces):
        parse_pieces([text[:-5]])
