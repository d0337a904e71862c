r"""ResNet-50 C4 on COCO, 12 epochs: one map of stride 16, res5 as the box head.

Command   python train.py --config configs/coco_r50_c4_1x.py \
              --config.data.root DIR --config.train.init FILE
Hardware  not yet run here
Time      not yet measured here
Score     not yet measured here; Detectron2 publishes 35.7 AP on val2017

The numbers are Detectron2's. Its frozen norm needs a pretrained backbone: data.root is COCO's
folder, train.init ImageNet weights for these pixels, such as torchvision's resnet50-0676ba61.pth.
"""

import pathlib

from jaxrcnn.config import Config
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields

BASE = pathlib.Path(__file__).with_name("coco_r50_fpn_1x.py")


def get_config() -> Config:
    return replace_fields(
        load_config(BASE),
        {
            "model.neck.name": "c4",
            "model.anchors.sizes": ((32.0, 64.0, 128.0, 256.0, 512.0),),
            "model.proposals.pre_nms_train": 12000,
            "model.proposals.pre_nms_test": 6000,
            "model.proposals.post_nms_train": 2000,
            "model.roi.output_size": 14,
            "model.box_head.name": "res5",
        },
    )
