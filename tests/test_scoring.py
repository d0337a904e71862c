"""How programs are called to score a state; whole runs are in tests/test_train.py."""

import sys
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, EvalConfig
from jaxrcnn.scoring import check_keep_best, predictor
from jaxrcnn.training.activity import Activity
from jaxrcnn.training.sharding import Programs
from jaxrcnn.types import Batch

LANDSCAPE, PORTRAIT = (32, 64), (64, 32)


def test_the_calls_of_a_program_are_announced_and_counted():
    programs = Programs(*[None] * 3, lambda batch: batch._replace(labels="placed"), None, None)
    program, progress, activity = mock.Mock(), mock.Mock(), Activity("evaluating", 5)
    predict = predictor(
        programs, program, "the evaluation", "variables", progress, activity, train=True
    )
    for size, weights in ((LANDSCAPE, [1, 1]), (LANDSCAPE, [1, 0]), (PORTRAIT, [1, 1])):
        weights = np.array(weights, np.float32)
        batch = Batch(np.zeros((2, *size, 3)), None, None, weights, *[None] * 5)
        found = predict(batch)
        assert found is program.return_value
        placed = batch._replace(labels="placed")
        program.assert_called_with("variables", placed, train=True)
        name = progress.compile.call_args.args[0]
        progress.compile.assert_called_with(name, program, "variables", placed, train=True)
    assert activity.done == 5
    assert [call.args[0] for call in progress.compile.call_args_list] == [
        "the evaluation",
        "the evaluation for landscape images",
        "the evaluation for portrait images",
    ]


def test_a_missing_library_of_the_evaluation_is_found_before_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    check_keep_best(Config(), None)
    config = replace(Config(), eval=EvalConfig(backend="faster_coco_eval"))
    with pytest.raises(ConfigError, match=r"eval\.backend=faster_coco_eval.*jaxrcnn\[fast\]"):
        check_keep_best(config, None)
