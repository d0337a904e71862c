"""What training will take: padding, memory, and seconds for a step."""

import contextlib
import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrcnn.checking.anchors import check_anchors
from jaxrcnn.config import Config
from jaxrcnn.data.buckets import padded_area, resized_sizes
from jaxrcnn.data.loader import empty_train_batches, train_batches
from jaxrcnn.data.planning import training_buckets
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import build
from jaxrcnn.recipe.timing import seconds_per_step
from jaxrcnn.training.memory import need_of
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import compile_programs


class Fit(NamedTuple):
    """How a config and the images that it is trained on go together, as check.json has it."""

    anchors: dict[str, Any] | None
    batches: dict[str, Any]
    cost: dict[str, Any]


def describe_fit(dataset: Dataset, config: Config, measured: bool) -> Fit:
    """Anchors, batches and cost of training.

    Args:
        dataset: the training set.
        config: of the run.
        measured: compile and run a training step.
    """
    data = dataclasses.replace(config.data, on_error="skip", max_skipped_share=1.0)
    config = dataclasses.replace(config, data=data)
    model = dataclasses.replace(config.model, num_classes=len(dataset.class_names))
    cost = measure if measured else forecast
    return Fit(
        check_anchors(dataset, config),
        check_padding(dataset, config),
        cost(dataset, dataclasses.replace(config, model=model)),
    )


def check_padding(dataset: Dataset, config: Config) -> dict[str, Any]:
    """The shapes of training's batches, and the share of their pixels that is padding."""
    data = config.data
    buckets = training_buckets(dataset, config)
    sides = data.train_short_sides or (data.short_side,)
    sizes = [resized_sizes(dataset.sizes, x, data.long_side, data.resize) for x in sides]
    area = np.mean([each.prod(axis=1).sum() for each in sizes])
    return {
        "shapes": list(buckets.shapes),
        "images": np.bincount(buckets.of_record, minlength=len(buckets.shapes)).tolist(),
        "padded_share": float(1 - area / padded_area(buckets)),
    }


def forecast(dataset: Dataset, config: Config) -> dict[str, Any]:
    """The least memory that training takes, from the shapes of its arrays; nothing is compiled.

    Activations are not in it: how many XLA keeps is known once the step is compiled.
    """
    programs = compile_programs(build(config.model), config)
    state = programs.state_shapes()
    batch = max(_bytes(batch) for batch in empty_train_batches(dataset, config))
    parameters = _bytes(state.variables["params"])
    return {
        "how": "computed from array shapes, without activations",
        "parameters": sum(x.size for x in jax.tree.leaves(state.variables["params"])),
        "memory_bytes": _bytes(state) + parameters + batch * config.train.batch_size,
        "seconds_per_step": None,
    }


def measure(dataset: Dataset, config: Config) -> dict[str, Any]:
    """Memory and seconds of a training step, which is compiled and run; takes minutes on a CPU."""
    detector = build(config.model)
    programs = compile_programs(detector, config)
    with Progress(config.train.steps) as progress:
        seconds = seconds_per_step(config, detector, dataset, progress)
    state = programs.create_state()
    found = {**forecast(dataset, config), "seconds_per_step": seconds}
    with contextlib.closing(train_batches(dataset, config)) as batches:
        batch = programs.put_batch(next(batches))
    planned = programs.train_step.planned(state, batch, "joint")
    if planned is None:
        return {**found, "how": "the time measured, the memory computed from array shapes"}
    need = need_of(planned, state, batch, config)
    size = _bytes(state) + _bytes(batch) + need.step + need.inputs
    return {**found, "how": "measured on this machine", "memory_bytes": size}


def _bytes(tree: Any) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
