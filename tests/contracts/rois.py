"""What is done with the RoIs that are trained: the gradient gate and the losses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.config import BoxHeadConfig, ProposalsConfig
from jaxrcnn.stages.gate import Gate
from jaxrcnn.stages.losses import RoiLosses
from jaxrcnn.types import BoxOutput, Gates, RoiSamples
from tests.contracts.shared import check_static, quick_jit

PADDED = np.array([[0, 0, 0, 0], [50, 40, 10, 5], [-500, -500, -400, -400]], np.float32)
"""What may be in the place of a box that is not valid: anything finite."""

_ANSWERS = ((4,), (3, 4))
"""Of a RoI, with three classes."""


def check_gate(gate: Gate) -> None:
    """Check a gradient gate: values stay, gradients are finite, gates of 0 shut it."""
    check_static(gate)
    config = ProposalsConfig(stop_gradient=False)
    rois = _random_rois(0, np.array([[True] * 5 + [False]] * 2))
    for gates in (None, Gates(1.0, 0.5)):
        out = jax.eval_shape(lambda rois, gates=gates: gate(rois, config, gates), rois)
        assert isinstance(out, RoiSamples), "it returns RoiSamples"
        same = jax.tree.map(lambda x, y: (x.shape, x.dtype) == (y.shape, y.dtype), rois, out)
        assert all(jax.tree.leaves(same)), "shapes and dtypes stay as they are"

    @quick_jit
    def gradients(boxes: Any, references: Any, gates: Any) -> Any:
        def total(boxes: Any, references: Any) -> Any:
            out = gate(rois._replace(boxes=boxes, references=references), config, gates)
            counted = jnp.where(rois.valid[..., None], out.boxes + out.references, 0)
            return jnp.sum(counted), out

        return jax.grad(total, (0, 1), has_aux=True)(boxes, references)

    opened, out = gradients(rois.boxes, rois.references, Gates(1.0, 1.0))
    shut, _ = gradients(rois.boxes, rois.references, Gates(0.0, 0.0))
    for name, before, after in zip(RoiSamples._fields, rois, out, strict=True):
        assert np.array_equal(before, after), f"the values stay as they are, those of {name} too"
    assert all(jnp.isfinite(x).all() for x in opened), "gradients are finite"
    assert not any(jnp.any(x[~rois.valid] != 0) for x in opened), "a padded row has no gradient"
    assert not any(jnp.any(x != 0) for x in shut), "gates of 0 let no gradient through"


def check_roi_losses(losses: RoiLosses, config: BoxHeadConfig | None = None) -> None:
    """Check the losses of a RoI: shapes, masks, weights, independence of RoIs, gradients.

    Args:
        losses: as `jaxrcnn.stages.losses.roi_losses`.
        config: what they are given, by default the default one; three classes.
    """
    check_static(losses)
    wanted = BoxHeadConfig() if config is None else config
    valid = np.array([[True] * 5 + [False]] * 2)
    rois, rng = _random_rois(0, valid), np.random.default_rng(1)
    output = BoxOutput(*(jnp.asarray(rng.normal(size=(2, 6, *s)), jnp.float32) for s in _ANSWERS))
    for boxes in (3, 1):
        deltas = jax.ShapeDtypeStruct((2, 6, boxes, 4), jnp.float32)
        out = jax.eval_shape(
            lambda output: losses(output, rois, jnp.ones(2), wanted), output._replace(deltas=deltas)
        )
        _check_loss_shapes(out)

    @quick_jit
    def run(output: Any, rois: Any, weights: Any) -> Any:
        def total(output: Any, references: Any) -> Any:
            out = losses(output, rois._replace(references=references), weights, wanted)
            return jnp.sum(out[0]) + jnp.sum(out[1]), out

        return jax.grad(total, (0, 1), has_aux=True)(output, rois.references)

    (of_output, of_references), out = run(output, rois, jnp.ones(2))
    box_reg = out[1]
    assert all(jnp.isfinite(x).all() for x in out), "losses are finite"
    assert not any(jnp.any(x[~valid] != 0) for x in out), "a RoI that is not valid adds nothing"
    assert not jnp.any(box_reg[rois.labels == 0] != 0), "the background has no box loss"
    gradients = [*of_output, of_references]
    assert all(jnp.isfinite(x).all() for x in gradients), "gradients are finite"
    assert not any(jnp.any(x[~valid] != 0) for x in gradients), "a padded row has no gradient"
    assert all(jnp.any(x != 0) for x in of_output), "logits and deltas are trained"
    _, halved = run(output, rois, jnp.array([0.5, 0.0]))
    for one, two in zip(out, halved, strict=True):
        scaled = jnp.allclose(two[0], one[0] / 2, rtol=1e-4) and not jnp.any(two[1] != 0)
        assert scaled, "the weight of an image is a factor of its losses"
    _, halved = run(output, rois._replace(weights=rois.weights / 2), jnp.ones(2))
    for one, two in zip(out, halved, strict=True):
        scaled = jnp.allclose(two, one / 2, rtol=1e-4)
        assert scaled, "the weight of a RoI is a factor of its losses"
    _, other = run(jax.tree.map(lambda x: x.at[:, 3:].set(1), output), rois, jnp.ones(2))
    for one, two in zip(out, other, strict=True):
        assert jnp.allclose(one[:, :3], two[:, :3], rtol=1e-4), "RoIs do not see each other"


def _check_loss_shapes(out: Any) -> None:
    assert isinstance(out, tuple | list), "it returns two: of the class and of the box"
    assert len(out) == 2, "it returns two: of the class and of the box"
    for x in out:
        assert x.shape == (2, 6), f"a loss for every RoI, (N, S) = (2, 6), not {x.shape}"
        assert x.dtype == jnp.float32, f"losses are float32, not {x.dtype}"


def _random_rois(seed: int, valid: np.ndarray) -> RoiSamples:
    """RoIs (N, S) of three classes, with garbage where they are not valid."""
    rng = np.random.default_rng(seed)
    shape = valid.shape
    corner = rng.uniform(0, 30, (*shape, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 30, (*shape, 2))], 2)
    garbage = PADDED[rng.integers(0, len(PADDED), shape)]
    boxes = np.where(valid[..., None], boxes, garbage).astype(np.float32)
    labels = rng.integers(0, 4, shape).astype(np.int32)
    labels[:, :2] = [[0, 1]]
    return RoiSamples(
        boxes=jnp.asarray(boxes),
        references=jnp.asarray(boxes),
        labels=jnp.asarray(labels),
        matched_boxes=jnp.asarray(boxes + rng.uniform(0, 3, boxes.shape).astype(np.float32)),
        weights=jnp.ones(shape),
        valid=jnp.asarray(valid),
        matched=jnp.zeros(shape, jnp.int32),
    )
