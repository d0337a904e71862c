"""The programs of a run, each one program for all of its devices: images are divided among them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Detector, forward_propose
from jaxrcnn.runtime.xla import jit_once, jit_program
from jaxrcnn.training.alternating import Stage
from jaxrcnn.training.knobs import Knobs, knobs_of, with_shut_gate, without_knobs
from jaxrcnn.training.mesh import (
    divided,
    everywhere,
    make_mesh,
    own_rows,
    put_everywhere,
    put_images,
)
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
    eval_step: Program  # (variables, batch) -> (detections, losses, proposals)
    put_batch: Callable[[Batch], Batch]  # host arrays -> the devices
    propose: Program  # (variables, batch, train=False) -> Proposals
    state_shapes: Callable[[], Any]  # () -> TrainState of shapes and places; nothing is compiled
    rows: Callable[[int], Sequence[int]] = range  # of a batch of such a size: those of this process


def compile_programs(
    detector: Detector,
    config: Config,
    optimizer: Optimizer = default_optimizer,
    devices: Sequence[Any] | None = None,
) -> Programs:
    """The programs of a run on all devices.

    They are compiled when they are first called. Runs in one process whose configs differ in their
    `Knobs` alone share them.

    Args:
        detector: the pieces.
        config: of the run.
        optimizer: a function at module level, since it is a static argument.
        devices: by default all, those of other processes included.

    Raises:
        ConfigError: train.mesh does not fit the devices, or a batch size is not a multiple of their
            number.
    """
    mesh = make_mesh(config.train.mesh, devices)
    _check_batch_sizes(config, mesh)
    whole = everywhere(mesh)
    knobs, shared = put_everywhere(knobs_of(config), mesh), without_knobs(config)
    # The gate matters to gradients alone: with it shut, all schemes share what takes none.
    shut = with_shut_gate(shared)
    trained, used = (detector._replace(config=x.model) for x in (shared, shut))
    create = functools.partial(jit_once, create_state, static_argnums=(0, 1, 4))

    def shapes() -> Any:
        return create().eval_shape(used, shut, knobs, 0, optimizer)

    # Where nothing is divided, the state's shapes need not be known, which takes a moment.
    placing = whole if mesh.shape["fsdp"] == 1 else divided(shapes(), mesh)
    placed = create(out_shardings=placing)
    return Programs(
        create_state=lambda draw=0: placed(
            used, shut, knobs, put_everywhere(draw, mesh), optimizer
        ),
        train_step=_train_program((trained, shared), knobs, optimizer, (placing, whole), mesh),
        eval_step=_eval_program(used, knobs, whole, mesh),
        put_batch=lambda batch: put_images(batch, mesh),
        propose=_propose_program(used, whole, mesh),
        state_shapes=lambda: _placed(shapes(), mesh),
        rows=range if whole.is_fully_addressable else lambda size: own_rows(size, mesh),
    )


def _train_program(
    static: tuple[Detector, Config], knobs: Knobs, optimizer: Optimizer, places: Any, mesh: Mesh
) -> Program:
    """`train_step`; places are those of the state and of the metrics."""
    none_skipped = put_everywhere(jnp.int32(0), mesh)
    step = jit_program(
        train_step,
        static_argnums=(0, 1),
        static_argnames=("stage", "optimizer"),
        donate_argnums=2,
        out_shardings=places,
    )

    def arguments(
        state: Any, batch: Any, stage: Stage = "joint", skipped: Any = none_skipped
    ) -> Any:
        return (state, batch, knobs, skipped), {"stage": stage, "optimizer": optimizer}

    return Program(step, static, arguments, mesh)


def _eval_program(detector: Detector, knobs: Knobs, place: Any, mesh: Mesh) -> Program:
    """`eval_step`; place is that of its results."""
    step = jit_program(eval_step, static_argnums=0, out_shardings=place)

    def arguments(variables: Any, batch: Any) -> Any:
        return (variables, batch, knobs.seed), {}

    return Program(step, (detector,), arguments, mesh)


def _propose_program(detector: Detector, place: Any, mesh: Mesh) -> Program:
    """`forward_propose`; place is that of the proposals."""
    propose = jit_program(
        forward_propose, static_argnums=0, static_argnames="train", out_shardings=place
    )

    def arguments(variables: Any, batch: Any, train: bool = False) -> Any:
        return (variables, batch.images, batch.image_sizes), {"train": train}

    return Program(propose, (detector,), arguments, mesh)


def _check_batch_sizes(config: Config, mesh: Mesh) -> None:
    for field, size in (
        ("train.batch_size", config.train.batch_size),
        ("eval.batch_size", config.eval.batch_size),
    ):
        if size % mesh.size:
            raise ConfigError(
                f"{field}={size} must be a multiple of {mesh.size}, the number of devices"
            )


def _placed(shapes: Any, mesh: Mesh) -> Any:
    """The same shapes, with the places of their arrays."""
    return jax.tree.map(
        lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
        shapes,
        divided(shapes, mesh),
    )
