"""The optimiser of a run: the one that a config describes, or one's own, as optax's."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax

from jaxrcnn.config import Config, OptimizerConfig
from jaxrcnn.runtime.xla import computed_once
from jaxrcnn.training.alternating import phases
from jaxrcnn.training.layers import is_frozen, names_of, rate_factor

T = TypeVar("T")

Optimizer = Callable[[Config, "jax.Array | int"], Any]
"""What makes the transformation of an update: (config, first_step) -> optax's.

It is called while a step is traced. Its count of updates begins at step `first_step` of the run,
traced or not, and an update is config.train.optimizer.accumulate steps.
"""


class Rated(NamedTuple):
    """An `optax.GradientTransformation` that says its learning rate, so that it is logged."""

    init: Callable[..., Any]
    update: Callable[..., Any]
    rate: Callable[[jax.Array], jax.Array]  # number of steps done -> rate of the next


def with_rate(
    transformation: optax.GradientTransformation, rate: Callable[[jax.Array], jax.Array]
) -> Rated:
    """The same transformation, with the learning rate to log.

    Args:
        transformation: of optax.
        rate: the rate of a step, by the number of steps that the run has done before it.
    """
    wider: Any = optax.with_extra_args_support(transformation)
    return Rated(wider.init, wider.update, rate)


def default_optimizer(config: Config, first_step: jax.Array | int) -> Rated:
    """Clip, decay, momentum or Adam, learning rate: what config.train.optimizer describes.

    The weight decay is added to the gradient before the momentum (SGD, as torch) or after Adam's
    scaling (AdamW).
    """
    wanted = config.train.optimizer
    clip = [optax.clip_by_global_norm(wanted.clip_norm)] if wanted.clip_norm > 0 else []
    decay = optax.add_decayed_weights(wanted.weight_decay, _decayed(wanted))
    scale = (
        [decay, _momentum(wanted.momentum)]
        if wanted.name == "sgd"
        else [optax.scale_by_adam(), decay]
    )

    def of_update(count: jax.typing.ArrayLike) -> jax.Array:
        return learning_rate(config, first_step + jnp.asarray(count) * wanted.accumulate)

    if wanted.bias_rate_factor != 1:
        scale.append(optax.masked(optax.scale(wanted.bias_rate_factor), _biases))
    chain = optax.chain(*clip, *scale, optax.scale_by_learning_rate(of_update))
    return with_rate(chain, functools.partial(learning_rate, config))


def build_optimizer(
    config: Config, first_step: jax.Array | int = 0, optimizer: Optimizer = default_optimizer
) -> optax.GradientTransformation:
    """The optimiser of a run: frozen parameters stay as they are, gradients are accumulated.

    Args:
        config: of the run.
        first_step: at which the count of updates begins, traced or not.
        optimizer: makes the transformation of an update.
    """
    transformation = _of_one_update(config, first_step, optimizer)
    accumulate = config.train.optimizer.accumulate
    if accumulate == 1:
        return transformation
    return optax.MultiSteps(transformation, accumulate).gradient_transformation()


def update_now(
    config: Config,
    first_step: jax.Array | int,
    gradients: Any,
    opt_state: Any,
    params: Any,
    optimizer: Optimizer = default_optimizer,
) -> Any:
    """The parameters after an update with these gradients, as if no others were accumulated."""
    if config.train.optimizer.accumulate > 1:
        opt_state = opt_state.inner_opt_state
    transformation = _of_one_update(config, first_step, optimizer)
    updates, _ = transformation.update(gradients, opt_state, params)
    return optax.apply_updates(params, updates)


def rate_at(config: Config, step: jax.Array, optimizer: Optimizer) -> dict[str, jax.Array]:
    """The learning rate of a step, under its name among the metrics; empty if nobody says it."""
    rate = getattr(optimizer(config, 0), "rate", None)
    return {} if rate is None else {"learning_rate": jnp.asarray(rate(step), jnp.float32)}


def _of_one_update(
    config: Config, first_step: jax.Array | int, optimizer: Optimizer
) -> optax.GradientTransformationExtraArgs:
    trained: Any = optimizer(config, first_step)
    if isinstance(trained, Rated):
        trained = optax.GradientTransformationExtraArgs(trained.init, trained.update)
    return optax.partition(
        {
            "trained": _with_rate_factors(config, trained),
            "frozen": optax.set_to_zero(),
        },
        lambda params: jax.tree_util.tree_map_with_path(
            lambda path, _: "frozen" if is_frozen(names_of(path), config) else "trained", params
        ),
    )


def _with_rate_factors(config: Config, transformation: Any) -> Any:
    """The transformation, with its updates of some layers scaled; as it is without any factors."""

    def mask(factor: float) -> Callable[[Any], Any]:
        return lambda params: jax.tree_util.tree_map_with_path(
            lambda path, _: rate_factor(names_of(path), config) == factor, params
        )

    pairs = config.train.optimizer.rate_factors
    factors = dict.fromkeys(float(pair.rpartition("=")[2]) for pair in pairs)
    scales = [optax.masked(optax.scale(x), mask(x)) for x in factors if x != 1]
    return optax.chain(transformation, *scales) if scales else transformation


def _momentum(decay: float) -> optax.GradientTransformationExtraArgs:
    """optax.trace, in place; its state stays as it is where the argument `applied` is False."""
    trace: Any = optax.trace(decay)

    def update(
        updates: Any, state: Any, params: Any = None, *, applied: Any = True, **_: Any
    ) -> tuple[Any, Any]:
        new: Any = trace.update(updates, state, params)[1]
        new = computed_once(new if applied is True else chosen(applied, new, state))
        return new.trace, new

    return optax.GradientTransformationExtraArgs(trace.init, update)


def chosen(applied: Any, new: T, old: T, done: type | tuple[type, ...] = ()) -> T:
    """The new arrays where an update is made, else the old ones.

    Args:
        applied: () bool, whether it is made.
        new, old: trees.
        done: types of nodes in which `new` is chosen already.
    """

    def choose(x: Any, y: Any) -> Any:
        return x if isinstance(x, done) else jnp.where(applied, x, y)

    kept: T = jax.tree.map(choose, new, old, is_leaf=lambda x: isinstance(x, done))
    return kept


GUARDED = (optax.TraceState,)
"""The parts of the state of `default_optimizer` that themselves take `applied` into account.

