"""Which gradients are taken; that they are right is seen in tests/training/test_diagnostics.py."""

import dataclasses

import jax
import numpy as np

from jaxrcnn.config import Config, ModelConfig, ProposalsConfig
from jaxrcnn.detector import build
from jaxrcnn.training.knobs import knobs_of
from jaxrcnn.training.routes import rows_of, set_up, widest_gates
from jaxrcnn.types import Gates, Losses, Proposals
from tests.tiny import MODEL, make_batch, make_variables

OPEN = ProposalsConfig(stop_gradient=False, pooling_gradient=0.5, target_gradient=0.0)


def test_joint_training_has_both_routes_of_both_losses_of_the_second_stage():
    rows = rows_of("joint", Losses._fields, Gates(0.5, 0))
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
        rows = rows_of(stage, losses, Gates(0.5, 0))
        assert [row.losses for row in rows] == [(loss,) for loss in losses]
        assert {(row.route, tuple(row.gates)) for row in rows} == {("direct", (0, 0))}


def test_a_gate_that_never_opens_is_measured_as_if_it_opened_wholly():
    knobs = knobs_of(Config(model=ModelConfig(proposals=OPEN)))
    assert widest_gates(OPEN, knobs) == (0.5, 0)
    assert widest_gates(dataclasses.replace(OPEN, stop_gradient=True), knobs) == (1, 1)


def test_fast_rcnn_is_measured_on_the_proposals_that_its_batch_brings():
    detector, key = build(MODEL), jax.random.key(0)
    boxes = np.full((2, 4, 4), 3, np.float32)
    given = Proposals(boxes, np.zeros((2, 4), np.float32), np.ones((2, 4), bool))
    batch, variables = make_batch()._replace(proposals=given), make_variables(detector)
    assert set_up(detector, variables, batch, key, "fast_rcnn").proposals is given
    assert set_up(detector, variables, batch, key, "rpn").proposals is None
