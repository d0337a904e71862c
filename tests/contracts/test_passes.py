"""Our own passes keep the contracts, and one that breaks a promise is found out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.detector import build, forward_train
from jaxrcnn.types import Array, Detections, Flow
from tests.contracts import check_infer, check_train
from tests.slow import slow_but
from tests.tiny import FPN_MODEL, MODEL, make_batch

MODELS = {"c4": MODEL, "fpn": FPN_MODEL}


@pytest.mark.parametrize("name", slow_but(("c4",), MODELS))
def test_our_training_pass_keeps_the_contract(name):
    check_train(build(MODELS[name]))


@pytest.mark.parametrize("name", slow_but(("c4",), MODELS))
def test_our_inference_pass_keeps_the_contract(name):
    check_infer(build(MODELS[name]))


class Two(NamedTuple):
    first: Array
    second: Array


def sum_of(tree):
    return sum(jnp.sum(jnp.square(x)) for x in jax.tree.leaves(tree))


def train(detector, variables, batch, key, train=True, gates=None, proposals=None):
    """Keeps every promise of a training pass and computes little; those below break one each."""
    params = variables["params"]
    brightness = jnp.sum(batch.image_weights * batch.images.mean((1, 2, 3)))
    first = brightness * (sum_of(params["backbone"]) + sum_of(params["rpn_head"]))
    losses = Two(1e-6 * first, 1e-6 * brightness * sum_of(params["box_head"]))
    return losses, variables, Flow(*[()] * 7)


def without_gates(detector, variables, batch, key, train=True, proposals=None):
    return forward_train(detector, variables, batch, key)


def losses_alone(*arguments, **options):
    return train(*arguments, **options)[0]


def plain_tuple(*arguments, **options):
    losses, *rest = train(*arguments, **options)
    return tuple(losses), *rest


def of_every_image(*arguments, **options):
    losses, *rest = train(*arguments, **options)
    return losses._replace(first=jnp.ones(2) * losses.first), *rest


def half_loss(*arguments, **options):
    losses, *rest = train(*arguments, **options)
    return losses._replace(second=losses.second.astype(jnp.bfloat16)), *rest


def loses_statistics(*arguments, **options):
    losses, variables, flow = train(*arguments, **options)
    return losses, {"params": variables["params"]}, flow


def without_flow(*arguments, **options):
    losses, variables, _ = train(*arguments, **options)
    return losses, variables, None


def infinite_loss(*arguments, **options):
    losses, *rest = train(*arguments, **options)
    return losses._replace(first=losses.first / 0), *rest


def infinite_gradient(*arguments, **options):
    losses, *rest = train(*arguments, **options)
    return losses._replace(first=losses.first + jnp.sqrt(losses.first - losses.first)), *rest


def forgets_the_box_head(*arguments, **options):
    losses, *rest = train(*arguments, **options)
    return losses._replace(second=jnp.zeros(())), *rest


def counts_padding(detector, variables, batch, *rest, **options):
    everything = batch._replace(image_weights=jnp.ones(2))
    return train(detector, variables, everything, *rest, **options)


def test_a_good_training_pass_passes():
    check_train(build(MODEL, train=train))


def with_an_extra(detector, variables, batch, *rest, **options):
    losses, *rest = train(detector, variables, batch, *rest, **options)
    factor = jnp.sum(batch.extra["factor"] * batch.image_weights)
    return losses._replace(first=losses.first * factor), *rest


def test_a_training_pass_that_needs_an_extra_is_given_a_batch():
    batch = make_batch()._replace(extra={"factor": np.array([1, 2], np.float32)})
    check_train(build(MODEL, train=with_an_extra), batch)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (losses_alone, "returns three"),
        (plain_tuple, "named tuple"),
        (of_every_image, "losses are scalars: first"),
        (half_loss, "losses are float32: second"),
        (loses_statistics, "variables keep"),
        (without_flow, "the flow is a Flow"),
        (infinite_loss, "losses are finite"),
        (infinite_gradient, "gradients are finite"),
        (forgets_the_box_head, "something of the box_head is trained"),
        (counts_padding, "weight 0 does not count in first"),
    ],
)
def test_a_broken_training_pass_is_found_out(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_train(build(MODEL, train=broken))


def test_a_training_pass_without_an_argument_is_found_out():
    with pytest.raises(TypeError, match="gates"):
        check_train(build(MODEL, train=without_gates))


def infer(detector, variables, images, image_sizes, proposals=None):
    """Keeps every promise of an inference pass, and finds each image; the others break one."""
    rows, columns = jnp.arange(images.shape[1]), jnp.arange(images.shape[2])
    height, width = image_sizes[:, :1], image_sizes[:, 1:]
    inside = (rows < height)[:, :, None] & (columns < width)[:, None]  # (N, H, W)
    brightness = jnp.mean(images, -1, where=inside[..., None]).mean((1, 2), where=inside)
    x0y0 = jnp.zeros((len(images), 2))
    boxes = jnp.concatenate([x0y0, width, height], 1)[:, None].astype(jnp.float32)
    scores = jax.nn.sigmoid(brightness / 255)[:, None]
    found = Detections(boxes, scores, jnp.ones_like(scores, jnp.int32), jnp.ones_like(scores, bool))
    nothing = jax.tree.map(jnp.zeros_like, found)
    return jax.tree.map(lambda *x: jnp.concatenate(x, 1), found, nothing)


class Named(NamedTuple):
    boxes: Array
    scores: Array
    labels: Array


class More(NamedTuple):
    boxes: Array
    scores: Array
    labels: Array
    valid: Array
    masks: Array


def with_masks(*arguments):
    return More(*infer(*arguments), masks=jnp.zeros((2, 2, 7, 7)))


def with_one_mask(*arguments):
    return More(*infer(*arguments), masks=jnp.zeros((7, 7)))


def without_valid(*arguments):
    return Named(*infer(*arguments)[:3])


def float_labels(*arguments):
    found = infer(*arguments)
    return found._replace(labels=found.labels.astype(jnp.float32))


def finds_nothing(*arguments):
    return jax.tree.map(jnp.zeros_like, infer(*arguments))


def lost_boxes(*arguments):
    found = infer(*arguments)
    return found._replace(boxes=found.boxes / 0)


def padding_scores(*arguments):
    found = infer(*arguments)
    return found._replace(scores=jnp.maximum(found.scores, 0.1))


def logits(*arguments):
    found = infer(*arguments)
    return found._replace(scores=10 * found.scores)


def worst_first(*arguments):
    return jax.tree.map(lambda x: x[:, ::-1], infer(*arguments))


def counts_from_0(*arguments):
    found = infer(*arguments)
    return found._replace(labels=found.labels * 0)


def outside(*arguments):
    found = infer(*arguments)
    return found._replace(boxes=found.boxes + 1)


def sees_the_padding(detector, variables, images, image_sizes, proposals=None):
    return infer(detector, variables, images, image_sizes * 0 + 64)._replace(
        boxes=infer(detector, variables, images, image_sizes).boxes
    )


def sees_the_batch(*arguments):
    found = infer(*arguments)
    return found._replace(scores=found.scores * found.scores.mean())


def test_good_inference_passes_pass():
    check_infer(build(MODEL, infer=infer))
    check_infer(build(MODEL, infer=with_masks))


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (without_valid, r"\['valid'\] too"),
        (with_one_mask, "the first axis"),
        (float_labels, "labels is .* int32"),
        (finds_nothing, "something is found"),
        (lost_boxes, "what is found is finite"),
        (padding_scores, "a padded place has score 0"),
        (logits, "scores are 1 at most"),
        (worst_first, "the best comes first"),
        (counts_from_0, "labels are 1 to K"),
        (outside, "boxes lie inside"),
        (sees_the_padding, "neither another image nor the padding"),
        (sees_the_batch, "neither another image nor the padding"),
    ],
)
def test_a_broken_inference_pass_is_found_out(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_infer(build(MODEL, infer=broken))
