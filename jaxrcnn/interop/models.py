"""The detectors that torchvision and Detectron2 publish, as configs of ours."""

import difflib
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

from jaxrcnn.config import (
    AnchorConfig,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    ConfigError,
    DataConfig,
    DetectionsConfig,
    ModelConfig,
    NeckConfig,
    ProposalsConfig,
    RoiConfig,
    RpnConfig,
)

PYRAMID = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
ALL_SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)


class Model(NamedTuple):
    """A published detector: whose, and its config for a number of classes."""

    peer: Literal["torchvision", "detectron2"]
    config: Callable[[int], Config]


def torchvision_model(
    num_classes: int,
    backbone: BackboneConfig,
    neck: NeckConfig,
    sizes: tuple[tuple[float, ...], ...],
    rpn_convs: int,
    proposals: ProposalsConfig,
    box_head: BoxHeadConfig,
    short_side: int = 800,
    long_side: int = 1333,
) -> Config:
    """What torchvision's detectors have in common (models/detection/faster_rcnn.py, 0.29)."""
    return Config(
        model=ModelConfig(
            num_classes=num_classes,
            pixel_mean=(123.675, 116.28, 103.53),
            pixel_std=(58.395, 57.12, 57.375),
            backbone=backbone,
            neck=neck,
            anchors=AnchorConfig(sizes=sizes, rounded=True, spread=True),
            rpn=RpnConfig(
                convs=rpn_convs, box_loss="smooth_l1", box_loss_beta=1 / 9, loss_mean="drawn"
            ),
            proposals=proposals,
            roi=RoiConfig(op="align_unaligned", output_size=7, sampling_ratio=2),
            box_head=box_head,
            detections=DetectionsConfig(min_size=0.01),
        ),
        data=DataConfig(
            short_side=short_side, long_side=long_side, resize="torchvision", canvas="exact"
        ),
    )


def fasterrcnn_resnet50_fpn(num_classes: int) -> Config:
    """torchvision's first: its COCO weights were trained with a frozen norm of epsilon 0."""
    return torchvision_model(
        num_classes,
        BackboneConfig("resnet50", norm="frozen", norm_epsilon=0.0, frozen_stages=2),
        NeckConfig("fpn", 256),
        PYRAMID,
        rpn_convs=1,
        proposals=ProposalsConfig(post_nms_train=2000, min_size=1e-3),
        box_head=BoxHeadConfig("two_fc", 1024, box_loss="smooth_l1", box_loss_beta=1 / 9),
    )


def fasterrcnn_resnet50_fpn_v2(num_classes: int) -> Config:
    """torchvision's second: batch norm everywhere, and deeper heads."""
    return torchvision_model(
        num_classes,
        BackboneConfig("resnet50", norm="batch", frozen_stages=2),
        NeckConfig("fpn", 256, norm="batch"),
        PYRAMID,
        rpn_convs=2,
        proposals=ProposalsConfig(post_nms_train=2000, min_size=1e-3),
        box_head=BoxHeadConfig(
            "conv_fc", 1024, norm="batch", box_loss="smooth_l1", box_loss_beta=1 / 9
        ),
    )


def fasterrcnn_mobilenet_v3_large_fpn(num_classes: int) -> Config:
    """torchvision's MobileNetV3, two maps of stride 32 and all anchors on each."""
    return torchvision_model(
        num_classes,
        BackboneConfig("mobilenet_v3_large", norm="frozen", frozen_stages=3),
        NeckConfig("fpn", 256),
        (ALL_SIZES,) * 3,
        rpn_convs=1,
        proposals=ProposalsConfig(post_nms_train=2000, min_size=1e-3, score_threshold=0.05),
        box_head=BoxHeadConfig("two_fc", 1024, box_loss="smooth_l1", box_loss_beta=1 / 9),
    )


