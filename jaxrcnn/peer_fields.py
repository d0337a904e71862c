"""The arguments of torchvision's FasterRCNN and the keys of Detectron2's configs, in our fields.

docs/weights.md lists the same; a test keeps the two alike.
"""

from collections.abc import Collection
from typing import Any

TORCHVISION_NUMBERS = {
    "min_size": "data.short_side",
    "max_size": "data.long_side",
    "image_mean": "model.pixel_mean",
    "image_std": "model.pixel_std",
    "rpn_pre_nms_top_n_train": "model.proposals.pre_nms_train",
    "rpn_pre_nms_top_n_test": "model.proposals.pre_nms_test",
    "rpn_post_nms_top_n_train": "model.proposals.post_nms_train",
    "rpn_post_nms_top_n_test": "model.proposals.post_nms_test",
    "rpn_nms_thresh": "model.proposals.nms_iou",
    "rpn_fg_iou_thresh": "model.rpn.foreground_iou",
    "rpn_bg_iou_thresh": "model.rpn.background_iou",
    "rpn_batch_size_per_image": "model.rpn.samples",
    "rpn_positive_fraction": "model.rpn.foreground_fraction",
    "rpn_score_thresh": "model.proposals.score_threshold",
    "box_score_thresh": "model.detections.score_threshold",
    "box_nms_thresh": "model.detections.nms_iou",
    "box_detections_per_img": "model.detections.max_detections",
    "box_fg_iou_thresh": "model.box_head.foreground_iou",
    "box_batch_size_per_image": "model.box_head.samples",
    "box_positive_fraction": "model.box_head.foreground_fraction",
    "bbox_reg_weights": "model.box_head.coder_weights",
}
"""The arguments of torchvision's FasterRCNN that are numbers, and the field that each is."""

TORCHVISION_DEFAULTS: dict[str, Any] = {
    "min_size": 800,
    "max_size": 1333,
    "image_mean": (0.485, 0.456, 0.406),
    "image_std": (0.229, 0.224, 0.225),
    "rpn_anchor_generator": (((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)), (0.5, 1.0, 2.0)),
    "rpn_pre_nms_top_n_train": 2000,
    "rpn_pre_nms_top_n_test": 1000,
    "rpn_post_nms_top_n_train": 2000,
    "rpn_post_nms_top_n_test": 1000,
    "rpn_nms_thresh": 0.7,
    "rpn_fg_iou_thresh": 0.7,
    "rpn_bg_iou_thresh": 0.3,
    "rpn_batch_size_per_image": 256,
    "rpn_positive_fraction": 0.5,
    "rpn_score_thresh": 0.0,
    "box_score_thresh": 0.05,
    "box_nms_thresh": 0.5,
    "box_detections_per_img": 100,
    "box_fg_iou_thresh": 0.5,
    "box_batch_size_per_image": 512,
    "box_positive_fraction": 0.25,
    "bbox_reg_weights": (10.0, 10.0, 5.0, 5.0),
}
"""Their defaults (torchvision 0.14 to 0.29)."""

TORCHVISION_ARGUMENTS = {
    **{name: (field,) for name, field in TORCHVISION_NUMBERS.items()},
    "num_classes": ("model.num_classes",),  # without the background
    "backbone": ("model.backbone.name", "model.neck.name"),
    "backbone_name": ("model.backbone.name",),
    "norm_layer": ("model.backbone.norm", "model.backbone.norm_epsilon"),
    "trainable_backbone_layers": ("model.backbone.frozen_stages",),  # 5 - trainable layers
    "trainable_layers": ("model.backbone.frozen_stages",),
    "returned_layers": ("model.neck.name",),
    "out_channels": ("model.neck.channels",),
    "weights": ("train.init",),
    "weights_backbone": ("train.init",),
    "pretrained": ("train.init",),
    "pretrained_backbone": ("train.init",),
    "rpn_anchor_generator": ("model.anchors.sizes", "model.anchors.ratios"),
    "rpn_head": ("model.rpn.convs", "model.rpn.channels"),
    "aspect_ratios": ("model.anchors.ratios",),
    "box_roi_pool": ("model.roi.output_size", "model.roi.sampling_ratio"),
    "box_head": ("model.box_head.name", "model.box_head.channels"),
    "box_predictor": ("model.num_classes", "model.box_head.class_agnostic"),
    "representation_size": ("model.box_head.channels",),
    "box_bg_iou_thresh": ("model.box_head.foreground_iou",),
    "sampling_ratio": ("model.roi.sampling_ratio",),
}
"""The arguments of torchvision's FasterRCNN and of the functions that make its parts, and our
fields for each."""

