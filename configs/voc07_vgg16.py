r"""VGG16 on VOC 2007 trainval, evaluated on VOC 2007 test: the detector of the paper.

Command   python train.py --config configs/voc07_vgg16.py \
              --config.data.root DIR --config.train.init FILE
Hardware  not yet run here
Time      not yet measured here
Score     not yet measured here; the paper (alternating training) publishes mAP 69.9,
          simple-faster-rcnn-pytorch (joint training) 70.0-71.2

The numbers are py-faster-rcnn's for joint training; a batch holds the two images of an update
(iter_size 2). data.root is the folder with VOC2007/, train.init a weight file of VGG16 for pixels
that are not divided by a deviation. The original weights smooth L1 by sigma: beta is 1 / sigma **
2, sigma 3 for the RPN and 1 for the box head. Three things differ: it resizes with OpenCV, does not
train on anchors that cross the border, and scales the smallest proposal (16 pixels) with the image.
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
            pixel_mean=(122.7717, 115.9465, 102.9801),
            pixel_std=(1.0, 1.0, 1.0),
            backbone=BackboneConfig(name="vgg16", norm="none", frozen_stages=2),
            neck=NeckConfig(name="c5"),
            anchors=AnchorConfig(sizes=((128.0, 256.0, 512.0),), offset=0.5),
            rpn=RpnConfig(
                channels=512,
                samples=256,
                foreground_fraction=0.5,
                box_loss="smooth_l1",
                box_loss_beta=1 / 9,
                loss_mean="drawn",
            ),
            proposals=ProposalsConfig(
                pre_nms_train=12000,
                pre_nms_test=6000,
                post_nms_train=2000,
                post_nms_test=300,
                min_size=16.0,
            ),
            roi=RoiConfig(op="pool", output_size=7),
            box_head=BoxHeadConfig(
                name="two_fc",
                channels=4096,
                dropout=0.5,
                samples=128,
                box_loss="smooth_l1",
                box_loss_beta=1.0,
            ),
            detections=DetectionsConfig(score_threshold=0.05, nms_iou=0.3, max_detections=100),
        ),
        data=DataConfig(
            format="voc",
            train_splits=("VOC2007/trainval",),
            eval_split="VOC2007/test",
            short_side=600,
            long_side=1000,
        ),
        train=TrainConfig(
            batch_size=2,
            steps=70000,
            eval_every=10000,
            optimizer=OptimizerConfig(
                learning_rate=0.001,
                momentum=0.9,
                weight_decay=5e-4,
                bias_rate_factor=2.0,
                warmup_steps=0,
                milestones=(50000,),
            ),
        ),
        eval=EvalConfig(metric="voc07"),
    )
