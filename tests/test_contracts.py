"""Our own pieces keep the contracts, and a piece that breaks one is found out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.config import BackboneConfig, NeckConfig
from jaxrcnn.nets.backbone import Backbone
from jaxrcnn.ops.roi_align import roi_align
from jaxrcnn.ops.sampling import Sample, sample
from jaxrcnn.stages.pooling import ROI_OPS
from tests.contracts import check_backbone, check_roi_op, check_sampler
from tests.slow import slow_but

BACKBONES = {
    "fpn": Backbone(
        BackboneConfig("resnet18", "batch", frozen_stages=2, width=8),
        NeckConfig("fpn", channels=16, norm="batch"),
    ),
    "c4": Backbone(BackboneConfig("resnet18", width=8), NeckConfig("c4"), dtype="bfloat16"),
    "vgg16": Backbone(BackboneConfig("vgg16", "none"), NeckConfig("c5")),
}


@pytest.mark.parametrize("name", slow_but(("fpn", "c4"), BACKBONES))
def test_our_backbones_keep_the_contract(name):
    check_backbone(BACKBONES[name])


def test_our_sampler_keeps_the_contract():
    check_sampler(sample)


@pytest.mark.parametrize("name", ROI_OPS)
def test_our_roi_ops_keep_the_contract(name):
    check_roi_op(ROI_OPS[name])


class Good(nn.Module):
    """Keeps every promise; those below break one each."""

    strides = (8, 16)
    roi_levels = 2

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), (8, 8))(x)
        return x, nn.Conv(4, (3, 3), (2, 2))(x)


class ListOfStrides(Good):
    strides = [8, 16]  # noqa: RUF012


class CoarseToFine(Good):
    strides = (16, 8)

    def __call__(self, x, train=False):
        return super().__call__(x)[::-1]


class TooManyRoiLevels(Good):
    roi_levels = 3


class SkippedLevel(Good):
    strides = (8, 32)

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), (8, 8))(x)
        return x, nn.Conv(4, (3, 3), (4, 4))(x)


class OddStride(Good):
    strides = (6, 12)


class Unhashable(Good):
    widths: jax.Array


class WrongStride(Good):
    strides = (16, 32)


class BareMap(Good):
    strides = (8,)
    roi_levels = 1

    def __call__(self, x, train=False):
        return super().__call__(x)[0]


class UnequalChannels(Good):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), (8, 8))(x)
        return x, nn.Conv(5, (3, 3), (2, 2))(x)


class HalfMaps(Good):
    def __call__(self, x, train=False):
        return tuple(y.astype(jnp.float16) for y in super().__call__(x))


class HalfParameters(Good):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3, 3), (8, 8), param_dtype=jnp.float16)(x)
        return x, nn.Conv(4, (3, 3), (2, 2))(x)


class StrangeCollection(Good):
    @nn.compact
    def __call__(self, x, train=False):
        self.variable("memory", "x", jnp.zeros, ())
        return super().__call__(x)


class MixesImages(Good):
    def __call__(self, x, train=False):
        return tuple(y - y.mean(0) for y in super().__call__(x))


class Infinite(Good):
    def __call__(self, x, train=False):
        return tuple(y / 0 for y in super().__call__(x))


class InfiniteGradient(Good):
    def __call__(self, x, train=False):
        return tuple(jnp.sqrt(jnp.maximum(y - 1e3, 0)) for y in super().__call__(x))


class Untrained(Good):
    def __call__(self, x, train=False):
        return jax.lax.stop_gradient(super().__call__(x))


def test_a_good_backbone_passes():
    check_backbone(Good(), channels=4)


@pytest.mark.parametrize(
    ("module", "promise"),
    [
        (ListOfStrides, "strides is a tuple"),
        (CoarseToFine, "fine to coarse"),
        (TooManyRoiLevels, "roi_levels counts"),
        (SkippedLevel, "each is half"),
        (OddStride, "power of two"),
        (WrongStride, "stride 16:"),
        (BareMap, "tuple of maps"),
        (UnequalChannels, "same channels"),
        (HalfMaps, "float32 or bfloat16"),
        (HalfParameters, "parameters are float32"),
        (StrangeCollection, "collections are among"),
        (MixesImages, "do not see each other"),
        (Infinite, "maps are finite"),
        (InfiniteGradient, "gradients are finite"),
        (Untrained, "something is trained"),
    ],
)
def test_a_broken_backbone_is_found_out(module, promise):
    with pytest.raises(AssertionError, match=promise):
        check_backbone(module())


def test_an_unhashable_backbone_is_found_out():
    with pytest.raises(AssertionError, match="hashable"):
        check_backbone(Unhashable(jnp.ones(2)))


def first_come(key, label, overlap, size, foreground_fraction):
    """Keeps every promise of a sampler: lowest index first. Those below break one each."""
    del key, overlap
    limit = int(size * foreground_fraction)
    foreground = (label == 1) & (jnp.cumsum(label == 1) <= limit)
    index = jnp.nonzero(foreground | (label == 0), size=size, fill_value=-1)[0].astype(jnp.int32)
    return Sample(jnp.maximum(index, 0), index >= 0)


def too_few_places(key, label, overlap, size, foreground_fraction):
    return first_come(key, label, overlap, size - 1, foreground_fraction)


def float_index(*args):
    drawn = first_come(*args)
    return drawn._replace(index=drawn.index.astype(jnp.float32))


def whole_number_mask(*args):
    drawn = first_come(*args)
    return drawn._replace(valid=drawn.valid.astype(jnp.int32))


def padded_with_minus_one(*args):
    drawn = first_come(*args)
    return drawn._replace(index=jnp.where(drawn.valid, drawn.index, -1))


def twice(*args):
    drawn = first_come(*args)
    return drawn._replace(index=jnp.where(drawn.valid, jnp.max(drawn.index), 0))


def draws_the_forbidden(key, label, overlap, size, foreground_fraction):
    return first_come(key, jnp.maximum(label, 0), overlap, size, foreground_fraction)


def too_much_foreground(key, label, overlap, size, foreground_fraction):
    return first_come(key, label, overlap, size, 1.0)


def hidden_key(key, label, overlap, size, foreground_fraction, count=[0]):  # noqa: B006
    count[0] += 1
    return sample(jax.random.key(count[0]), label, overlap, size, foreground_fraction)


def test_a_good_sampler_passes():
    check_sampler(first_come)


@pytest.mark.parametrize(
    ("sampler", "promise"),
    [
        (too_few_places, "as many places"),
        (float_index, "index is int32"),
        (whole_number_mask, "valid is bool"),
        (padded_with_minus_one, "in range"),
        (twice, "twice"),
        (draws_the_forbidden, "never drawn"),
        (too_much_foreground, "no more than"),
        (hidden_key, "under vmap"),
    ],
)
def test_a_broken_sampler_is_found_out(sampler, promise):
    with pytest.raises(AssertionError, match=promise):
        check_sampler(sampler)


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
