"""What the published detectors were trained with, written by hand from the peers' documentation.

torchvision: the arguments' defaults in models/detection/faster_rcnn.py, rpn.py, roi_heads.py,
anchor_utils.py and transform.py, as docs/stable/models/faster_rcnn says them. Detectron2:
config/defaults.py and configs/Base-RCNN-{FPN,C4,DilatedC5}.yaml with
configs/COCO-Detection/faster_rcnn_*.yaml. A field without an effect in a model is not in its table.
"""

BOTH = {
    "model.pixel_mean": (123.675, 116.28, 103.53),  # image_mean x 255; PIXEL_MEAN, red first
    "model.backbone.dilated_res5": False,  # RES5_DILATION 1
    "model.backbone.width": 64,
    "model.neck.name": "fpn",
    "model.neck.channels": 256,
    "model.neck.norm": "none",
    "model.anchors.sizes": ((32,), (64,), (128,), (256,), (512,)),
    "model.anchors.ratios": (0.5, 1, 2),
    "model.anchors.offset": 0,
    "model.rpn.channels": 0,
    "model.rpn.convs": 1,
    "model.rpn.foreground_iou": 0.7,
    "model.rpn.background_iou": 0.3,
    "model.rpn.low_quality_matches": True,
    "model.rpn.samples": 256,
    "model.rpn.foreground_fraction": 0.5,
    "model.rpn.coder_weights": (1, 1, 1, 1),
    "model.rpn.objectness_weight": 1,
    "model.rpn.box_weight": 1,
    "model.proposals.pre_nms_train": 2000,
    "model.proposals.pre_nms_test": 1000,
    "model.proposals.post_nms_test": 1000,
    "model.proposals.nms_iou": 0.7,
    "model.proposals.score_threshold": 0,
    "model.proposals.append_ground_truth": True,
    "model.roi.output_size": 7,
    "model.box_head.name": "two_fc",
    "model.box_head.channels": 1024,
    "model.box_head.class_agnostic": False,
    "model.box_head.foreground_iou": 0.5,
    "model.box_head.background_iou": 0,
    "model.box_head.samples": 512,
    "model.box_head.foreground_fraction": 0.25,
    "model.box_head.coder_weights": (10, 10, 5, 5),
    "model.box_head.class_loss": "softmax",
    "model.box_head.class_weight": 1,
    "model.box_head.box_weight": 1,
}

TORCHVISION = BOTH | {
    "model.pixel_std": (58.395, 57.12, 57.375),  # image_std x 255
    "model.backbone.name": "resnet50",
    "model.backbone.norm": "frozen",  # misc_nn_ops.FrozenBatchNorm2d
    "model.backbone.norm_epsilon": 1e-5,
    "model.backbone.stride_in_1x1": False,
    "model.anchors.rounded": True,  # base_anchors.round()
    "model.anchors.spread": True,  # image_size // grid_size
    "model.rpn.box_loss": "smooth_l1",  # beta=1 / 9
    "model.rpn.box_loss_beta": 1 / 9,
    "model.rpn.loss_mean": "drawn",  # / sampled_inds.numel()
    "model.proposals.post_nms_train": 2000,
    "model.proposals.min_size": 1e-3,
    "model.roi.op": "align_unaligned",  # roi_align's aligned=False
    "model.roi.sampling_ratio": 2,
    "model.box_head.box_loss": "smooth_l1",
    "model.box_head.box_loss_beta": 1 / 9,
    "model.detections.min_size": 1e-2,
    "data.resize": "torchvision",
}

MOBILENET = TORCHVISION | {
    "model.backbone.name": "mobilenet_v3_large",
    "model.anchors.sizes": ((32, 64, 128, 256, 512),) * 3,
    "model.proposals.score_threshold": 0.05,
}

DETECTRON2 = BOTH | {
    "model.pixel_std": (1, 1, 1),
    "model.backbone.name": "resnet50",
    "model.backbone.norm": "frozen",  # MODEL.RESNETS.NORM FrozenBN
    "model.backbone.norm_epsilon": 1e-5,
    "model.backbone.stride_in_1x1": True,
    "model.anchors.rounded": False,
    "model.anchors.spread": False,
    "model.rpn.box_loss": "l1",  # SMOOTH_L1_BETA 0
    "model.rpn.loss_mean": "asked",  # / (BATCH_SIZE_PER_IMAGE * images)
    "model.proposals.post_nms_train": 1000,
    "model.proposals.min_size": 0,
    "model.roi.op": "align",  # POOLER_TYPE ROIAlignV2
    "model.roi.sampling_ratio": 0,
    "model.box_head.box_loss": "l1",
    "model.detections.min_size": 0,
    "data.resize": "pillow",  # ResizeShortestEdge
}

ONE_MAP = {
    k: x for k, x in DETECTRON2.items() if k not in ("model.neck.channels", "model.neck.norm")
}
ONE_MAP |= {
    "model.anchors.sizes": ((32, 64, 128, 256, 512),),
    "model.proposals.pre_nms_train": 12000,
    "model.proposals.pre_nms_test": 6000,
    "model.proposals.post_nms_train": 2000,
}
C4 = {k: x for k, x in ONE_MAP.items() if k != "model.box_head.channels"} | {
    "model.neck.name": "c4",
    "model.roi.output_size": 14,
    "model.box_head.name": "res5",
}
DC5 = ONE_MAP | {"model.neck.name": "c5", "model.backbone.dilated_res5": True}
R_101 = {"model.backbone.name": "resnet101"}
X_101 = {
    "model.backbone.name": "resnext101_32x8d",
    "model.backbone.stride_in_1x1": False,
    "model.pixel_std": (58.395, 57.12, 57.375),
}

PEER_VALUES = {
    # overwrite_eps(model, 0.0)
    "fasterrcnn_resnet50_fpn": TORCHVISION | {"model.backbone.norm_epsilon": 0},
    "fasterrcnn_resnet50_fpn_v2": TORCHVISION
    | {
        "model.backbone.norm": "batch",  # nn.BatchNorm2d everywhere
        "model.neck.norm": "batch",
        "model.rpn.convs": 2,  # conv_depth=2
        "model.box_head.name": "conv_fc",  # FastRCNNConvFCHead([256] * 4, [1024])
        "model.box_head.conv_channels": 256,
        "model.box_head.convs": 4,
        "model.box_head.norm": "batch",
    },
    "fasterrcnn_mobilenet_v3_large_fpn": MOBILENET,
    "fasterrcnn_mobilenet_v3_large_320_fpn": MOBILENET
    | {"model.proposals.pre_nms_test": 150, "model.proposals.post_nms_test": 150},
    "faster_rcnn_R_50_FPN": DETECTRON2,
    "faster_rcnn_R_50_C4": C4,
    "faster_rcnn_R_50_DC5": DC5,
    "faster_rcnn_R_101_FPN": DETECTRON2 | R_101,
    "faster_rcnn_R_101_C4": C4 | R_101,
    "faster_rcnn_R_101_DC5": DC5 | R_101,
    "faster_rcnn_X_101_32x8d_FPN": DETECTRON2 | X_101,
    "faster_rcnn_X_101_32x8d_C4": C4 | X_101,
    "faster_rcnn_X_101_32x8d_DC5": DC5 | X_101,
}
"""By the names of `convert --model`."""
