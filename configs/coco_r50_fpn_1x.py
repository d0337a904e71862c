r"""ResNet-50 FPN on COCO, 12 epochs.

Command   python train.py --config configs/coco_r50_fpn_1x.py \
              --config.data.root DIR --config.train.init FILE
Hardware  not yet run here
Time      not yet measured here
Score     not yet measured here; Detectron2 publishes 37.9 AP on val2017

The numbers are Detectron2's for weights of torchvision. The frozen norm needs a pretrained
backbone: data.root is COCO's folder, train.init ImageNet weights for these pixels, such as
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
            num_classes=80,
            pixel_mean=(123.675, 116.28, 103.53),
            pixel_std=(58.395, 57.12, 57.375),
            backbone=BackboneConfig(name="resnet50", norm="frozen", frozen_stages=2),
            neck=NeckConfig(name="fpn", channels=256),
            anchors=AnchorConfig(sizes=((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))),
            rpn=RpnConfig(samples=256, foreground_fraction=0.5, box_loss="l1"),
            proposals=ProposalsConfig(
                pre_nms_train=2000,
                pre_nms_test=1000,
                post_nms_train=1000,
                post_nms_test=1000,
            ),
            roi=RoiConfig(op="align", output_size=7, sampling_ratio=0),
            box_head=BoxHeadConfig(name="two_fc", channels=1024, samples=512, box_loss="l1"),
            detections=DetectionsConfig(score_threshold=0.05, nms_iou=0.5, max_detections=100),
        ),
        data=DataConfig(
            format="coco",
            train_splits=("train2017",),
            eval_split="val2017",
            short_side=800,
            long_side=1333,
            train_short_sides=(640, 672, 704, 736, 768, 800),
        ),
        train=TrainConfig(
            batch_size=16,
            steps=90000,
            optimizer=OptimizerConfig(
                learning_rate=0.02,
                reference_batch_size=16,
                momentum=0.9,
                weight_decay=1e-4,
                decay_biases=True,
                warmup_steps=1000,
                milestones=(60000, 80000),
            ),
        ),
        eval=EvalConfig(metric="coco"),
    )
