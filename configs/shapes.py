"""A small ResNet-18 FPN on generated shapes: needs no data and trains in minutes on a CPU.

Command   python train.py --config configs/shapes.py
Hardware  two CPU cores (EPYC), jax 0.10.2
Time      4 min 55 s, compilation included (2026-11-27)
Score     AP .758, AP50 .921 on the held-back images
"""

from jaxrcnn.config import (
    AnchorConfig,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    DataConfig,
    DetectionsConfig,
    EvalConfig,
    ModelConfig,
    NeckConfig,
    OptimizerConfig,
    ProposalsConfig,
    RpnConfig,
    TrainConfig,
)


def get_config() -> Config:
    return Config(
        model=ModelConfig(
            num_classes=4,
            backbone=BackboneConfig(name="resnet18", norm="group", frozen_stages=0, width=24),
            neck=NeckConfig(name="fpn", channels=64),
            anchors=AnchorConfig(sizes=((12.0,), (24.0,), (48.0,), (96.0,), (192.0,))),
            rpn=RpnConfig(samples=128),
            proposals=ProposalsConfig(
                pre_nms_train=500,
                pre_nms_test=250,
                post_nms_train=200,
                post_nms_test=100,
            ),
            box_head=BoxHeadConfig(name="two_fc", channels=256, samples=64),
            detections=DetectionsConfig(max_detections=50),
        ),
        data=DataConfig(
            format="shapes",
            short_side=128,
            long_side=192,
            num_train_images=2048,
            num_eval_images=64,
        ),
        train=TrainConfig(
            batch_size=8,
            steps=1150,
            log_every=20,
            eval_every=575,
            checkpoint_every=575,
            optimizer=OptimizerConfig(
                name="adamw",
                learning_rate=0.002,
                weight_decay=0.02,
                warmup_steps=50,
                schedule="cosine",
                clip_norm=10.0,
                ema_decay=0.995,
            ),
        ),
        eval=EvalConfig(metric="coco", batch_size=8),
    )
