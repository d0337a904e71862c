"""RoI features: every RoI is pooled on the level of its size (FPN paper, equation 1)."""

import math
from collections.abc import Sequence

import jax

from jaxrcnn.config import RoiConfig
from jaxrcnn.ops.roi import RoiOp, assign_levels
from jaxrcnn.ops.roi_align import roi_align, roi_align_unaligned
from jaxrcnn.ops.roi_crop import crop_and_resize, roi_warp
from jaxrcnn.ops.roi_pool import roi_pool
from jaxrcnn.ops.roi_precise import roi_pool_precise
from jaxrcnn.types import Array

ROI_OPS: dict[str, RoiOp] = {
    "align": roi_align,
    "align_unaligned": roi_align_unaligned,
    "pool": roi_pool,
    "crop_resize": crop_and_resize,
    "warp": roi_warp,
    "precise": roi_pool_precise,
}
"""What config.roi.op names."""


@jax.named_scope("pool_rois")
def pool_rois(
    features: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    roi_op: RoiOp,
    config: RoiConfig,
) -> Array:
    """Pool each box of each image from the map of its level.

    Args:
        features: a (N, H, W, C) map for each level, fine to coarse, each half of the one before.
        strides: of the maps, pixels.
        boxes: (N, S, 4) pixels.
        roi_op: what pools, one image at a time.
        config: output_size P and sampling_ratio.

    Returns:
        (N*S, P, P, C) of the features' dtype.
    """

    def pool_image(features: Sequence[Array], boxes: Array) -> Array:
        levels = assign_levels(boxes, len(strides), first_level=int(math.log2(strides[0])))
        return roi_op(features, strides, boxes, levels, config.output_size, config.sampling_ratio)

    pooled = jax.vmap(pool_image)(tuple(features), boxes)
    return pooled.reshape(-1, *pooled.shape[2:])  # (N, S, P, P, C) -> (N*S, P, P, C)
