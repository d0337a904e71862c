"""The four losses of joint training (paper, section 3.1.2; Fast R-CNN, section 2.3).

Normalised as Detectron2 does: both RPN losses by the number of anchors that are asked for in all
images (or as torchvision does, by those that were drawn: rpn.loss_mean), both losses of the
second stage by the number of RoIs that were drawn, or mined. The weight of an image, a box or a
class scales its terms and not the normaliser; images of weight 0 are padding and do not count
there.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp

from jaxrcnn.config import BoxHeadConfig, RpnConfig
from jaxrcnn.ops.boxes import complete_iou, decode, distance_iou, encode, generalized_iou
from jaxrcnn.stages.assignment import Assignment
from jaxrcnn.types import Array, BoxOutput, RoiSamples, RpnOutput, at_least_float32

RoiLosses = Callable[[BoxOutput, RoiSamples, Array, BoxHeadConfig], tuple[Array, Array]]
"""What every RoI adds to both losses: losses of one's own have the arguments of `roi_losses`."""

BoxLoss = Literal["smooth_l1", "l1", "huber", "giou", "diou", "ciou"]
IOU_LOSSES = {"giou": generalized_iou, "diou": distance_iou, "ciou": complete_iou}


def regression_loss(error: Array, kind: BoxLoss, beta: float) -> Array:
    """Elementwise loss of a difference of box deltas, any shape, float32.

    "smooth_l1" is quadratic below beta with slope 1 beyond (Fast R-CNN, equation 3, there beta 1);
    "huber" is beta times that, so its slope is beta; "l1" is the absolute value.
    """
    size = jnp.abs(error)
    if kind == "l1" or beta == 0:
        return size
    smooth = jnp.where(size < beta, 0.5 * error**2 / beta, size - 0.5 * beta)
    return beta * smooth if kind == "huber" else smooth


def box_loss(
    deltas: Array,
    references: Array,
    targets: Array,
    coder_weights: Sequence[float],
    kind: BoxLoss,
    beta: float,
) -> Array:
    """Loss of box deltas against target boxes, summed over the coordinates.

    Differentiable in the references too: they enter through the encoded targets, or for the IoU
    losses through the decoded boxes. That is the gate's route "targets".

    Args:
        deltas: (..., 4) what the network said, float32.
        references: (..., 4) anchors or proposals, pixels.
        targets: (..., 4) ground truth, pixels.

    Returns:
        (...) float32.
    """
    if kind in IOU_LOSSES:
        return 1.0 - IOU_LOSSES[kind](decode(deltas, references, coder_weights), targets)
    return regression_loss(deltas - encode(targets, references, coder_weights), kind, beta).sum(-1)


def softmax_loss(logits: Array, labels: Array, per_class_weights: Sequence[float] = ()) -> Array:
    """Cross-entropy of a softmax over the background and the classes.

    As `torch.nn.functional.cross_entropy` with `weight` and without reduction.

    Args:
        logits: (..., K + 1), the background's first.
        labels: (...) int32, 0 is the background.
        per_class_weights: K + 1 numbers, factors on the loss by the label; empty for none.

    Returns:
        (...) float32.
    """
    log_probabilities = jax.nn.log_softmax(at_least_float32(logits))
    loss = -_take_class(log_probabilities, labels)
    if per_class_weights:
        loss *= jnp.asarray(per_class_weights, loss.dtype)[labels]
    return loss


def sigmoid_loss(logits: Array, labels: Array) -> Array:
    """Binary cross-entropy of every class, summed over the classes.

    Detectron2's MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE. The background has no term: it is what is of no
    class, and its logit is ignored.

    Args:
        logits: (..., K + 1), the background's first.
        labels: (...) int32, 0 is the background.

    Returns:
        (...) float32.
    """
    return jax.nn.softplus(-_signed_logits(logits, labels)).sum(-1)


def focal_loss(logits: Array, labels: Array, alpha: float, gamma: float) -> Array:
    """Sigmoid focal loss (arXiv 1708.02002, equation 5), summed over the classes.

    As `torchvision.ops.sigmoid_focal_loss`. The background has no term, as in `sigmoid_loss`.

    Args:
        logits: (..., K + 1), the background's first.
        labels: (...) int32, 0 is the background.
        alpha: weight of the class that is the label; all others have 1 - alpha.
        gamma: exponent of the probability of the wrong answer.

    Returns:
        (...) float32.
    """
    signed = _signed_logits(logits, labels)
    # The probability of the wrong answer is sigmoid(-signed), its logarithm -softplus(signed). A
    # power would have no gradient where it rounds to 0.
    modulation = jnp.exp(-gamma * jax.nn.softplus(signed))
    balance = jnp.where(_is_class(logits, labels), alpha, 1 - alpha).astype(signed.dtype)
    return (balance * modulation * jax.nn.softplus(-signed)).sum(-1)


