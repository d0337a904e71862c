r"""ResNet-50 C4 on VOC 2007 + 2012 trainval, evaluated on VOC 2007 test.

Command   python train.py --config configs/voc0712_r50_c4.py \
              --config.data.root DIR --config.train.init FILE
Hardware  not yet run here
Time      not yet measured here
Score     not yet measured here; Detectron2 publishes AP 51.9, AP50 80.3

The numbers are Detectron2's. Its frozen norm needs a pretrained backbone: data.root is the folder
with VOC2007/ and VOC2012/, train.init ImageNet weights for these pixels, such as
torchvision's resnet50-0676ba61.pth.
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
    RoiConfig,
    RpnConfig,
    TrainConfig,
)


def get_config() -> Config:
    return Config(
        model=ModelConfig(
            num_classes=20,
            pixel_mean=(123.675, 116.28, 103.53),
            pixel_std=(58.395, 57.12, 57.375),
            backbone=BackboneConfig(name="resnet50", norm="frozen", frozen_stages=2),
            neck=NeckConfig(name="c4"),
            anchors=AnchorConfig(sizes=((32.0, 64.0, 128.0, 256.0, 512.0),)),
            rpn=RpnConfig(samples=256, foreground_fraction=0.5, box_loss="l1"),
            proposals=ProposalsConfig(
                pre_nms_train=12000,
                pre_nms_test=6000,
                post_nms_train=2000,
                post_nms_test=1000,
            ),
            roi=RoiConfig(op="align", output_size=14, sampling_ratio=0),
            box_head=BoxHeadConfig(name="res5", samples=512, box_loss="l1"),
            detections=DetectionsConfig(score_threshold=0.05, nms_iou=0.5, max_detections=100),
        ),
        data=DataConfig(
            format="voc",
            train_splits=("VOC2007/trainval", "VOC2012/trainval"),
            eval_split="VOC2007/test",
            short_side=800,
            long_side=1333,
            train_short_sides=(480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
            keep_difficult=True,
        ),
        train=TrainConfig(
            batch_size=16,
            steps=18000,
            eval_every=6000,
            checkpoint_every=3000,
            optimizer=OptimizerConfig(
                learning_rate=0.02,
                reference_batch_size=16,
                momentum=0.9,
                weight_decay=1e-4,
                warmup_steps=100,
                milestones=(12000, 16000),
            ),
        ),
        eval=EvalConfig(metric="voc07"),
    )
