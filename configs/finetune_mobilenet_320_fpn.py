r"""Fine-tune torchvision's MobileNetV3 for small images, trained on COCO, on your own data.

Command   python train.py --config configs/finetune_mobilenet_320_fpn.py \
              --config.data.root DIR --config.model.num_classes 3
Hardware  two CPU cores (EPYC with AVX-512), jax 0.10.2
Time      2 s per step, beside other work on the same cores (2026-11-27)
Score     not measured with the published weights. On BCCD, from random weights instead, AP .078
          and AP50 .260 after 120 steps

The weights are those that torchvision publishes (COCO_V1), downloaded at the first use. Unlike
finetune_r50_fpn.py, this is a detector that a CPU can train, in batches of four images with a
learning rate that is scaled accordingly.
"""

import pathlib

from jaxrcnn.config import Config
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields

BASE = pathlib.Path(__file__).with_name("finetune_r50_fpn.py")


def get_config() -> Config:
    return replace_fields(
        load_config(BASE),
        {
            "model.backbone.name": "mobilenet_v3_large",
            "model.backbone.norm_epsilon": 1e-5,
            "model.backbone.frozen_stages": 3,
            "model.anchors.sizes": ((32.0, 64.0, 128.0, 256.0, 512.0),) * 3,
            "model.proposals.pre_nms_test": 150,
            "model.proposals.post_nms_test": 150,
            "model.proposals.score_threshold": 0.05,
            "data.short_side": 320,
            "data.long_side": 640,
            "train.init": "fasterrcnn_mobilenet_v3_large_320_fpn:COCO_V1",
            "train.batch_size": 4,
            "eval.batch_size": 4,
        },
    )
