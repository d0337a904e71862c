import datetime
import json

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.training.history import Change, append_history, read_history

LONGER = Change(4, "train.steps", 4, 8, date="2026-01-02")
MILESTONES = Change(4, "train.optimizer.milestones", (3,), (3, 6), date="2026-01-02")


def test_changes_are_kept_in_order_with_the_day(tmp_path):
    assert read_history(tmp_path) == []
    append_history(tmp_path, [LONGER])
    append_history(tmp_path, [MILESTONES])
    tree = json.loads((tmp_path / "history.json").read_text())
    assert tree == [
        {"step": 4, "field": "train.steps", "before": 4, "after": 8, "date": "2026-01-02"},
        {
            **{"step": 4, "field": "train.optimizer.milestones", "before": [3], "after": [3, 6]},
            "date": "2026-01-02",
        },
    ]
    assert read_history(tmp_path)[0] == LONGER
    assert Change(1, "a", 1, 2).date == datetime.date.today().isoformat()


def test_what_a_killed_run_wrote_before_its_config_is_not_written_twice(tmp_path):
    for date in ("2026-01-02", "2026-01-03"):
        append_history(tmp_path, [Change(4, "train.steps", 4, 8, date), MILESTONES])
    assert read_history(tmp_path)[0].date == "2026-01-02"
    assert len(read_history(tmp_path)) == 2
    back, again = Change(4, "train.steps", 8, 4), LONGER
    append_history(tmp_path, [back])
    append_history(tmp_path, [again])
    assert [x.after for x in read_history(tmp_path) if x.field == "train.steps"] == [8, 4, 8]


@pytest.mark.parametrize("text", ["{", '[{"step": 1}]', "[1]"])
def test_a_history_that_cannot_be_read_is_one_line(tmp_path, text):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(ConfigError, match=r"history\.json cannot be read"):
        read_history(tmp_path)
