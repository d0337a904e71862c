import dataclasses
import pickle

import numpy as np
import pytest

from jaxrcnn.data.columns import COLUMNS, PER_BOX, Records
from jaxrcnn.data.record import Record, make_record
from tests.data.small import small_dataset

ODD = "dir/\u00e4\U0001f600\udcff.png"  # a name that is not UTF-8 on disk


def records_of(number=6):
    rng = np.random.default_rng(0)
    records = []
    for place in range(number):
        count = place % 3
        boxes = rng.random((count, 4), np.float32)
        fields = {"crowd": rng.random(count) > 0.5, "difficult": rng.random(count) > 0.5}
        source = f"{place}" if place % 2 else 10**15 + place
        more = {"source_id": source, "as_stored": place == 1, "area": rng.random(count)}
        size, file = (10 + place, 20 + place), f"/images/{place}.png"
        name = ODD if place == 2 else f"{place}.png"
        labels, ids = rng.integers(1, 9, count), rng.integers(0, 2**40, count)
        records.append(
            make_record(5 * place, name, file, size, boxes, labels, ids, **fields, **more)
        )
    return records


def assert_same_record(one, two):
    for field in dataclasses.fields(Record):
        value, other = getattr(one, field.name), getattr(two, field.name)
        if field.name in PER_BOX:
            assert value.dtype == other.dtype
            np.testing.assert_array_equal(value, other)
        else:
            assert value == other
            assert type(value) is type(other)


def assert_same_records(ones, twos):
    for one, two in zip(ones, twos, strict=True):
        assert_same_record(one, two)


def test_records_are_what_they_were_made_of():
    made = records_of()
    records = Records.of(made)
    assert len(records) == 6
    assert_same_records(records, made)
    assert_same_record(records[-1], made[-1])
    assert_same_record(records[np.int32(2)], made[2])
    assert_same_records(records[1:5:2], made[1:5:2])
    assert_same_records(reversed(records), made[::-1])
    assert_same_records(pickle.loads(pickle.dumps(records)), made)
    for place in (6, -7):
        with pytest.raises(IndexError):
            records[place]


def test_many_records_become_columns_in_blocks(monkeypatch):
    monkeypatch.setattr("jaxrcnn.data.columns.BLOCK", 4)
    assert_same_records(Records.of(iter(records_of(11))), records_of(11))


def test_no_records_have_columns_of_the_same_kinds():
    none, some = Records.of([]), Records.of(records_of()).arrays()
    assert len(none) == 0
    assert list(none) == []
    for name, array in none.arrays().items():
        assert array.dtype == some[name].dtype
        assert array.shape[1:] == some[name].shape[1:]


def test_columns_are_over_all_boxes():
    made = records_of()
    records = Records.of(made)
    np.testing.assert_array_equal(records.counts, [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(records.owners, [1, 2, 2, 4, 5, 5])
    np.testing.assert_array_equal(records.boxes, np.concatenate([x.boxes for x in made]))
    assert records.sizes.tolist() == [[10 + i, 20 + i] for i in range(6)]


def test_some_records_some_boxes_and_joined_ones():
    made = records_of()
    records = Records.of(made)
    assert_same_records(records.take([4, 2, 2]), [made[4], made[2], made[2]])
    assert_same_records(records.take([]), [])
    assert_same_records(Records.concatenated([records, records[:2]]), [*made, *made[:2]])
    kept = records.keep_boxes(np.array([False, True, False, True, True, True]))
    assert [record.labels.tolist() for record in kept] == [
        *([], [], made[2].labels[:1].tolist(), [], made[4].labels.tolist()),
        made[5].labels.tolist(),
    ]
    named = records.replace(names=[f"new/{name}" for name in records.names])
    assert [record.name for record in named] == [f"new/{record.name}" for record in made]


def test_columns_become_records_again():
    records = Records.of(records_of())
    assert_same_records(Records.from_arrays(records.arrays()), records)
    assert {name.partition(".")[0] for name in records.arrays()} == set(COLUMNS)


def test_a_record_is_a_view():
    records = Records.of(records_of())
    records[2].boxes[1] = 7
    assert records.boxes[2].tolist() == [7, 7, 7, 7]


def test_what_is_no_record_is_refused():
    class Own(Record):
        pass

    record = records_of()[2]
    fields = {x.name: getattr(record, x.name) for x in dataclasses.fields(Record)}
    with pytest.raises(
        ValueError, match="expected a Record, got Own: subclasses are not supported"
    ):
        Records.of([Own(**fields)])
    short = dataclasses.replace(record, labels=record.labels[:1])
    with pytest.raises(ValueError, match="2 boxes, but 1 labels"):
        Records.of([short])


def test_a_data_set_keeps_its_records_by_column():
    dataset = small_dataset()
    assert dataset.columns is dataset.records
    assert dataclasses.replace(dataset, box_room=9).columns is dataset.columns
