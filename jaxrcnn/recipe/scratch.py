"""The detector that is trained from random weights where there are no pretrained ones."""

from jaxrcnn.config import (
    AnchorConfig,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    DataConfig,
    ModelConfig,
    NeckConfig,
    OptimizerConfig,
    ProposalsConfig,
    TrainConfig,
)

ANCHOR_SIZES = ((16.0,), (32.0,), (64.0,), (128.0,), (256.0,))


def scratch_config(platform: str) -> Config:
    """A ResNet-18 FPN on a CPU and a ResNet-50 FPN elsewhere, with group norm.

    Batch norm with fixed statistics needs pretrained weights, and batch norm proper needs larger
    batches than detectors have (arXiv 1803.08494).

    Args:
        platform: of the devices, as jax names it.
    """
    return Config(
        model=_small_model() if platform == "cpu" else _large_model(),
        data=DataConfig(format="auto", train_splits=(), eval_split=""),
        train=TrainConfig(
            keep_best="eval/AP",
            optimizer=OptimizerConfig(
                learning_rate=0.02,
                reference_batch_size=4 if platform == "cpu" else 16,
                warmup_steps=100,
                schedule="cosine",
                milestones=(),
                clip_norm=10.0,
                ema_decay=0.998,
            ),
        ),
    )


def _small_model() -> ModelConfig:
    return ModelConfig(
        backbone=BackboneConfig("resnet18", norm="group", frozen_stages=0),
        neck=NeckConfig("fpn", channels=128),
        anchors=AnchorConfig(sizes=ANCHOR_SIZES),
        proposals=ProposalsConfig(
            pre_nms_train=1000, pre_nms_test=500, post_nms_train=500, post_nms_test=300
        ),
        box_head=BoxHeadConfig("two_fc", channels=512, samples=128),
    )


def _large_model() -> ModelConfig:
    return ModelConfig(
        backbone=BackboneConfig("resnet50", norm="group", frozen_stages=0),
        neck=NeckConfig("fpn", channels=256, norm="group"),
        anchors=AnchorConfig(sizes=ANCHOR_SIZES),
        box_head=BoxHeadConfig("two_fc", channels=1024),
    )
