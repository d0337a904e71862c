"""The gradient gate between the proposals and the second stage (paper, section 3.2)."""

from collections.abc import Callable

import jax

from jaxrcnn.config import ProposalsConfig
from jaxrcnn.ops.gradient import scale_gradient
from jaxrcnn.types import Gates, RoiSamples

Gate = Callable[[RoiSamples, ProposalsConfig, Gates | None], RoiSamples]
"""The same RoIs, of another gradient: a gate of one's own has the arguments of `gate`."""


@jax.named_scope("gate")
def gate(rois: RoiSamples, config: ProposalsConfig, gates: Gates | None = None) -> RoiSamples:
    """The gradient gate: closed, the second stage's loss does not reach the proposals' boxes.

    Closed is approximate joint training (paper, section 3.2, iii). Open, the loss flows on by two
    routes, through the RoI op and through the regression targets, which are encoded against the
    proposals: non-approximate joint training. The boxes' values never change.
    """
    widest = Gates(config.pooling_gradient, config.target_gradient)
    if config.stop_gradient or widest == (0, 0):
        return jax.lax.stop_gradient(rois)
    pooling, targets = widest if gates is None else gates
    return rois._replace(
        boxes=scale_gradient(rois.boxes, pooling),
        references=scale_gradient(rois.references, targets),
    )