DETECTRON2_KEYS = {
    "MODEL.WEIGHTS": ("train.init",),
    "MODEL.PIXEL_MEAN": ("model.pixel_mean",),
    "MODEL.PIXEL_STD": ("model.pixel_std",),
    "MODEL.BACKBONE.NAME": ("model.backbone.name", "model.neck.name"),
    "MODEL.BACKBONE.FREEZE_AT": ("model.backbone.frozen_stages",),
    "MODEL.RESNETS.DEPTH": ("model.backbone.name",),
    "MODEL.RESNETS.NUM_GROUPS": ("model.backbone.name",),
    "MODEL.RESNETS.WIDTH_PER_GROUP": ("model.backbone.name",),
    "MODEL.RESNETS.NORM": ("model.backbone.norm",),
    "MODEL.RESNETS.STRIDE_IN_1X1": ("model.backbone.stride_in_1x1",),
    "MODEL.RESNETS.RES5_DILATION": ("model.backbone.dilated_res5",),
    "MODEL.RESNETS.OUT_FEATURES": ("model.neck.name",),
    "MODEL.RESNETS.STEM_OUT_CHANNELS": ("model.backbone.width",),
    "MODEL.FPN.IN_FEATURES": ("model.neck.name",),
    "MODEL.FPN.OUT_CHANNELS": ("model.neck.channels",),
    "MODEL.FPN.NORM": ("model.neck.norm",),
    "MODEL.ANCHOR_GENERATOR.SIZES": ("model.anchors.sizes",),
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": ("model.anchors.ratios",),
    "MODEL.ANCHOR_GENERATOR.OFFSET": ("model.anchors.offset",),
    "MODEL.RPN.IN_FEATURES": ("model.neck.name",),
    "MODEL.RPN.IOU_THRESHOLDS": ("model.rpn.background_iou", "model.rpn.foreground_iou"),
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": ("model.rpn.samples",),
    "MODEL.RPN.POSITIVE_FRACTION": ("model.rpn.foreground_fraction",),
    "MODEL.RPN.BBOX_REG_LOSS_TYPE": ("model.rpn.box_loss",),
    "MODEL.RPN.BBOX_REG_LOSS_WEIGHT": ("model.rpn.box_weight",),
    "MODEL.RPN.BBOX_REG_WEIGHTS": ("model.rpn.coder_weights",),
    "MODEL.RPN.SMOOTH_L1_BETA": ("model.rpn.box_loss", "model.rpn.box_loss_beta"),
    "MODEL.RPN.LOSS_WEIGHT": ("model.rpn.objectness_weight", "model.rpn.box_weight"),
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": ("model.proposals.pre_nms_train",),
    "MODEL.RPN.PRE_NMS_TOPK_TEST": ("model.proposals.pre_nms_test",),
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": ("model.proposals.post_nms_train",),
    "MODEL.RPN.POST_NMS_TOPK_TEST": ("model.proposals.post_nms_test",),
    "MODEL.RPN.NMS_THRESH": ("model.proposals.nms_iou",),
    "MODEL.RPN.CONV_DIMS": ("model.rpn.convs", "model.rpn.channels"),
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": ("model.proposals.min_size",),
    "MODEL.ROI_HEADS.NUM_CLASSES": ("model.num_classes",),
    "MODEL.ROI_HEADS.IOU_THRESHOLDS": ("model.box_head.foreground_iou",),
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": ("model.box_head.samples",),
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": ("model.box_head.foreground_fraction",),
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": ("model.detections.score_threshold",),
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": ("model.detections.nms_iou",),
    "MODEL.ROI_HEADS.PROPOSAL_APPEND_GT": ("model.proposals.append_ground_truth",),
    "MODEL.ROI_BOX_HEAD.NAME": ("model.box_head.name",),
    "MODEL.ROI_BOX_HEAD.NUM_FC": ("model.box_head.name",),
    "MODEL.ROI_BOX_HEAD.FC_DIM": ("model.box_head.channels",),
    "MODEL.ROI_BOX_HEAD.NUM_CONV": ("model.box_head.convs",),
    "MODEL.ROI_BOX_HEAD.CONV_DIM": ("model.box_head.conv_channels",),
    "MODEL.ROI_BOX_HEAD.NORM": ("model.box_head.norm",),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": ("model.box_head.box_loss",),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT": ("model.box_head.box_weight",),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": ("model.box_head.coder_weights",),
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": (
        "model.box_head.box_loss",
        "model.box_head.box_loss_beta",
    ),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": ("model.box_head.class_loss",),
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": ("model.box_head.class_agnostic",),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("model.roi.op",),
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": ("model.roi.output_size",),
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": ("model.roi.sampling_ratio",),
    "MODEL.LOAD_PROPOSALS": ("data.train_proposals", "data.eval_proposals"),
    "INPUT.MIN_SIZE_TRAIN": ("data.train_short_sides",),
    "INPUT.MAX_SIZE_TRAIN": ("data.long_side",),
    "INPUT.MIN_SIZE_TEST": ("data.short_side",),
    "INPUT.MAX_SIZE_TEST": ("data.long_side",),
    "INPUT.RANDOM_FLIP": ("data.horizontal_flip", "data.vertical_flip"),
    "DATASETS.TRAIN": ("data.root", "data.train_splits"),
    "DATASETS.TEST": ("data.root", "data.eval_split"),
    "DATASETS.PROPOSAL_FILES_TRAIN": ("data.train_proposals",),
    "DATASETS.PROPOSAL_FILES_TEST": ("data.eval_proposals",),
    "DATALOADER.NUM_WORKERS": ("data.workers",),
    "DATALOADER.FILTER_EMPTY_ANNOTATIONS": ("data.skip_empty",),
    "SOLVER.IMS_PER_BATCH": ("train.batch_size",),
    "SOLVER.BASE_LR": ("train.optimizer.learning_rate",),
    "SOLVER.MAX_ITER": ("train.steps",),
    "SOLVER.STEPS": ("train.optimizer.milestones",),
    "SOLVER.GAMMA": ("train.optimizer.drop_factor",),
    "SOLVER.LR_SCHEDULER_NAME": ("train.optimizer.schedule",),
    "SOLVER.WARMUP_ITERS": ("train.optimizer.warmup_steps",),
    "SOLVER.WARMUP_FACTOR": ("train.optimizer.warmup_factor",),
    "SOLVER.MOMENTUM": ("train.optimizer.momentum",),
    "SOLVER.WEIGHT_DECAY": ("train.optimizer.weight_decay",),
    "SOLVER.WEIGHT_DECAY_NORM": ("train.optimizer.decay_norms",),
    "SOLVER.WEIGHT_DECAY_BIAS": ("train.optimizer.decay_biases",),
    "SOLVER.BIAS_LR_FACTOR": ("train.optimizer.bias_rate_factor",),
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": ("train.optimizer.clip_norm",),
    "SOLVER.CHECKPOINT_PERIOD": ("train.checkpoint_every",),
    "SOLVER.AMP.ENABLED": ("model.compute_dtype",),
    "TEST.DETECTIONS_PER_IMAGE": ("model.detections.max_detections",),
    "TEST.EVAL_PERIOD": ("train.eval_every",),
    "SEED": ("seed",),
}
"""The keys of Detectron2's configs that a Faster R-CNN has, and our fields for each."""


