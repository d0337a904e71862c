"""ResNet-18 FPN on BCCD's blood cells, from random weights.

Command   python train.py --config configs/bccd_r18_fpn.py --config.data.root DIR
Hardware  two CPU cores (EPYC with AVX-512), jax 0.10.2
Time      16 min 29 s in all, beside other work on the same cores (2026-11-27)
Score     AP .584, AP50 .907 on test; torchvision 0.14.1 with 256 FPN channels, without the vertical
          flip and the change of scale: AP .557, AP50 .904 after 1500 s (494 steps) on two cores

data.root is the folder with Annotations/, ImageSets/ and JPEGImages/.
"""

from jaxrcnn.config import (
    AnchorConfig,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    DataConfig,
    EvalConfig,
    ModelConfig,
    NeckConfig,
    OptimizerConfig,
    ProposalsConfig,
    TrainConfig,
)


def get_config() -> Config:
    return Config(
        model=ModelConfig(
            num_classes=3,
            backbone=BackboneConfig(name="resnet18", norm="group", frozen_stages=0),
            neck=NeckConfig(name="fpn", channels=128),
            anchors=AnchorConfig(sizes=((16.0,), (32.0,), (64.0,), (128.0,), (256.0,))),
            proposals=ProposalsConfig(
                pre_nms_train=1000,
                pre_nms_test=500,
                post_nms_train=500,
                post_nms_test=300,
            ),
            box_head=BoxHeadConfig(name="two_fc", channels=512, samples=128),
        ),
        data=DataConfig(
            format="voc",
            train_splits=("trainval",),
            eval_split="test",
            classes=("Platelets", "RBC", "WBC"),
            short_side=240,
            long_side=320,
            train_short_sides=(192, 208, 224, 240),
            horizontal_flip=0.5,
            vertical_flip=0.5,
        ),
        train=TrainConfig(
            batch_size=4,
            steps=1600,
            log_every=20,
            eval_every=400,
            checkpoint_every=400,
            optimizer=OptimizerConfig(
                learning_rate=0.02,
                momentum=0.9,
                weight_decay=1e-4,
                warmup_steps=100,
                schedule="cosine",
                clip_norm=10.0,
                ema_decay=0.998,
            ),
        ),
        eval=EvalConfig(metric="coco", batch_size=4),
    )