def class_loss(logits: Array, labels: Array, config: BoxHeadConfig) -> Array:
    """The class loss that the config asks for: logits (..., K + 1), labels (...) -> (...)."""
    match config.class_loss:
        case "softmax":
            return softmax_loss(logits, labels, config.per_class_weights)
        case "sigmoid":
            return sigmoid_loss(logits, labels)
        case "focal":
            return focal_loss(logits, labels, config.focal_alpha, config.focal_gamma)


@jax.named_scope("rpn_losses")
def rpn_losses(
    rpn: RpnOutput,
    anchors: Array,
    samples: Assignment,
    image_weights: Array,
    config: RpnConfig,
) -> tuple[Array, Array]:
    """Objectness and box loss of the RPN over a batch, scalars.

    Args:
        rpn: (N, A, ...) the network's answer.
        anchors: (A, 4) pixels.
        samples: (N, S, ...) the anchors that are trained.
        image_weights: (N,).
        config: kind and factors of the losses.
    """
    logits = jnp.take_along_axis(rpn.objectness, samples.index, 1)  # (N, S)
    deltas = jnp.take_along_axis(rpn.deltas, samples.index[..., None], 1)  # (N, S, 4)
    weights = samples.weights * image_weights[:, None]
    # Binary cross-entropy of the logits: log(1 + exp(x)) - x * target.
    objectness = jax.nn.softplus(logits) - logits * samples.foreground.astype(logits.dtype)
    regression = box_loss(
        deltas,
        anchors[samples.index],
        samples.matched_boxes,
        config.coder_weights,
        config.box_loss,
        config.box_loss_beta,
    )
    real = image_weights > 0
    if config.loss_mean == "asked":
        count = config.samples * real.sum()
    else:
        count = (samples.valid & real[:, None]).sum()
    count = jnp.maximum(count, 1).astype(logits.dtype)
    return (
        config.objectness_weight * _masked(objectness * weights, samples.valid).sum() / count,
        config.box_weight * _masked(regression * weights, samples.foreground).sum() / count,
    )


def roi_losses(
    output: BoxOutput, samples: RoiSamples, image_weights: Array, config: BoxHeadConfig
) -> tuple[Array, Array]:
    """What every RoI adds to the class and the box loss of `box_head_losses`, before the division.

    Returns:
        (N, S) float32 each, 0 where a RoI is invalid, and for the background's boxes.
    """
    weights = samples.weights * image_weights[:, None]
    classification = class_loss(output.class_logits, samples.labels, config)
    foreground = samples.valid & (samples.labels > 0)
    of_class = jnp.minimum(jnp.maximum(samples.labels - 1, 0), output.deltas.shape[2] - 1)
    deltas = jnp.take_along_axis(output.deltas, of_class[..., None, None], 2)[:, :, 0]
    regression = box_loss(
        deltas,
        samples.references,
        samples.matched_boxes,
        config.coder_weights,
        config.box_loss,
        config.box_loss_beta,
    )
    return (
        config.class_weight * _masked(classification * weights, samples.valid),
        config.box_weight * _masked(regression * weights, foreground),
    )


@jax.named_scope("box_head_losses")
def box_head_losses(
    output: BoxOutput,
    samples: RoiSamples,
    image_weights: Array,
    config: BoxHeadConfig,
    roi_losses: RoiLosses = roi_losses,
) -> tuple[Array, Array]:
    """Class and box loss of the second stage over a batch, scalars.

    Args:
        output: (N, S, ...) the box head's answer.
        samples: (N, S, ...) the RoIs it was asked about.
        image_weights: (N,).
        config: kind and factors of the losses.
        roi_losses: what every RoI adds.
    """
    box_class, box_reg = roi_losses(output, samples, image_weights, config)
    counted = samples.valid & (image_weights[:, None] > 0)
    count = jnp.maximum(counted.sum(), 1).astype(box_class.dtype)
    return box_class.sum() / count, box_reg.sum() / count


def _take_class(values: Array, labels: Array) -> Array:
    """values (..., K + 1) at labels (...) -> (...)."""
    return jnp.take_along_axis(values, labels[..., None], -1)[..., 0]


def _is_class(logits: Array, labels: Array) -> Array:
    """Which class is the label, (..., K) bool; none for the background."""
    return jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)[..., 1:]


def _signed_logits(logits: Array, labels: Array) -> Array:
    """The classes' logits (..., K), negated where the class is not the label: larger is better."""
    of_classes = at_least_float32(logits[..., 1:])
    return jnp.where(_is_class(logits, labels), of_classes, -of_classes)


def _masked(values: Array, mask: Array) -> Array:
    """The values where the mask is set and 0 elsewhere, in float32."""
    return at_least_float32(jnp.where(mask, values, 0.0))
