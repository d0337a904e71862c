"""The schedule of the gate, by hand, and what is said about it."""

import jax
import numpy as np
import pytest

from jaxrcnn.config import Config, ModelConfig, ProposalsConfig, RoiConfig
from jaxrcnn.training.gates import describe_gate, gates_at
from jaxrcnn.training.knobs import knobs_of

run = jax.jit(gates_at)


@pytest.mark.parametrize(
    ("fields", "steps", "pooling"),
    [
        ({}, [0, 1, 99], [1, 1, 1]),
        ({"stop_gradient": True}, [0, 1, 99], [0, 0, 0]),
        ({"open_after": 3}, [0, 2, 3, 4], [0, 0, 1, 1]),
        ({"open_over": 4}, [0, 1, 2, 3, 4], [0.25, 0.5, 0.75, 1, 1]),
        ({"open_after": 2, "open_over": 2}, [1, 2, 3, 9], [0, 0.5, 1, 1]),
        ({"pooling_gradient": 0.5, "open_over": 2}, [0, 1, 9], [0.25, 0.5, 0.5]),
    ],
)
def test_gates_by_hand(fields, steps, pooling):
    config = ProposalsConfig(**{"stop_gradient": False, "target_gradient": 0.1, **fields})
    knobs = knobs_of(Config(model=ModelConfig(proposals=config)))
    got = [run(knobs, step) for step in steps]
    np.testing.assert_allclose([gates.pooling for gates in got], pooling)
    widest = config.pooling_gradient
    expected = 0.1 * np.array(pooling) / widest
    np.testing.assert_allclose([gates.targets for gates in got], expected, rtol=1e-6)


def test_a_closed_gate_needs_no_words():
    assert describe_gate(ModelConfig()) == []


def test_an_open_gate_is_described_with_its_schedule():
    gate = ProposalsConfig(stop_gradient=False, target_gradient=0.5, open_after=9, open_over=7)
    (line,) = describe_gate(ModelConfig(proposals=gate))
    assert line == "gradient gate: pooling 1, targets 0.5, closed for 9 steps, opening over 7"


def test_roi_pool_is_said_to_close_the_pooling_route():
    gate = ProposalsConfig(stop_gradient=False)
    lines = describe_gate(ModelConfig(proposals=gate, roi=RoiConfig(op="pool")))
    assert len(lines) == 2
    assert "RoIPool has no gradient" in lines[1]
    gate = ProposalsConfig(stop_gradient=False, pooling_gradient=0.0)
    assert len(describe_gate(ModelConfig(proposals=gate, roi=RoiConfig(op="pool")))) == 1
