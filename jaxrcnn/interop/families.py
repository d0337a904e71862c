"""Weight files of other detectors, recognised by their names for an error to say what they are.

Each pattern is for names that this detector has and no Faster R-CNN of torchvision or Detectron2.
"""

import re
from collections.abc import Iterable

FAMILIES = (
    ("a Faster R-CNN of maskrcnn-benchmark", r"roi_heads\.box\.(feature_extractor|predictor)\."),
    ("a Faster R-CNN of jwyang/faster-rcnn.pytorch", r"RCNN_(rpn|base|cls_score|bbox_pred)\."),
    ("a Faster R-CNN of simple-faster-rcnn-pytorch", r"(rpn\.score|head\.cls_loc)\.weight"),
    ("a Cascade R-CNN of Detectron2", r"roi_heads\.box_predictor\.\d+\.cls_score\."),
    (
        "a two-stage detector of MMDetection",
        r"rpn_head\.rpn_(conv|cls|reg)\.|roi_head\.bbox_head\.",
    ),
    ("a single-stage detector of MMDetection", r"bbox_head\."),
    ("a DETR", r"transformer\.(encoder|decoder)\.|class_embed\.|class_labels_classifier\."),
    ("a YOLOX", r"backbone\.backbone\.dark\d\.|head\.(stems|obj_preds)\.\d"),
    ("a YOLO", r"model\.\d+\.(conv|bn|m|dfl|attn|ffn|anchors|anchor_grid|cv\d)\b"),
    ("a YOLO", r"module_list\.\d+\.(Conv2d|conv|conv_\d+|BatchNorm2d)\."),
    ("an SSD", r"head\.classification_head\.module_list\."),
    ("an FCOS", r"head\.(regression_head\.bbox_ctrness|ctrness|fcos_head)\b"),
    ("a RetinaNet", r"head\.(classification_head|regression_head|cls_subnet|bbox_subnet)\."),
    ("an EfficientDet", r"(bifpn|fpn\.cell)\.|class_net\.|classifier\.header\."),
    ("a CenterNet", r"(hm|heatmap_head|wh)\.\d\.weight"),
    ("an RPN alone, with no second stage", r"proposal_generator\.rpn_head\.|rpn\.head\."),
)
"""What a file is, and how some of its names begin, behind any prefix. The last is for files that
have no second stage."""

CLASSES = (
    ("a YOLO", r"ultralytics\.|models\.(yolo|common|experimental)\.|yolox\.|yolov\d+\."),
    ("a detector of MMDetection", r"mmdet\."),
    ("a detector of EfficientDet", r"effdet\."),
)
"""What a file is, and how the class of an object in it begins."""

READ = (
    "only a Faster R-CNN of torchvision or Detectron2, and ImageNet backbones of theirs or of "
    "timm, can be read"
)
"""The end of an error about another model."""

LOGITS = "roi_heads.box_predictor.cls_score.bias"
"""The class logits' bias in a Faster R-CNN of torchvision or Detectron2."""


def family_of(names: Iterable[str]) -> str | None:
    """What kind of detector has such names; None for those that are read, and for unknown ones."""
    text = "\n".join(names)
    has_second_stage = re.search(r"(?:^|\.)roi_heads\.", text, re.MULTILINE)
    for family, pattern in FAMILIES[:-1] if has_second_stage else FAMILIES:
        if re.search(rf"(?:^|\.)(?:{pattern})", text, re.MULTILINE):
            return family
    return None


def family_of_class(name: str) -> str | None:
    """What kind of detector a pickled object of a class is; None for unknown ones."""
    return next((family for family, pattern in CLASSES if re.match(pattern, name)), None)
