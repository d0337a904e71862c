import json

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.study.run_files import commit_and_machine, final_recall, finite_values, thinned

RECALL = {"ious": [0.5, 0.7], "all": {"all": {"proposals": [0.75, 0.5]}}}


def write_analysis(folder, **content):
    (folder / "eval").mkdir()
    tree = {"format": 1, "step": 40, "recall": RECALL, **content}
    (folder / "eval" / "analysis.json").write_text(json.dumps(tree))
    return folder


def test_values_have_a_few_digits_and_are_finite():
    row = {"step": 3, "a/x": 1 / 3, "a/y": None, "a/z": 12345.678, "b/x": 2.0}
    assert finite_values(row, "a/") == {"x": 0.333333, "z": 12345.7}
    assert finite_values(row, "a/", 2) == {"x": 0.33, "z": 12000.0}


def test_few_losses_stay_as_they_are():
    losses = tuple((step, 1 / step) for step in range(1, 51))
    assert thinned(losses, (0,)) == pytest.approx(np.array(losses), rel=1e-5)
    assert thinned((), (0,)) == ()


def test_of_many_losses_several_in_a_row_become_their_mean():
    losses = tuple((20 * n, float(n)) for n in range(1, 121))
    found = thinned(losses, (0,))
    assert len(found) == 40
    assert found[:2] == ((60, 2.0), (120, 5.0))  # of 1, 2, 3 and of 4, 5, 6
    assert found[-1] == (2400, 119.0)


def test_no_mean_spans_two_phases():
    losses = tuple((step, 10.0 if step <= 40 else 1.0) for step in range(1, 101))
    found = thinned(losses, (0, 40))
    assert len(found) == 50
    assert {loss for _, loss in found} == {10.0, 1.0}
    odd = thinned(losses, (0, 41))
    assert odd[19:22] == ((40, 10.0), (41, 1.0), (43, 1.0))


def test_the_recall_of_the_proposals_is_that_of_the_last_evaluation(tmp_path):
    folder = write_analysis(tmp_path)
    assert final_recall(folder, 40) == {"recall50": 0.75, "recall70": 0.5}
    assert final_recall(folder, 50) == {}


def test_without_proposals_there_is_no_recall(tmp_path):
    assert final_recall(tmp_path, 40) == {}  # a run of an earlier version has no such file
    nothing = {"ious": [0.5, 0.7], "all": {"all": {"proposals": [None, None]}}}
    assert final_recall(write_analysis(tmp_path, recall=nothing), 40) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"step": 40}', '{"step": 40, "recall": 3}'])
def test_an_analysis_that_cannot_be_read_is_one_line(text, tmp_path):
    write_analysis(tmp_path)
    (tmp_path / "eval" / "analysis.json").write_text(text)
    with pytest.raises(ConfigError, match=r"analysis\.json cannot be read .*; delete it") as error:
        final_recall(tmp_path, 40)
    assert "\n" not in str(error.value)


def test_where_a_run_was_run(tmp_path):
    assert commit_and_machine(tmp_path) == ("", "")
    cpu = {"platform": "cpu", "processor": "AMD EPYC", "cores": 2}
    gpu = {"platform": "gpu", "devices": 8, "device_kind": "NVIDIA H100"}
    for machine, words in ((cpu, "AMD EPYC, 2 cores"), (gpu, "8 x NVIDIA H100")):
        origin = {"code": {"revision": "abc"}, "machine": machine}
        (tmp_path / "origin.json").write_text(json.dumps(origin))
        assert commit_and_machine(tmp_path) == ("abc", words)
    (tmp_path / "origin.json").write_text(json.dumps({"code": {"revision": None}}))
    assert commit_and_machine(tmp_path) == ("", "")