def fasterrcnn_mobilenet_v3_large_320_fpn(num_classes: int) -> Config:
    """The same for small images and few proposals."""
    return torchvision_model(
        num_classes,
        BackboneConfig("mobilenet_v3_large", norm="frozen", frozen_stages=3),
        NeckConfig("fpn", 256),
        (ALL_SIZES,) * 3,
        rpn_convs=1,
        proposals=ProposalsConfig(
            pre_nms_test=150,
            post_nms_train=2000,
            post_nms_test=150,
            min_size=1e-3,
            score_threshold=0.05,
        ),
        box_head=BoxHeadConfig("two_fc", 1024, box_loss="smooth_l1", box_loss_beta=1 / 9),
        short_side=320,
        long_side=640,
    )


def detectron2_model(num_classes: int, depth: str, neck: str) -> Config:
    """Detectron2's baselines (configs/COCO-Detection in its repository).

    Args:
        num_classes: of the detector.
        depth: a key of `DEPTHS`.
        neck: a key of `NECKS`.
    """
    one_map = ProposalsConfig(pre_nms_train=12000, pre_nms_test=6000, post_nms_train=2000)
    backbone, pixel_std = DEPTHS[depth]
    dilated = neck == "DC5"
    return Config(
        model=ModelConfig(
            num_classes=num_classes,
            pixel_mean=(123.675, 116.28, 103.53),
            pixel_std=pixel_std,
            backbone=replace(backbone, norm="frozen", frozen_stages=2, dilated_res5=dilated),
            neck=NECKS[neck],
            anchors=AnchorConfig(sizes=PYRAMID if neck == "FPN" else (ALL_SIZES,)),
            proposals=ProposalsConfig() if neck == "FPN" else one_map,
            roi=RoiConfig(output_size=14 if neck == "C4" else 7, sampling_ratio=0),
            box_head=BoxHeadConfig("res5" if neck == "C4" else "two_fc"),
        ),
        data=DataConfig(train_short_sides=(640, 672, 704, 736, 768, 800), canvas="exact"),
    )


DEPTHS = {
    "R_50": (BackboneConfig("resnet50", stride_in_1x1=True), (1.0, 1.0, 1.0)),
    "R_101": (BackboneConfig("resnet101", stride_in_1x1=True), (1.0, 1.0, 1.0)),
    "X_101_32x8d": (BackboneConfig("resnext101_32x8d"), (58.395, 57.12, 57.375)),
}
"""Detectron2's backbones, the first two MSRA's, with what it divides their pixels by."""

NECKS = {"FPN": NeckConfig("fpn"), "C4": NeckConfig("c4"), "DC5": NeckConfig("c5")}

MODELS = {
    "fasterrcnn_resnet50_fpn": Model("torchvision", fasterrcnn_resnet50_fpn),
    "fasterrcnn_resnet50_fpn_v2": Model("torchvision", fasterrcnn_resnet50_fpn_v2),
    "fasterrcnn_mobilenet_v3_large_fpn": Model("torchvision", fasterrcnn_mobilenet_v3_large_fpn),
    "fasterrcnn_mobilenet_v3_large_320_fpn": Model(
        "torchvision", fasterrcnn_mobilenet_v3_large_320_fpn
    ),
    **{
        f"faster_rcnn_{depth}_{neck}": Model(
            "detectron2", functools.partial(detectron2_model, depth=depth, neck=neck)
        )
        for depth in DEPTHS
        for neck in NECKS
    },
}
"""By the names that torchvision's functions and Detectron2's config files have."""


def find_model(name: str) -> Model:
    """The model of a name; the length of Detectron2's schedule, ``_1x`` or ``_3x``, may follow.

    Raises:
        ConfigError: there is no such model.
    """
    model = MODELS.get(name) or MODELS.get(name.removesuffix("_1x").removesuffix("_3x"))
    if model is None:
        nearest = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(MODELS)}"
        raise ConfigError(f"--model: got {name!r}; {hint}")
    return model