NOTES = {
    "num_classes": "without the background, which torchvision counts",
    "image_mean": "times 255",
    "image_std": "times 255",
    "trainable_backbone_layers": "5 minus it",
    "trainable_layers": "5 minus it",
    "rpn_anchor_generator": "with rounded and spread True",
    "box_roi_pool": "with model.roi.op align_unaligned",
    "box_bg_iou_thresh": "one threshold for both",
    "MODEL.PIXEL_MEAN": "red first",
    "MODEL.PIXEL_STD": "red first",
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignV2 is align, ROIAlign align_unaligned, ROIPool pool",
    "MODEL.RPN.SMOOTH_L1_BETA": "0 is l1",
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": "0 is l1",
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": "True is sigmoid, False softmax",
    "SOLVER.WEIGHT_DECAY_NORM": "whether, not how much",
    "SOLVER.WEIGHT_DECAY_BIAS": "whether, not how much",
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": "of the global norm",
    "SOLVER.AMP.ENABLED": "bfloat16",
}
"""How the value of a field differs from the peer's."""

ABSENT = {
    "progress": "downloads show their progress by themselves",
    "INPUT.FORMAT": "images are RGB; convert reverses the first convolution of a BGR model",
    "INPUT.CROP.ENABLED": "random_crop() in data.augment crops images",
    "MODEL.DEVICE": "jax chooses; the environment variable JAX_PLATFORMS overrides it",
    "MODEL.MASK_ON": "there is no mask head; convert leaves its weights out",
    "MODEL.KEYPOINT_ON": "there is no keypoint head; convert leaves its weights out",
    "MODEL.RPN.BOUNDARY_THRESH": "anchors that leave the image are used",
    "MODEL.FPN.FUSE_TYPE": "levels are added",
    "MODEL.ROI_BOX_HEAD.USE_FED_LOSS": "there is no federated loss",
    "SOLVER.NESTEROV": "momentum is the ordinary one",
    "TEST.AUG.ENABLED": "evaluate and predict have --flip and --scales",
    "OUTPUT_DIR": "the option --workdir names the folder",
}
"""Names of the peers' that no field stands for, and why."""


