"""What is compared when a run is resumed; whole runs on other data are in tests/test_steering.py"""

import dataclasses

import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.fingerprint_file import describe_data, read_data
from jaxrcnn.provenance import check_data, find_provenance, write_provenance
from jaxrcnn.training.history import append_history, read_history
from jaxrcnn.training.origin import FILE, read_origin, write_origin
from tests.data.small import small_dataset

CONFIG = Config()
GOES_ON = replace_fields(CONFIG, {"train.on_changed_data": "continue"})
WHOLE = small_dataset()
FEWER = dataclasses.replace(WHOLE, records=WHOLE.records[1:])


def data_of(train_set, eval_set=WHOLE):
    return describe_data(CONFIG, train_set, eval_set)


def begin(workdir, train_set=WHOLE):
    """What is written as a run begins."""
    found = check_data(CONFIG, workdir, data_of(train_set), 0)
    write_provenance(workdir, find_provenance(CONFIG, workdir, found, 0))


def test_a_new_run_has_nothing_to_compare_with(tmp_path):
    found = check_data(CONFIG, tmp_path, data_of(WHOLE), 0)
    assert (found.is_known, found.changes, found.lines) == (False, [], [])
    provenance = find_provenance(CONFIG, tmp_path, found, 0)
    assert (provenance.changes, provenance.lines) == ([], [])
    assert provenance.origin["data"] == data_of(WHOLE).summary()
    assert list(tmp_path.iterdir()) == []
    write_provenance(tmp_path, provenance)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fingerprint.json", FILE]
    assert read_origin(tmp_path) == provenance.origin
    assert read_data(tmp_path) == data_of(WHOLE)


def test_a_run_with_the_same_data_goes_on_in_silence(tmp_path):
    begin(tmp_path)
    found = check_data(CONFIG, tmp_path, data_of(WHOLE), 4)
    assert (found.is_known, found.changes, found.lines) == (True, [], [])


def test_other_data_stop_it_with_what_changed_and_change_nothing(tmp_path):
    begin(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError) as caught:
        check_data(CONFIG, tmp_path, data_of(FEWER), 4)
    assert str(caught.value) == (
        f"{tmp_path}: the data have changed since this run began: training set: 1 missing image "
        "('p0'). Restore them to resume it, or give another --workdir to start a new run; "
        "--config.train.on_changed_data continue resumes it with the data as they are"
    )
    with pytest.raises(ConfigError, match=r"began: evaluation set: 1 missing image \('p0'\)\. "):
        check_data(CONFIG, tmp_path, data_of(WHOLE, FEWER), 4)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_it_goes_on_where_that_is_asked_for_and_says_so_once(tmp_path):
    begin(tmp_path)
    before, now = data_of(WHOLE), data_of(FEWER)
    for kill in (True, False):
        found = check_data(GOES_ON, tmp_path, now, 4)
        provenance = find_provenance(GOES_ON, tmp_path, found, 4)
        assert provenance.lines == [
            "from step 4 on, the data differ: training set: 1 missing image ('p0')"
        ]
        if kill:  # between the history and the new fingerprint
            append_history(tmp_path, provenance.changes)
        else:
            write_provenance(tmp_path, provenance)
        (change,) = read_history(tmp_path)
        assert (change.step, change.field) == (4, "fingerprint.training")
        assert change.before == before.sets["training"].digest
        assert change.after == now.sets["training"].digest
    assert check_data(CONFIG, tmp_path, now, 8).lines == []


def test_another_machine_is_said_and_written_to_the_history(tmp_path):
    begin(tmp_path)
    origin = read_origin(tmp_path)
    machine = {**origin["machine"], "cores": 1000}
    write_origin(tmp_path, {**origin, "machine": machine})
    found = check_data(CONFIG, tmp_path, data_of(WHOLE), 4)
    provenance = find_provenance(CONFIG, tmp_path, found, 4)
    (line,) = provenance.lines
    assert "(was 1000): batches and random draws stay the same" in line
    write_provenance(tmp_path, provenance)
    assert [change.field for change in read_history(tmp_path)] == ["machine.cores"]
    assert find_provenance(CONFIG, tmp_path, found, 4).lines == []


def test_a_run_of_an_earlier_version_goes_on_in_silence(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    found = check_data(CONFIG, tmp_path, data_of(WHOLE), 4)
    provenance = find_provenance(CONFIG, tmp_path, found, 4)
    assert (provenance.changes, provenance.lines) == ([], [])
