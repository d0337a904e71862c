"""The training and the inference pass of a detector."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.detector import Detector
from jaxrcnn.types import Batch, Detections, Flow, Gates, Proposals
from tests.contracts.shared import check_static, quick_jit
from tests.tiny import make_batch, make_variables

_WAYS_TO_TRAIN: Sequence[dict[str, Any]] = (
    {},
    {"train": False},
    {"gates": Gates(1.0, 0.5)},
    {
        "proposals": Proposals(
            np.tile(np.array([4, 4, 40, 30], np.float32), (2, 5, 1)),
            np.zeros((2, 5), np.float32),
            np.ones((2, 5), bool),
        )
    },
)


def check_train(detector: Detector, batch: Batch | None = None) -> None:
    """Check a training pass: its arguments, losses, variables and flow; padding; gradients.

    Args:
        detector: with the pass, and small: it is compiled.
        batch: of two images in numpy arrays, where the pass needs something in `extra`.
    """
    check_static(detector.train)
    variables, batch = _variables_and_batch(detector, batch)
    key = jax.random.key(0)
    for options in _WAYS_TO_TRAIN:
        out = jax.eval_shape(
            lambda *a, options=options: detector.train(detector, *a, **options),
            *(variables, batch, key),
        )
        _check_trained(out, variables)

    @quick_jit
    def run(params: Any, batch: Any) -> Any:
        def total(params: Any) -> Any:
            given = {**variables, "params": params}
            losses, _, _ = detector.train(detector, given, batch, key, train=False)
            return sum(losses), losses

        return jax.grad(total, has_aux=True)(params)

    one_padded = batch._replace(image_weights=np.array([1, 0], np.float32))
    gradients, losses = run(variables["params"], one_padded)
    assert all(jnp.isfinite(x) for x in losses), "losses are finite"
    leaves = jax.tree.leaves(gradients)
    assert all(jnp.isfinite(x).all() for x in leaves), "gradients are finite"
    for part, tree in gradients.items():
        trained = any(jnp.any(x != 0) for x in jax.tree.leaves(tree))
        assert trained, f"something of the {part} is trained"
    _, other = run(variables["params"], _with_another_second_image(one_padded))
    for name, one, two in zip(losses._fields, losses, other, strict=True):
        assert jnp.allclose(one, two, rtol=1e-4), f"an image of weight 0 does not count in {name}"


def _variables_and_batch(detector: Detector, batch: Batch | None) -> tuple[Any, Batch]:
    if batch is None:
        batch = make_batch()
        labels = np.minimum(batch.labels, detector.config.num_classes)
        batch = batch._replace(labels=labels)
    return make_variables(detector), batch


def _with_another_second_image(batch: Batch) -> Batch:
    images, boxes = batch.images.copy(), batch.boxes.copy()
    images[1], boxes[1] = 255 - images[1], boxes[1] + 3
    return batch._replace(images=images, boxes=boxes)


def _check_trained(out: Any, variables: Any) -> None:
    assert isinstance(out, tuple), "it returns three: losses, variables and flow"
    assert len(out) == 3, "it returns three: losses, variables and flow"
    losses, new, flow = out
    assert hasattr(losses, "_fields"), "losses are a named tuple"
    for name, x in zip(losses._fields, losses, strict=True):
        assert x.shape == (), f"losses are scalars: {name} is {x.shape}"
        assert x.dtype == jnp.float32, f"losses are float32: {name} is {x.dtype}"
    before, after = (jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (variables, new))
    assert before == after, "variables keep their names, shapes and dtypes"
    assert isinstance(flow, Flow), "the flow is a Flow: the log says where a step went wrong"


def check_infer(detector: Detector, batch: Batch | None = None) -> None:
    """Check an inference pass: fields, dtypes, order and place of what is found; padding.

    Args:
        detector: with the pass, and small: it is compiled.
        batch: of two images in numpy arrays, where those of noise will not do.
    """
    check_static(detector.infer)
    variables, batch = _variables_and_batch(detector, batch)

    def infer(images: Any, sizes: Any) -> Any:
        return detector.infer(detector, variables, images, sizes)

    shapes = jax.eval_shape(infer, batch.images, batch.image_sizes)
    given = _WAYS_TO_TRAIN[-1]["proposals"]
    others = jax.eval_shape(
        lambda *a: detector.infer(detector, variables, *a, given), batch.images, batch.image_sizes
    )
    _check_found_shapes(shapes)
    _check_found_shapes(others)
    run = quick_jit(infer)
    found = run(batch.images, batch.image_sizes)
    _check_found(found, batch.image_sizes, detector.config.num_classes)
    padded = batch.images.copy()
    for image, (height, width) in zip(padded, batch.image_sizes, strict=True):
        image[height:], image[:, width:] = 9, 9
    padded[1] = 0
    other = run(padded, batch.image_sizes)
    same = jax.tree.map(lambda x, y: np.allclose(x[0], y[0], atol=1e-3), found, other)
    assert all(jax.tree.leaves(same)), "neither another image nor the padding changes an image"


def _check_found_shapes(found: Any) -> None:
    missing = [name for name in Detections._fields if not hasattr(found, name)]
    assert not missing, f"what is found has the fields of Detections, {missing} too"
    number = found.boxes.shape[1]
    wanted = Detections(
        *(((2, number, 4), jnp.float32), ((2, number), jnp.float32)),
        *(((2, number), jnp.int32), ((2, number), jnp.bool_)),
    )
    for name, (shape, dtype) in wanted._asdict().items():
        x = getattr(found, name)
        assert (x.shape, x.dtype) == (shape, dtype), f"{name} is {shape} {jnp.dtype(dtype)}"
    for x in jax.tree.leaves(found):
        assert x.shape[0] == 2, "the first axis of every field is that of the images"


def _check_found(found: Any, sizes: np.ndarray, num_classes: int) -> None:
    boxes, scores, labels, valid = (np.asarray(getattr(found, x)) for x in Detections._fields)
    assert valid.any(), "with weights at random and no threshold something is found"
    assert all(np.isfinite(x).all() for x in (boxes[valid], scores)), "what is found is finite"
    assert (scores[~valid] == 0).all(), "a padded place has score 0"
    assert (scores[valid] <= 1).all(), "scores are 1 at most"
    assert (np.diff(scores) <= 0).all(), "the best comes first"
    inside = (labels[valid] >= 1) & (labels[valid] <= num_classes)
    assert inside.all(), "labels are 1 to K"
    for corners, real, (height, width) in zip(boxes, valid, sizes, strict=True):
        limit = np.array([width, height] * 2) + 1e-3
        inside = (corners[real] >= -1e-3) & (corners[real] <= limit)
        assert inside.all(), "boxes lie inside their image"
