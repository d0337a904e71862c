"""All local devices: images are shared out, parameters are everywhere, one program."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Detector, forward_propose
from jaxrcnn.runtime.xla import jit_once, jit_program
from jaxrcnn.training.knobs import knobs_of, with_shut_gate, without_knobs
from jaxrcnn.training.optimizer import Optimizer, default_optimizer
from jaxrcnn.training.program import Program
from jaxrcnn.training.state import create_state
from jaxrcnn.training.step import eval_step, train_step
from jaxrcnn.types import Batch


class Programs(NamedTuple):
    """The compiled programs of a run, and the placing of their arguments."""

    create_state: Callable[..., Any]  # (draw=0) -> TrainState
    # (state, batch, stage, skipped=0) -> (state, metrics); consumes the state
    train_step: Program
    eval_step: Program  # (variables, batch) -> (detections, losses)
    put_batch: Callable[[Batch], Batch]  # host arrays -> the devices
    propose: Program  # (variables, batch, train=False) -> Proposals
    state_shapes: Callable[[], Any]  # () -> TrainState of shapes and places; nothing is compiled


def compile_programs(
    detector: Detector, config: Config, optimizer: Optimizer = default_optimizer
) -> Programs:
    """The programs of a run on all local devices.

    They are compiled when they are first called. Runs in one process whose configs differ in their
    `Knobs` alone share them.

    Args:
        detector: the pieces.
        config: of the run.
        optimizer: a function at module level, since it is a static argument.

    Raises:
        ConfigError: a batch size is not a multiple of the number of local devices.
    """
    devices = jax.local_devices()
    for field, size in (
        ("train.batch_size", config.train.batch_size),
        ("eval.batch_size", config.eval.batch_size),
    ):
        if size % len(devices):
            raise ConfigError(
                f"{field}={size} must be a multiple of {len(devices)}, the number of local devices"
            )
    everywhere, shared_out = _placing(PartitionSpec()), _placing(PartitionSpec("batch"))
    create = jit_once(create_state, static_argnums=(0, 1, 4), out_shardings=everywhere)
    train = jit_program(
        train_step,
        static_argnums=(0, 1),
        static_argnames=("stage", "optimizer"),
        donate_argnums=2,
        out_shardings=everywhere,
    )
    evaluate = jit_program(eval_step, static_argnums=0, out_shardings=everywhere)
    propose = jit_program(
        forward_propose, static_argnums=0, static_argnames="train", out_shardings=everywhere
    )

    def shapes_of(state: Any) -> Any:
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), state
        )

    knobs, shared = put_everywhere(knobs_of(config)), without_knobs(config)
    none = put_everywhere(jnp.int32(0))
    # The gate matters to gradients alone: with it shut, all schemes share what takes none.
    shut = with_shut_gate(shared)
    trained, used = (detector._replace(config=x.model) for x in (shared, shut))
    return Programs(
        create_state=lambda draw=0: create(used, shut, knobs, put_everywhere(draw), optimizer),
        train_step=Program(
            train,
            (trained, shared),
            lambda state, batch, stage="joint", skipped=none: (
                (state, batch, knobs, skipped),
                {"stage": stage, "optimizer": optimizer},
            ),
        ),
        eval_step=Program(
            evaluate, (used,), lambda variables, batch: ((variables, batch, knobs.seed), {})
        ),
        put_batch=lambda batch: jax.device_put(batch, shared_out),
        propose=Program(
            propose,
            (used,),
            lambda variables, batch, train=False: (
                (variables, batch.images, batch.image_sizes),
                {"train": train},
            ),
        ),
        state_shapes=lambda: shapes_of(create.eval_shape(used, shut, knobs, 0, optimizer)),
    )


def put_everywhere(arrays: Any) -> Any:
    """The same arrays on all local devices."""
    return jax.device_put(arrays, _placing(PartitionSpec()))


def _placing(spec: PartitionSpec) -> NamedSharding:
    devices = jax.local_devices()
    mesh = jax.make_mesh((len(devices),), ("batch",), (AxisType.Auto,), devices=devices)
    return NamedSharding(mesh, spec)
