"""The heads: the region proposal network's, and the box head of the second stage."""

import dataclasses
import math

import flax.linen as nn
import jax.numpy as jnp

from jaxrcnn.config import BackboneConfig, BoxHeadConfig, ModelConfig
from jaxrcnn.nets.conv import build_conv
from jaxrcnn.nets.initializers import HE_NORMAL, XAVIER_UNIFORM, ZEROS, constant, normal
from jaxrcnn.nets.norm import build_norm
from jaxrcnn.nets.relu import relu
from jaxrcnn.nets.resnet import residual_stage
from jaxrcnn.types import Array, at_least_float32, precise_dtype

FOCAL_PRIOR = 0.01
"""Every class's first score with the focal loss (arXiv 1708.02002, section 3.3). Scores of 0.5
would let the many negatives outweigh the rest in the first steps. Detectron2's sigmoid
cross-entropy has no such prior."""


class RpnHead(nn.Module):
    """Objectness and box deltas of every anchor, one set of weights for all levels.

    Paper, section 3.1; initialised as there, normal with deviation 0.01.
    """

    anchors_per_cell: int
    channels: int = 0
    """Channels of the hidden convolutions; 0 takes those of the features."""
    convs: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, maps: tuple[Array, ...], train: bool = False
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Map (N, H, W, C) of every level to logits (N, H, W, A) and deltas (N, H, W, A * 4).

        Both are float32; `train` changes nothing.
        """
        init = normal(0.01)
        channels = self.channels or maps[0].shape[-1]
        names = ["conv"] if self.convs == 1 else [f"conv_{i}" for i in range(self.convs)]
        hidden = [build_conv(channels, 3, name, self.dtype, init) for name in names]
        precise = precise_dtype(self.dtype).name
        cls_logits = build_conv(self.anchors_per_cell, 1, "cls_logits", precise, init)
        bbox_pred = build_conv(4 * self.anchors_per_cell, 1, "bbox_pred", precise, init)
        logits, deltas = [], []
        for x in maps:
            for conv in hidden:
                x = relu(conv(x))
            logits.append(cls_logits(x))
            deltas.append(bbox_pred(x))
        return tuple(logits), tuple(deltas)


class BoxHead(nn.Module):
    """Class logits and box deltas of every RoI: a trunk, then two linear layers."""

    config: BoxHeadConfig
    backbone: BackboneConfig
    """Its depth, groups and norm are those of the trunk 'res5'."""
    num_classes: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, pooled: Array, train: bool = False) -> tuple[Array, Array]:
        """Map pooled windows (M, P, P, C) to logits (M, K + 1) and deltas (M, K, 4), float32.

        Class-agnostic deltas are (M, 1, 4). Dropout in training takes the key "dropout".
        """
        x = pooled.astype(self.dtype)
        match self.config.name:
            case "two_fc":
                x = self._linear(self._linear(_flatten(x), train, "fc6"), train, "fc7")
            case "conv_fc":
                x = self._linear(_flatten(self._convs(x, train)), train, "fc6")
            case "res5":
                x = self._res5(x, train)
        x = at_least_float32(x)
        focal = self.config.class_loss == "focal"
        bias = constant(math.log(FOCAL_PRIOR / (1 - FOCAL_PRIOR))) if focal else ZEROS
        logits = nn.Dense(
            self.num_classes + 1, kernel_init=normal(0.01), bias_init=bias, name="cls_score"
        )(x)
        boxes = 1 if self.config.class_agnostic else self.num_classes
        deltas = nn.Dense(4 * boxes, kernel_init=normal(0.001), bias_init=ZEROS, name="bbox_pred")(
            x
        )
        return logits, deltas.reshape(-1, boxes, 4)  # (M, K*4) -> (M, K, 4)

    def _linear(self, x: Array, train: bool, name: str) -> Array:
        linear = nn.Dense(
            self.config.channels,
            dtype=self.dtype,
            kernel_init=XAVIER_UNIFORM,
            bias_init=ZEROS,
            name=name,
        )
        x = relu(linear(x))
        return nn.Dropout(self.config.dropout, deterministic=not train)(x)

    def _convs(self, x: Array, train: bool) -> Array:
        config = self.config
        for index in range(1, config.convs + 1):
            name, bias = f"conv{index}", config.norm == "none"
            conv = build_conv(config.conv_channels, 3, name, self.dtype, HE_NORMAL, bias=bias)
            norm = build_norm(config.norm, f"bn{index}", self.dtype)
            x = relu(norm(conv(x), train))
        return x

    def _res5(self, x: Array, train: bool) -> Array:
        """Stage res5 with stride 2, then the mean over the window in float32: (M, C)."""
        trained = dataclasses.replace(self.backbone, frozen_stages=0, dilated_res5=False)
        x = residual_stage(x, train, trained, stage=5, dtype=self.dtype)
        return jnp.mean(at_least_float32(x), axis=(1, 2))


def build_rpn_head(config: ModelConfig) -> RpnHead:
    """Build the RPN's head; every level has as many anchors a cell as the first."""
    anchors_per_cell = len(config.anchors.sizes[0]) * len(config.anchors.ratios)
    return RpnHead(anchors_per_cell, config.rpn.channels, config.rpn.convs, config.compute_dtype)


def build_box_head(config: ModelConfig) -> BoxHead:
    """Build the box head."""
    return BoxHead(config.box_head, config.backbone, config.num_classes, config.compute_dtype)


def _flatten(x: Array) -> Array:
    """(M, P, P, C) -> (M, P*P*C); torchvision flattens (C, P, P), its weights are permuted."""
    return x.reshape(x.shape[0], -1)