A choice outside, on a CPU, would be a pass of its own over all of them.
"""


def learning_rate(config: Config, step: jax.Array | int) -> jax.Array:
    """The learning rate of a step: linear warm-up, then as config.train.optimizer.schedule says.

    In alternating training every phase has a schedule of its own.
    """
    wanted = config.train.optimizer
    peak = wanted.learning_rate
    if wanted.reference_batch_size:  # the linear scaling rule, arXiv 1706.02677
        peak *= config.train.batch_size / wanted.reference_batch_size
    turns = phases(config)
    schedules = [_schedule(wanted, turn.step.steps, turn.step.milestones) for turn in turns]
    schedules = schedules or [_schedule(wanted, config.train.steps, wanted.milestones)]
    joined = optax.join_schedules(schedules, [turn.first_step for turn in turns[1:]])
    return jnp.asarray(peak * joined(step), jnp.float32)


def _schedule(config: OptimizerConfig, steps: int, milestones: tuple[int, ...]) -> optax.Schedule:
    """Share of the largest learning rate over so many steps."""
    warmup = config.warmup_steps
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(1.0, max(steps - warmup, 1))
    else:
        drops = milestones if config.schedule == "step" else ()
        after = optax.piecewise_constant_schedule(
            1.0, {m - warmup: config.drop_factor for m in drops}
        )
    rise = optax.linear_schedule(config.warmup_factor, 1.0, max(warmup, 1))
    return optax.join_schedules([rise, after], [warmup])


def _decayed(config: OptimizerConfig) -> Any:
    """Mask of what decays: the kernels always."""
    decays = {"kernel": True, "norm": config.decay_norms, "bias": config.decay_biases}
    return lambda params: jax.tree.map(decays.__getitem__, _kinds(params))


def _biases(params: Any) -> Any:
    """Mask of the biases, but those of norms."""
    return jax.tree.map(lambda kind: kind == "bias", _kinds(params))


def _kinds(params: Any) -> Any:
    """A tree with "kernel" (two dimensions or more), "norm" (scale and bias) or "bias"."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    norms = {path[:-1] for path in paths if path[-1].key == "scale"}

    def kind(path: tuple[Any, ...], x: jax.Array) -> str:
        if x.ndim > 1:
            return "kernel"
        return "norm" if path[:-1] in norms else "bias"

    return jax.tree_util.tree_map_with_path(kind, params)
