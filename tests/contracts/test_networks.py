"""Our own networks keep the contracts, and one that breaks a promise is found out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.config import BackboneConfig, BoxHeadConfig, NeckConfig
from jaxrcnn.nets.backbone import Backbone
from jaxrcnn.nets.heads import BoxHead, RpnHead
from tests.contracts import check_backbone, check_box_head, check_rpn_head
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


def test_our_rpn_head_keeps_the_contract():
    check_rpn_head(RpnHead(3), anchors_per_cell=3)


HEADS = {
    "two_fc": BoxHeadConfig(channels=8, dropout=0.5),
    "conv_fc": BoxHeadConfig("conv_fc", channels=8, conv_channels=4, norm="batch"),
    "res5": BoxHeadConfig("res5", class_agnostic=True),
}


@pytest.mark.parametrize("name", slow_but(("two_fc",), HEADS))
def test_our_box_heads_keep_the_contract(name):
    head = BoxHead(HEADS[name], BackboneConfig("resnet18", "none", width=8), num_classes=3)
    check_box_head(head, num_classes=3)


class GoodRpnHead(nn.Module):
    """Keeps every promise with 2 anchors a cell; those below break one each."""

    @nn.compact
    def __call__(self, maps, train=False):
        logits, deltas = nn.Conv(2, (1, 1)), nn.Conv(8, (1, 1))
        maps = [x.astype("float32") for x in maps]
        return tuple(map(logits, maps)), tuple(map(deltas, maps))


class OneAnswer(GoodRpnHead):
    def __call__(self, maps, train=False):
        return super().__call__(maps)[0]


class OneLevel(GoodRpnHead):
    def __call__(self, maps, train=False):
        logits, deltas = super().__call__(maps)
        return logits[:1], deltas


class JoinedAnchors(GoodRpnHead):
    def __call__(self, maps, train=False):
        logits, deltas = super().__call__(maps)
        return logits, tuple(x[..., :4] for x in deltas)


class HalfAnswers(GoodRpnHead):
    def __call__(self, maps, train=False):
        logits, deltas = super().__call__(maps)
        return logits, tuple(x.astype(jnp.bfloat16) for x in deltas)


class MixesMaps(GoodRpnHead):
    def __call__(self, maps, train=False):
        logits, deltas = super().__call__(maps)
        return tuple(x - x.mean() for x in logits), deltas


class InfiniteAnswers(GoodRpnHead):
    def __call__(self, maps, train=False):
        logits, deltas = super().__call__(maps)
        return tuple(x / 0 for x in logits), deltas


class DetachedFromTheMaps(GoodRpnHead):
    def __call__(self, maps, train=False):
        return super().__call__(jax.lax.stop_gradient(maps))


def test_a_good_rpn_head_passes():
    check_rpn_head(GoodRpnHead(), anchors_per_cell=2)


@pytest.mark.parametrize(
    ("module", "promise"),
    [
        (OneAnswer, "returns two"),
        (OneLevel, "one for each level"),
        (JoinedAnchors, r"deltas of a level are \(2, 8, 12, 8\)"),
        (HalfAnswers, "deltas are float32"),
        (MixesMaps, "rows do not see each other"),
        (InfiniteAnswers, "answers are finite"),
        (DetachedFromTheMaps, "reaches the features"),
    ],
)
def test_a_broken_rpn_head_is_found_out(module, promise):
    with pytest.raises(AssertionError, match=promise):
        check_rpn_head(module(), anchors_per_cell=2)


class GoodBoxHead(nn.Module):
    """Keeps every promise with 3 classes; those below break one each."""

    @nn.compact
    def __call__(self, pooled, train=False):
        x = pooled.astype("float32").mean((1, 2))
        return nn.Dense(4)(x), nn.Dense(4)(x)[:, None]


class NoBackground(GoodBoxHead):
    def __call__(self, pooled, train=False):
        logits, deltas = super().__call__(pooled)
        return logits[:, 1:], deltas


class FlatDeltas(GoodBoxHead):
    def __call__(self, pooled, train=False):
        logits, deltas = super().__call__(pooled)
        return logits, deltas[:, 0]


class InTheInputsDtype(GoodBoxHead):
    def __call__(self, pooled, train=False):
        logits, deltas = super().__call__(pooled)
        return logits.astype(pooled.dtype), deltas


class LogitsAlone(GoodBoxHead):
    def __call__(self, pooled, train=False):
        return super().__call__(pooled)[0]


class MixesRois(GoodBoxHead):
    def __call__(self, pooled, train=False):
        logits, deltas = super().__call__(pooled)
        return logits - logits.mean(0), deltas


class InfiniteHeadGradient(GoodBoxHead):
    def __call__(self, pooled, train=False):
        logits, deltas = super().__call__(pooled)
        return jnp.sqrt(jnp.maximum(logits - 1e3, 0)), deltas


class NothingToTrain(GoodBoxHead):
    def __call__(self, pooled, train=False):
        logits, deltas = super().__call__(pooled)
        x = pooled.mean((1, 2, 3))[:, None]
        return jax.lax.stop_gradient(logits) + x, jax.lax.stop_gradient(deltas)


class CountsRois(GoodBoxHead):
    @nn.compact
    def __call__(self, pooled, train=False):
        self.variable("batch_stats", "seen", jnp.zeros, (len(pooled),)).value = jnp.zeros(
            len(pooled)
        )
        return super().__call__(pooled)


def test_a_good_box_head_passes():
    check_box_head(GoodBoxHead(), num_classes=3)


@pytest.mark.parametrize(
    ("module", "promise"),
    [
        (NoBackground, r"logits are \(M, K \+ 1\)"),
        (FlatDeltas, "deltas are"),
        (InTheInputsDtype, "float32, not bfloat16"),
        (LogitsAlone, "returns two"),
        (MixesRois, "rows do not see each other"),
        (InfiniteHeadGradient, "gradients are finite"),
        (NothingToTrain, "something is trained"),
        (CountsRois, "batch statistics keep"),
    ],
)
def test_a_broken_box_head_is_found_out(module, promise):
    with pytest.raises(AssertionError, match=promise):
        check_box_head(module(), num_classes=3)
