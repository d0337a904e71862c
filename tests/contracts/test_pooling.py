"""Our own RoI ops keep the contract, and one that breaks a promise is found out."""

import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.ops.roi_align import roi_align
from jaxrcnn.stages.pooling import ROI_OPS
from tests.contracts import check_roi_op


@pytest.mark.parametrize("name", ROI_OPS)
def test_our_roi_ops_keep_the_contract(name):
    check_roi_op(ROI_OPS[name])


def wrong_side(features, strides, boxes, levels, output_size, sampling_ratio):
    return roi_align(features, strides, boxes, levels, output_size + 1, sampling_ratio)


def always_float32(*args):
    return roi_align(*args).astype(jnp.float32)


def one_level(features, strides, boxes, levels, output_size, sampling_ratio):
    return roi_align(features, strides, boxes, levels * 0, output_size, sampling_ratio)


def all_levels(features, strides, boxes, levels, output_size, sampling_ratio):
    rest = output_size, sampling_ratio
    return sum(roi_align(features, strides, boxes, levels * 0 + i, *rest) for i in range(2))


def not_a_number(features, strides, boxes, *rest):
    lost = jnp.isnan(boxes).any(-1)[:, None, None, None]
    return jnp.where(lost, jnp.nan, roi_align(features, strides, boxes, *rest))


def across_rows(*args):
    pooled = roi_align(*args)
    return pooled - pooled.mean(0)


def divides_by_the_side(features, strides, boxes, *rest):
    side = boxes[:, 2] - boxes[:, 0]
    factor = jnp.where(side > 0, 1 + 1 / side, 1)[:, None, None, None]
    return roi_align(features, strides, boxes, *rest) * factor.astype(features[0].dtype)


def no_gradient(features, *rest):
    return roi_align(jax.lax.stop_gradient(features), *rest)


@pytest.mark.parametrize(
    ("op", "promise"),
    [
        (wrong_side, "R, P, P, C"),
        (always_float32, "features' dtype"),
        (one_level, "own level"),
        (all_levels, "own level"),
        (not_a_number, "padded row is finite"),
        (across_rows, "changes no other"),
        (divides_by_the_side, "boxes' gradient is finite"),
        (no_gradient, "has a gradient"),
    ],
)
def test_a_broken_roi_op_is_found_out(op, promise):
    with pytest.raises(AssertionError, match=promise):
        check_roi_op(op)
