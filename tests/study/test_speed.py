import math

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.study.speed import seconds_until, step_costs
from tests.study.synthetic import make_config


def rows(speeds, every=10, first=0):
    return [
        {"step": first + every * n, "train/loss": 1.0, "train/images_per_second": speed}
        for n, speed in enumerate(speeds, 1)
    ]


def test_joint_steps_cost_the_batch_over_the_median_speed_without_the_compilation():
    config = make_config(batch_size=4)
    costs = step_costs(config, rows([0.1, 8.0, 8.0, 2.0, 8.0]))  # one slow line does not matter
    assert costs == {("joint", False): 0.5}
    assert seconds_until(config, costs, 0) == 0.0
    assert seconds_until(config, costs, 30) == 15.0


def test_the_only_line_of_a_run_counts():
    config = make_config(batch_size=4)
    assert step_costs(config, rows([2.0])) == {("joint", False): 2.0}


def test_lines_without_a_speed_are_left_out():
    config = make_config(batch_size=4)
    lines = [*rows([1.0, None, math.inf, 0.0, 8.0]), {"step": 50, "eval/loss": 1.0}]
    assert step_costs(config, lines) == {("joint", False): 0.5}


def test_alternating_steps_cost_what_their_kind_does():
    # 40 of the RPN, 20 of Fast R-CNN, then as many with a frozen backbone, 4 images each.
    config = make_config("alternating", batch_size=4)
    lines = [
        *rows([0.1, 4.0], 20, 0),
        *rows([0.1, 2.0], 10, 40),
        *rows([8.0, 16.0], 20, 60),
        *rows([8.0, 8.0], 10, 100),
    ]
    costs = step_costs(config, lines)
    assert costs == {
        ("rpn", False): 1.0,
        ("fast_rcnn", False): 2.0,
        ("rpn", True): 0.25,
        ("fast_rcnn", True): 0.5,
    }
    assert seconds_until(config, costs, 40) == 40.0
    assert seconds_until(config, costs, 41) == 42.0
    assert seconds_until(config, costs, 60) == 80.0
    assert seconds_until(config, costs, 100) == 90.0
    assert seconds_until(config, costs, 120) == 100.0


def test_steps_without_any_speed_are_said():
    config = make_config("alternating")
    costs = step_costs(config, rows([4.0, 4.0], 20))
    with pytest.raises(ConfigError, match="no train/images_per_second after step 40"):
        seconds_until(config, costs, 41)
