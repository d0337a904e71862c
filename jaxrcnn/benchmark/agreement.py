"""Does a device compute what the CPU computes? The largest differences, quantity by quantity.

Both get the same variables, images, proposals and draws, so that no decision between two numbers
that are nearly equal, such as the choice of proposals, hides what the arithmetic does.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.benchmark.ops import Case
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.workload import config_for, draw_batch, draw_boxes
from jaxrcnn.config import Config
from jaxrcnn.detector import Detector, Variables, build
from jaxrcnn.training.modules import module_of
from jaxrcnn.training.pieces import Build, build_detector
from jaxrcnn.types import Array, Batch, Proposals

SHAPE = Shape(1, 256, 320)
"""Of the batch: small, for the CPU's sake."""

PROPOSALS = 256


class Difference(NamedTuple):
    """How far a device is from the CPU."""

    name: str
    largest: float  # magnitude of the CPU's values
    error: float  # largest difference

    @property
    def relative(self) -> float:
        """The error as a share of the largest magnitude; NaN stays NaN."""
        return self.error / self.largest if self.largest else self.error


def detector_differences(
    config: Config, variables: Variables, device: Any, shape: Shape = SHAPE, build: Build = build
) -> tuple[list[Difference], list[Difference]]:
    """Of a forward pass in training and of its gradients, in float32.

    Args:
        config: of the detector.
        variables: of it.
        device: beside the CPU.
        shape: of the batch.
        build: makes the detector, with its pieces that the config does not describe.

    Returns:
        The differences with the device's matrix products and convolutions in full float32, and
        those at its default precision, which may be less.
    """
    model = replace(config_for(config, shape).model, compute_dtype="float32")
    detector = build_detector(model, build, "the config")
    arguments = (*_inputs(shape, model.num_classes), jax.device_get(variables))

    def values_on(place: Any) -> list[dict[str, Any]]:
        precisions = ("highest",) if place == cpu() else ("highest", None)
        return [_on(place, detector, arguments, precision) for precision in precisions]

    (expected,), (full, *by_default) = _side_by_side(values_on, cpu(), device)
    return differences(expected, full), differences(expected, (by_default or [full])[0])


def case_differences(cases: Sequence[Case], device: Any) -> list[Difference]:
    """Of the ops, each with its own arguments, at the device's default precision."""

    def values_on(place: Any) -> dict[str, Any]:
        return {
            case.name: jax.device_get(case.call(*jax.device_put(case.arguments, place)))
            for case in cases
        }

    return differences(*_side_by_side(values_on, cpu(), device))


def _side_by_side(call: Callable[[Any], Any], *places: Any) -> list[Any]:
    """Results of calls for several devices at a time: one compiles while another does."""
    with ThreadPoolExecutor(len(places)) as pool:
        return list(pool.map(call, places))


def cpu() -> Any:
    """The host's CPU as a device of jax."""
    return jax.local_devices(backend="cpu")[0]


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """The largest difference among the arrays of each tree; flags and whole numbers count as 1.

    A key, which is no number, is left out.
    """
    return [_difference(name, expected[name], found[name]) for name in expected]


def _difference(name: str, expected: Any, found: Any) -> Difference:
    pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True)
    pairs = [tuple(np.asarray(x, np.float64) for x in pair) for pair in pairs]
    largest = max((np.abs(x).max(initial=0) for x, _ in pairs), default=0)
    error = max((np.abs(x - y).max(initial=0) for x, y in pairs), default=0)
    return Difference(name, float(largest), float(error))


def _inputs(shape: Shape, num_classes: int) -> tuple[Batch, Proposals, Any]:
    batch = draw_batch(shape, num_classes)
    boxes = draw_boxes(shape.images * PROPOSALS, shape.height, shape.width)
    boxes = boxes.reshape(shape.images, PROPOSALS, 4)  # (N*R, 4) -> (N, R, 4)
    scores = np.zeros(boxes.shape[:2], np.float32)
    fields: dict[str, Any] = {"boxes": boxes, "scores": scores, "valid": scores == 0}
    return batch, Proposals(**fields), np.asarray(jax.random.key_data(jax.random.key(0)))


def _on(device: Any, detector: Detector, arguments: Any, precision: str | None) -> dict[str, Any]:
    # Trying every algorithm of every convolution would take minutes and change no number.
    untuned = {"xla_gpu_autotune_level": 0} if device.platform == "gpu" else None
    values = jax.jit(_values, static_argnums=0, compiler_options=untuned)
    with jax.default_matmul_precision(precision):
        return jax.device_get(values(detector, *jax.device_put(arguments, device)))


def _values(
    detector: Detector, batch: Batch, proposals: Proposals, key: Array, variables: Variables
) -> dict[str, Any]:
    """What goes along the arrows with these proposals, the losses, and gradients by module."""

    def total_loss(params: Any) -> tuple[Array, dict[str, Any]]:
        losses, _, flow = detector.train(
            detector,
            {**variables, "params": params},
            batch,
            jax.random.wrap_key_data(key),
            proposals=proposals,
        )
        seen = {
            "features": flow.features,
            "RPN's logits and deltas": flow.rpn,
            "sampled RoIs": flow.rois.boxes,
            "box head's logits and deltas": flow.output,
            "losses": losses,
        }
        return sum(losses, start=jnp.zeros(())), seen

    gradients, seen = jax.grad(total_loss, has_aux=True)(variables["params"])
    modules: dict[str, list[Array]] = {}
    for path, x in jax.tree_util.tree_leaves_with_path(gradients):
        module = module_of([entry.key for entry in path])
        modules.setdefault(f"gradient in {module}", []).append(x)
    return seen | modules
