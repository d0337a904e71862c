r"""ResNet-50 FPN on COCO, 37 epochs.

Command   python train.py --config configs/coco_r50_fpn_3x.py \
              --config.data.root DIR --config.train.init FILE
Hardware  not yet run here
Time      not yet measured here
Score     not yet measured here; Detectron2 publishes 40.2 AP on val2017

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
            "train.steps": 270000,
            "train.optimizer.milestones": (210000, 250000),
        },
    )
