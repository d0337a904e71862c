"""How long training is: epochs as steps, and whether the schedule fits into them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from jaxrcnn import validation
from jaxrcnn.config import Config, OptimizerConfig
from jaxrcnn.training.alternating import phases
from jaxrcnn.wording import counted

SHORTEST_WARMUP = 100
"""Steps below which warm-up is not scaled, unless a tenth of training is shorter."""


def with_epochs(config: Config, num_images: int) -> Config:
    """The config with the train.steps, warm-up and milestones that its train.epochs stands for.

    Warm-up and milestones are scaled by the new train.steps over the old. A config that comes from
    here stays as it is when it comes again.

    Args:
        config: with train.epochs 0, it is returned as it is.
        num_images: length of an epoch, repeated images included.

    Raises:
        ConfigError: the config with these steps is not sound.
    """
    train = config.train
    if not train.epochs:
        return config
    epochs = Fraction(str(train.epochs))  # 0.1 of 30 images are 3, and no more
    config = with_steps(config, math.ceil(epochs * num_images / train.batch_size))
    validation.check(config)
    return config


def with_steps(config: Config, steps: int) -> Config:
    """The config with other train.steps, to which warm-up and milestones are scaled."""
    train = config.train
    optimizer = _scaled(train.optimizer, Fraction(steps, train.steps), steps)
    return replace(config, train=replace(train, steps=steps, optimizer=optimizer))


def _scaled(optimizer: OptimizerConfig, factor: Fraction, steps: int) -> OptimizerConfig:
    """The schedule for training that is longer or shorter by a factor."""
    shortest = min(SHORTEST_WARMUP, steps // 10, optimizer.warmup_steps)
    warmup = max(round(optimizer.warmup_steps * factor), shortest)
    milestones = optimizer.milestones
    if optimizer.schedule == "step":  # others do not look at them
        milestones = tuple(sorted({max(round(m * factor), warmup, 1) for m in milestones}))
    return replace(optimizer, warmup_steps=warmup, milestones=milestones)


def describe_epochs(config: Config, num_images: int) -> list[str]:
    """A line about what `with_epochs` computed; none if train.epochs is 0."""
    train, optimizer = config.train, config.train.optimizer
    if not train.epochs:
        return []
    drops = _listed(optimizer.milestones) if optimizer.schedule == "step" else ""
    steps, images = counted(train.steps, "step"), counted(train.batch_size, "image")
    return [
        f"train.epochs={train.epochs:g}, {counted(num_images, 'image')} each: {steps} of {images}, "
        f"warm-up over {optimizer.warmup_steps} steps"
        + (f", learning rate drops at step {drops}" if drops else "")
    ]


def describe_schedule(config: Config) -> list[str]:
    """A warning for warm-up and each milestone that training is too short for, in lines."""
    optimizer = config.train.optimizer
    if config.train.scheme == "joint":
        return _too_late(optimizer, config.train.steps, optimizer.milestones, "training")
    return [
        line
        for number, _, step in phases(config)
        for line in _too_late(
            optimizer, step.steps, step.milestones, f"alternating step {number + 1}"
        )
    ]


def _too_late(
    optimizer: OptimizerConfig, steps: int, milestones: Sequence[int], what: str
) -> list[str]:
    """What of the schedule lies at or beyond the end of so many steps."""
    lines, ends = [], f"{what} ends at step {steps}"
    if optimizer.warmup_steps >= steps:
        lines.append(
            f"warning: {ends}, but warm-up takes {optimizer.warmup_steps} steps "
            "(train.optimizer.warmup_steps): the learning rate never reaches its peak"
        )
    late = [milestone for milestone in milestones if milestone >= steps]
    if late and optimizer.schedule == "step":
        lines.append(
            f"warning: {ends}, but the learning rate drops at step {_listed(late)} (milestones), "
            "which has no effect"
        )
    return lines


def _listed(steps: Sequence[int]) -> str:
    return " and ".join(filter(None, [", ".join(map(str, steps[:-1])), *map(str, steps[-1:])]))
