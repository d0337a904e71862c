import dataclasses

import pytest

from jaxrcnn.config import Config, TrainConfig
from jaxrcnn.training import damage
from jaxrcnn.training.checkpoint import last_step
from jaxrcnn.training.damage import Damage, find_damage, leave_out
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.history import Change, append_history, read_history
from tests.damaged import spoil
from tests.training.test_checkpoint import write_steps

STOP = Config()
LAST_GOOD = Config(train=TrainConfig(on_bad_checkpoint="last_good"))


def test_a_run_that_is_whole_goes_on_from_its_last_checkpoint(tmp_path):
    assert find_damage(tmp_path, LAST_GOOD) == Damage(0, {})
    write_steps(tmp_path, 1, 2)
    for config in (STOP, LAST_GOOD):
        assert find_damage(tmp_path, config) == Damage(2, {})
    assert leave_out(tmp_path, Damage(2, {})) == []


def test_damaged_checkpoints_are_set_aside_only_where_that_is_asked_for(tmp_path):
    folder = write_steps(tmp_path, 1, 2, 3)
    changes = [Change(step, "train.log_every", 1, 2) for step in (1, 2, 3)]
    append_history(tmp_path, changes)
    for step in (2, 3):
        spoil(folder / str(step))
    assert find_damage(tmp_path, STOP) == Damage(3, {})
    found = find_damage(tmp_path, LAST_GOOD)
    assert found.good == 1
    assert list(found.faults) == [3, 2]
    assert last_step(tmp_path) == 3  # nothing is done yet
    lines = leave_out(tmp_path, found)
    assert last_step(tmp_path) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["1", "bad_2", "bad_3"]
    assert len(lines) == 2
    assert lines[0].startswith(f"note: {folder}/3/")
    assert lines[0].endswith("It is renamed to bad_3, and training resumes from step 1")
    # What changed at later steps now holds from the one that is gone back to.
    assert [change.step for change in read_history(tmp_path)] == [1, 1, 1]
    assert read_history(tmp_path) == [dataclasses.replace(x, step=1) for x in changes]


def test_a_run_that_dies_as_it_goes_back_has_no_changes_of_later_steps(tmp_path, monkeypatch):
    folder = write_steps(tmp_path, 1, 2)
    append_history(tmp_path, [Change(2, "train.log_every", 1, 2)])
    spoil(folder / "2")
    real = damage.set_aside
    monkeypatch.setattr(damage, "set_aside", lambda path: real(path) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        leave_out(tmp_path, find_damage(tmp_path, LAST_GOOD))
    assert find_damage(tmp_path, LAST_GOOD) == Damage(1, {})  # the next start sees nothing of it
    assert [change.step for change in read_history(tmp_path)] == [1]


def test_where_none_is_whole_nothing_is_begun_anew(tmp_path):
    spoil(write_steps(tmp_path, 1) / "1")
    with pytest.raises(
        CheckpointError, match=r"1/.* is damaged.*\. No other checkpoint is intact$"
    ):
        find_damage(tmp_path, LAST_GOOD)
