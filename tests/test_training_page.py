"""The example and the table of docs/training.md are right."""

import pathlib
import re

from jaxrcnn.training.resumable import ANY_TIME, MOVED, STILL_AHEAD
from tests.steered import CONFIG, build, dataset_of, runs, scored

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_tracker_of_the_page_gets_metrics_and_is_closed(tmp_path, capsys):
    example = re.findall(r"```python\n(class .*?)```", PAGE, re.DOTALL)[0]
    names = {
        **{"config": CONFIG, "workdir": tmp_path, "detector": build(CONFIG.model)},
        **{"train_set": dataset_of(5), "eval_set": dataset_of(1, "val"), "run": runs.run},
    }
    with scored({8: 0.5}):
        exec(compile(example, "docs/training.md", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert "8 0.5" in said
    assert said[-1] == "done"


def test_the_table_has_the_fields_that_may_change():
    table = PAGE.split("These may change:")[1].split("Each change")[0]
    fields = set(re.findall(r"`([a-z_.]+)`", table))
    known = {*ANY_TIME, *STILL_AHEAD, *MOVED, "profile"}
    groups = {"eval", "train.diagnostics"}  # all of them
    assert fields == {x for x in known if not x.startswith(tuple(f"{g}." for g in groups))} | groups
