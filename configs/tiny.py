"""A minimal detector for tests: it compiles in seconds and learns nothing.

Command   python train.py --config configs/tiny.py
Hardware  not yet run here
Time      not yet measured here
Score     none
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
            backbone=BackboneConfig(name="resnet18", norm="group", frozen_stages=0, width=8),
            neck=NeckConfig(name="fpn", channels=16),
            anchors=AnchorConfig(sizes=((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))),
            rpn=RpnConfig(samples=32),
            proposals=ProposalsConfig(
                pre_nms_train=64,
                pre_nms_test=64,
                post_nms_train=32,
                post_nms_test=32,
            ),
            box_head=BoxHeadConfig(name="two_fc", channels=32, samples=16),
            detections=DetectionsConfig(max_detections=10),
        ),
        data=DataConfig(
            format="shapes",
            short_side=64,
            long_side=64,
            num_train_images=8,
            num_eval_images=4,
        ),
        train=TrainConfig(
            batch_size=2,
            steps=4,
            log_every=1,
            eval_every=2,
            checkpoint_every=2,
            optimizer=OptimizerConfig(
                learning_rate=0.01,
                warmup_steps=2,
                milestones=(3,),
                clip_norm=10.0,
            ),
        ),
        eval=EvalConfig(batch_size=2, images=2),
    )
