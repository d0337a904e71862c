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

import pathlib

from jaxrcnn.config import Config
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields

BASE = pathlib.Path(__file__).with_name("coco_r50_c4_1x.py")


def get_config() -> Config:
    return replace_fields(
        load_config(BASE),
        {
            "model.num_classes": 20,
            "data.format": "voc",
            "data.train_splits": ("VOC2007/trainval", "VOC2012/trainval"),
            "data.eval_split": "VOC2007/test",
            "data.train_short_sides": (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
            "data.keep_difficult": True,
            "train.steps": 18000,
            "train.eval_every": 6000,
            "train.checkpoint_every": 3000,
            "train.optimizer.warmup_steps": 100,
            "train.optimizer.milestones": (12000, 16000),
            "eval.metric": "voc07",
        },
    )
