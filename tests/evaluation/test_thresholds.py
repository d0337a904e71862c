import json

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.evaluation.thresholds import best_thresholds

NAMES = ("cat", "dog", "bird")


def write(path, step, *thresholds, names=NAMES):
    rows = {name: {"threshold": one} for name, one in zip(names, thresholds, strict=True)}
    path.mkdir(parents=True, exist_ok=True)
    (path / "analysis.json").write_text(json.dumps({"step": step, "classes": rows}))


def complaint(folder):
    with pytest.raises(ConfigError) as caught:
        best_thresholds(folder, 40, NAMES)
    return str(caught.value)


def test_those_of_an_evaluation_of_the_checkpoint_are_preferred(tmp_path):
    write(tmp_path / "eval", 40, 0.1, 0.2, 0.3)
    lowest, source, notes = best_thresholds(tmp_path, 40, NAMES)
    np.testing.assert_array_equal(lowest, np.float32([0.1, 0.2, 0.3]))
    assert (source, notes) == (tmp_path / "eval" / "analysis.json", ())
    write(tmp_path / "eval" / "step_40", 40, 0.4, 0.5, 0.6)
    lowest, source, notes = best_thresholds(tmp_path, 40, NAMES)
    np.testing.assert_array_equal(lowest, np.float32([0.4, 0.5, 0.6]))
    assert (source, notes) == (tmp_path / "eval" / "step_40" / "analysis.json", ())


def test_those_of_another_step_and_those_that_are_missing_are_noted(tmp_path):
    write(tmp_path / "eval", 80, 0.1, None, 0.3)
    lowest, _, notes = best_thresholds(tmp_path, 40, NAMES)
    np.testing.assert_array_equal(lowest, np.float32([0.1, 0.5, 0.3]))
    assert notes == (
        "the thresholds are those of step 80, but the checkpoint is that of step 40; jaxrcnn "
        f"evaluate {tmp_path} measures them there",
        "0.5 for classes without a best threshold: dog",
    )


def test_without_an_evaluation_a_line_says_what_to_do(tmp_path):
    assert complaint(tmp_path) == (
        f"score=best: {tmp_path} has no analysis.json with the best thresholds; jaxrcnn evaluate "
        f"{tmp_path} writes it"
    )


def test_those_of_other_classes_are_refused(tmp_path):
    write(tmp_path / "eval", 40, 0.1, 0.2, 0.3, names=("cat", "bird", "dog"))
    assert "has other classes (cat, bird, dog); jaxrcnn evaluate" in complaint(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"step": 40, "classes": []}',
        '{"step": "40", "classes": {}}',
        '{"step": 40, "classes": {"cat": {}}}',
        '{"step": 40, "classes": {"cat": {"threshold": "0.5"}}}',
        '{"step": 40, "classes": {"cat": {"threshold": NaN}}}',
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "analysis.json").write_text(text)
    assert "analysis.json cannot be read; evaluate the model again" in complaint(tmp_path)
