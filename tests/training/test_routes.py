"""Which gradients are taken; that they are right is seen in tests/training/test_diagnostics.py."""

import dataclasses

from jaxrcnn.config import Config, ModelConfig, ProposalsConfig
from jaxrcnn.training.knobs import knobs_of
from jaxrcnn.training.routes import rows_of, widest_gates
from jaxrcnn.types import Gates

OPEN = ProposalsConfig(stop_gradient=False, pooling_gradient=0.5, target_gradient=0.0)


def test_joint_training_has_both_routes_of_both_losses_of_the_second_stage():
    rows = rows_of("joint", Gates(0.5, 0))
    assert [(row.losses, row.route, tuple(row.gates)) for row in rows] == [
        (("rpn_objectness",), "direct", (0, 0)),
        (("rpn_box",), "direct", (0, 0)),
        (("box_class",), "direct", (0, 0)),
        (("box_class",), "pooling", (1, 0)),
        (("box_class",), "targets", (0, 1)),
        (("box_reg",), "direct", (0, 0)),
        (("box_reg",), "pooling", (1, 0)),
        (("box_reg",), "targets", (0, 1)),
        (("box_class", "box_reg"), "open", (0.5, 0)),
    ]


def test_a_stage_alone_has_no_routes():
    for stage, losses in (
        ("rpn", ["rpn_objectness", "rpn_box"]),
        ("fast_rcnn", ["box_class", "box_reg"]),
    ):
        rows = rows_of(stage, Gates(0.5, 0))
        assert [row.losses for row in rows] == [(loss,) for loss in losses]
        assert {(row.route, tuple(row.gates)) for row in rows} == {("direct", (0, 0))}


def test_a_gate_that_never_opens_is_measured_as_if_it_opened_wholly():
    knobs = knobs_of(Config(model=ModelConfig(proposals=OPEN)))
    assert widest_gates(OPEN, knobs) == (0.5, 0)
    assert widest_gates(dataclasses.replace(OPEN, stop_gradient=True), knobs) == (1, 1)
