"""Steps whose losses or gradients are not finite: what happens to their updates.

A step itself leaves such an update out, because the old state is gone afterwards: its memory is
given to the new one. It counts how many in a row it left out, and passes the count to the next
step. Once the count has reached the run's limit, no step changes anything any more. So the state is
the last good one even if further steps were begun before the count was looked at.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.config import Config
from jaxrcnn.training.alternating import Stage
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Array, Batch

SKIPPED = "skipped"
"""The count among the metrics of a step: updates left out in a row, this one included."""


def most_skipped(config: Config) -> int:
    """The number of updates left out in a row with which a run stops."""
    return config.train.max_skipped if config.train.on_nonfinite == "skip" else 1


def guard(config: Config, step: Array, finite: Array, skipped: Array) -> tuple[Array, Array, Array]:
    """Whether a step may change the state, and what it counts.

    Args:
        config: of the run; static.
        step: () int32, steps done before it.
        finite: () bool, whether its losses, gradients and statistics are finite.
        skipped: () int32, updates left out in a row before it.

    Returns:
        Whether its update is made, () bool; the steps done after it, () int32; and the updates left
        out in a row, () int32. A step whose update is left out counts as done, except the one that
        reaches the limit.
    """
    most = most_skipped(config)
    going = skipped < most
    skipped = jnp.where(going, jnp.where(finite, 0, skipped + 1), skipped)
    done = skipped < most
    return going & finite, step + done.astype(jnp.int32), skipped


def on_all_devices(finite: Array) -> Array:
    """Whether a step is finite, () bool; within `jax.shard_map`, on all devices of the mesh.

    There each device has a loss of its own, but their states have to stay the same.
    """
    axes = tuple(jax.typeof(finite).manual_axis_type.varying)
    return jax.lax.pmin(finite.astype(jnp.int32), axes) > 0 if axes else finite


class Taken(NamedTuple):
    """What a step took, besides the state, and gave."""

    batch: Batch  # on the devices
    stage: Stage
    metrics: Mapping[str, Any]


class LastSteps:
    """The last steps of a run: their counts of skipped updates, and what repeats them.

    Args:
        config: of the run.
    """

    def __init__(self, config: Config) -> None:
        self._most = most_skipped(config)
        self._counts: dict[int, Any] = {}
        self._over: Any = False  # for each run of several side by side
        self.state: TrainState | None = None
        """After the last step."""
        self.taken: dict[int, Taken] = {}
        """Of the last two steps, by their number."""

    @property
    def counts(self) -> tuple[Any, ...]:
        """What the next step takes besides state, batch and stage: nothing before the first."""
        return tuple(list(self._counts.values())[-1:])

    def add(
        self,
        step: int,
        state: TrainState,
        batch: Batch,
        stage: Stage,
        metrics: Mapping[str, Any],
    ) -> None:
        """Take a step that has begun, with the state and the metrics that it gives."""
        self.state = state
        self.taken[step] = Taken(batch, stage, metrics)
        self.taken.pop(step - 2, None)
        if SKIPPED in metrics:  # a step of one's own need not count them
            self._counts[step] = metrics[SKIPPED]
            self._counts.pop(step - 2, None)

    def ends(self, step: int) -> bool:
        """Whether a run reached its limit in a step, one of the last two; waits for the step."""
        if step not in self._counts:
            return False
        over = np.asarray(jax.device_get(self._counts[step])) >= self._most
        fresh = bool(np.any(over & ~np.asarray(self._over)))
        self._over = over | np.asarray(self._over)
        return fresh