def peer_hint(name: str, known: Collection[str], prefix: str = "") -> str:
    """Which of our fields a name of torchvision's or Detectron2's is; empty if it is no such name.

    Args:
        name: an argument of torchvision's such as "min_size", or a key of Detectron2's, whole or
            its end: "SOLVER.BASE_LR", "NMS_THRESH_TEST"; in small letters too. Groups of ours may
            stand before it: "data.min_size".
        known: our fields. The end of such a name, "rpn.samples", is none of a peer's.
        prefix: of the fields in the answer, such as "--config.".
    """
    if name in TORCHVISION_ARGUMENTS:
        return _hint("torchvision", name, TORCHVISION_ARGUMENTS[name], prefix)
    if any(field.endswith(f".{name}") for field in known):
        return ""
    own = {field.rpartition(".")[2] for field in known}
    last = name.rpartition(".")[2]
    return _of_detectron2(name, own, prefix) or (
        _hint("torchvision", last, TORCHVISION_ARGUMENTS[last], prefix)
        if last in TORCHVISION_ARGUMENTS
        else _of_detectron2(last, own, prefix)
    )


def _of_detectron2(name: str, own: Collection[str], prefix: str) -> str:
    """The hint for a key, whole or its end; the last names of our fields are no ends of keys."""
    key = name.upper()
    keys = [known for known in (*DETECTRON2_KEYS, *ABSENT) if known == key]
    if not keys and (name == key or name not in own):
        keys = [known for known in (*DETECTRON2_KEYS, *ABSENT) if known.endswith(f".{key}")]
    hints = [_hint("Detectron2", known, DETECTRON2_KEYS.get(known, ()), prefix) for known in keys]
    return "; ".join(hints[:3])


def _hint(peer: str, name: str, fields: Collection[str], prefix: str) -> str:
    if not fields:
        return f"{peer}'s {name} has no field: {ABSENT[name]}"
    ours = " and ".join(prefix + field for field in fields)
    return f"{peer}'s {name} is {ours}" + (f" ({NOTES[name]})" if name in NOTES else "")
