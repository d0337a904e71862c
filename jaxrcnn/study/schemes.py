"""The ways to train that a study compares (paper, section 3.2), each as changes to a config."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jaxrcnn.config import AlternatingConfig, AlternatingStep, Config


def _joint(config: Config, **gate: Any) -> Config:
    """Joint training with a gate; what is not given stands as by default but for its limits."""
    fields = {
        "stop_gradient": False,
        "pooling_gradient": 1.0,
        "target_gradient": 1.0,
        "open_after": 0,
        "open_over": 0,
        **gate,
    }
    proposals = replace(config.model.proposals, **fields)
    return replace(
        config,
        model=replace(config.model, proposals=proposals),
        train=replace(config.train, scheme="joint"),
    )


def approximate(config: Config) -> Config:
    """The gradient stops at the proposals."""
    return _joint(config, stop_gradient=True)


def exact(config: Config) -> Config:
    """The gradient flows through the proposals on both routes."""
    return _joint(config)


def pooling(config: Config) -> Config:
    """It flows through the RoI op alone."""
    return _joint(config, target_gradient=0.0)


def targets(config: Config) -> Config:
    """It flows through the regression targets alone."""
    return _joint(config, pooling_gradient=0.0)


def late(config: Config) -> Config:
    """As exact, but closed for the first quarter of the steps, then opening over a tenth."""
    steps = config.train.steps
    return _joint(config, open_after=steps // 4, open_over=steps // 10)


def alternating(config: Config) -> Config:
    """RPN and Fast R-CNN in turn; the config's table, its steps scaled to the budget."""
    config = approximate(config)
    steps = scaled_steps(config.train.alternating.steps, config.train.steps)
    train = replace(config.train, scheme="alternating", alternating=AlternatingConfig(steps))
    return replace(config, train=train)


def scaled_steps(table: tuple[AlternatingStep, ...], total: int) -> tuple[AlternatingStep, ...]:
    """The table with its proportions kept and `total` steps in all, milestones in step."""
    whole, done, ends = sum(step.steps for step in table), 0, [0]
    for step in table:
        done += step.steps
        ends.append(round(done * total / whole))
    return tuple(
        replace(
            step,
            steps=end - start,
            milestones=tuple(round(m * (end - start) / step.steps) for m in step.milestones),
        )
        for step, start, end in zip(table, ends, ends[1:], strict=False)
    )


SCHEMES: dict[str, Callable[[Config], Config]] = {
    "approximate": approximate,
    "exact": exact,
    "pooling": pooling,
    "targets": targets,
    "late": late,
    "alternating": alternating,
}
"""What a scheme makes of the config of a study."""
