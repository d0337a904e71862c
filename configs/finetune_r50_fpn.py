r"""Fine-tune torchvision's ResNet-50 FPN, trained on COCO, on your own data.

Command   python train.py --config configs/finetune_r50_fpn.py \
              --config.data.root DIR --config.model.num_classes 3
Hardware  two CPU cores (EPYC with AVX-512), jax 0.10.2; meant for an accelerator
Time      10 s per step, beside other work on the same cores (2026-11-27)
Score     not measured with the published weights. On BCCD, from random weights instead, the loss
          falls from 2.70 to 1.25 in 16 steps

The weights are those that torchvision publishes (COCO_V1), downloaded at the first use. The
detector has the fields that they were trained with, and the first two stages stay frozen. The
optimiser is that of torchvision's fine-tuning tutorial, for two images in a batch.
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
            num_classes=90,  # of the weights; yours has as many as the data
            pixel_mean=(123.675, 116.28, 103.53),
            pixel_std=(58.395, 57.12, 57.375),
            backbone=BackboneConfig(
                name="resnet50", norm="frozen", norm_epsilon=0.0, frozen_stages=2
            ),
            neck=NeckConfig(name="fpn", channels=256),
            anchors=AnchorConfig(
                sizes=((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)), rounded=True, spread=True
            ),
            rpn=RpnConfig(
                samples=256, box_loss="smooth_l1", box_loss_beta=1 / 9, loss_mean="drawn"
            ),
            proposals=ProposalsConfig(
                pre_nms_train=2000,
                pre_nms_test=1000,
                post_nms_train=2000,
                post_nms_test=1000,
                min_size=1e-3,
            ),
            roi=RoiConfig(op="align_unaligned", output_size=7, sampling_ratio=2),
            box_head=BoxHeadConfig(
                name="two_fc",
                channels=1024,
                samples=512,
                box_loss="smooth_l1",
                box_loss_beta=1 / 9,
            ),
            detections=DetectionsConfig(min_size=0.01),
        ),
        data=DataConfig(
            format="auto",
            train_splits=(),
            eval_split="",
            short_side=800,
            long_side=1333,
            resize="torchvision",
            canvas="exact",
        ),
        train=TrainConfig(
            init="fasterrcnn_resnet50_fpn:COCO_V1",
            batch_size=2,
            steps=2000,
            eval_every=200,
            checkpoint_every=200,
            keep_best="eval/AP",
            optimizer=OptimizerConfig(
                learning_rate=0.005,
                reference_batch_size=2,
                momentum=0.9,
                weight_decay=5e-4,
                decay_norms=True,
                decay_biases=True,
                warmup_steps=200,
                schedule="step",
                milestones=(1200, 1700),
                drop_factor=0.1,
                clip_norm=10.0,
            ),
        ),
        eval=EvalConfig(metric="coco", batch_size=2),
    )
