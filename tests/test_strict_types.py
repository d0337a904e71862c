"""No array's type or rank is promoted silently: tracing under jax's strictest settings is enough.

A silent promotion is how a bfloat16 map or a whole number turns a float32 sum into something else.
"""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.config import (
    Config,
    DeltaGradientConfig,
    DiagnosticsConfig,
    HardExampleConfig,
    OptimizerConfig,
    TrainConfig,
)
from jaxrcnn.detector import build
from jaxrcnn.stages.pooling import ROI_OPS
from jaxrcnn.training.state import create_state
from jaxrcnn.training.step import eval_step, train_step
from tests.slow import slow_but
from tests.tiny import FPN_MODEL, MODEL, change, make_batch

DELTA_GRADIENT = DeltaGradientConfig(
    clip=0.1,
    clip_norm=0.2,
    divide_by_anchor_size=True,
    zero_if_clipped=True,
    zero_outside_anchors=True,
)


@contextlib.contextmanager
def strict():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


def open_gate(**fields):
    return {"stop_gradient": False, "open_after": 2, "open_over": 3, **fields}


CLOSED, OPEN = {}, open_gate()
FPN, C4 = FPN_MODEL, MODEL
DC5 = change(MODEL, backbone={"dilated_res5": True}, neck={"name": "c5"})
VGG = change(MODEL, backbone={"name": "vgg16"}, neck={"name": "c5"}, box_head={"dropout": 0.5})
MOBILENET = change(
    FPN_MODEL,
    backbone={"name": "mobilenet_v3_large"},
    anchors={"sizes": ((32.0,),) * 3, "spread": True, "rounded": True},
    rpn={"loss_mean": "drawn"},
)

MODELS = {  # each with its compute dtype
    "fpn, frozen": (change(FPN, backbone={"norm": "frozen"}, proposals=OPEN), "bfloat16"),
    "fpn, group everywhere": (
        change(
            FPN,
            backbone={"norm": "group"},
            neck={"norm": "group"},
            box_head={"name": "conv_fc", "norm": "group"},
            proposals=CLOSED,
            roi={"op": "crop_resize"},
        ),
        "bfloat16",
    ),
    "c4, batch, mined": (
        change(
            C4,
            backbone={"norm": "batch"},
            box_head={
                "name": "res5",
                "mining": HardExampleConfig(keep=4, max_negatives_per_positive=3.0),
            },
            proposals=open_gate(delta_gradient=DELTA_GRADIENT),
            rpn={"box_loss": "smooth_l1"},
            roi={"op": "precise"},
        ),
        "float32",
    ),
    "dc5, soft NMS": (
        change(
            DC5,
            box_head={"box_loss": "ciou", "class_agnostic": True, "class_loss": "focal"},
            detections={"soft_nms": "gaussian"},
            proposals=OPEN,
            roi={"op": "warp"},
            rpn={"box_loss": "giou"},
        ),
        "float32",
    ),
    "vgg": (
        change(
            VGG,
            box_head={"per_class_weights": (0.5, 1.0, 2.0, 4.0)},
            proposals=OPEN,
            roi={"op": "pool"},
            rpn={"box_loss": "huber"},
        ),
        "bfloat16",
    ),
    "mobilenet, batch": (
        change(
            MOBILENET,
            backbone={"norm": "batch"},
            box_head={"box_loss": "diou", "class_loss": "sigmoid"},
            detections={"soft_nms": "linear"},
            proposals=CLOSED,
            roi={"op": "align_unaligned", "sampling_ratio": 0},
        ),
        "float32",
    ),
}


def config_of(model, **train):
    # Of optax: Adam, a decay of the learning rate, clipping, and the average.
    optimizer = OptimizerConfig(
        name="adamw", schedule="cosine", clip_norm=1.0, ema_decay=0.9, accumulate=2
    )
    return Config(model=model, train=TrainConfig(batch_size=2, optimizer=optimizer, **train))


def trace_step(config, stage="joint"):
    """The state before a training step, and the metrics after it, in shapes alone."""
    detector = build(config.model)

    def step(state, batch):
        return train_step(detector, config, state, batch, stage=stage)

    with strict():
        state = jax.eval_shape(lambda: create_state(detector, config))
        _, metrics = jax.eval_shape(step, state, make_batch())
    return state, metrics


@pytest.mark.parametrize("name", slow_but(("fpn, frozen", "fpn, group everywhere"), MODELS))
def test_a_training_step_and_an_evaluation_promote_nothing(name):
    """They hold `forward_train` with its gradient, and without, and `forward_infer`."""
    model, dtype = MODELS[name]
    config = config_of(dataclasses.replace(model, compute_dtype=dtype))
    state, metrics = trace_step(config)
    with strict():
        found, losses, _ = jax.eval_shape(
            lambda variables, batch: eval_step(build(config.model), variables, batch, 0),
            state.variables,
            make_batch(),
        )
    assert metrics["loss"].dtype == losses["loss"].dtype == jnp.float32
    assert found.boxes.dtype == found.scores.dtype == jnp.float32


@pytest.mark.parametrize("stage", slow_but(("joint",), ("joint", "rpn", "fast_rcnn")))
def test_a_step_with_diagnostics_promotes_nothing(stage):
    joint = stage == "joint"
    diagnostics = DiagnosticsConfig(every=2, curvature=joint)
    scheme = "joint" if joint else "alternating"
    _, metrics = trace_step(config_of(C4, scheme=scheme, diagnostics=diagnostics), stage)
    assert ("diagnostics/curvature/pooling" in metrics) == joint
    assert "diagnostics/width/0.5" in metrics


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
@pytest.mark.parametrize("name", ROI_OPS)
def test_a_roi_op_and_its_gradient_promote_nothing(name, sampling_ratio, dtype):
    if sampling_ratio == 0 and name in ("crop_resize", "warp"):
        pytest.skip("needs a sampling ratio")
    maps = [jnp.zeros((8, 12, 3), dtype), jnp.zeros((4, 6, 3), dtype)]
    boxes, levels = jnp.zeros((5, 4)), jnp.zeros(5, jnp.int32)

    def total(maps, boxes):
        pooled = ROI_OPS[name](maps, (4, 8), boxes, levels, 2, sampling_ratio)
        return jnp.sum(pooled.astype(jnp.float32))

    with strict():
        of_maps, of_boxes = jax.eval_shape(jax.grad(total, argnums=(0, 1)), maps, boxes)
    assert {x.dtype for x in of_maps} == {jnp.dtype(dtype)}
    assert of_boxes.dtype == jnp.float32
