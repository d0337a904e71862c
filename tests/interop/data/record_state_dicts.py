#!/usr/bin/python3
"""Record the names and shapes of torchvision's state dicts, as state_dicts.json.gz.

apt-get install -y --no-install-recommends python3-torchvision libopenblas0-pthread
/usr/bin/python3 tests/interop/data/record_state_dicts.py
"""

import gzip
import json
import pathlib

import torchvision
from torchvision.models import detection

CLASSIFIERS = ("resnet18", "resnet50", "resnext101_32x8d", "vgg16", "mobilenet_v3_large")
DETECTORS = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
)


def shapes(model):
    return {name: list(x.shape) for name, x in model.state_dict().items()}


recorded = {name: shapes(getattr(torchvision.models, name)(weights=None)) for name in CLASSIFIERS}
for name in DETECTORS:
    build = getattr(detection, name)
    recorded[name] = shapes(build(weights=None, weights_backbone=None, num_classes=4))
text = json.dumps({"torchvision": torchvision.__version__, "shapes": recorded}, sort_keys=True)
path = pathlib.Path(__file__).with_name("state_dicts.json.gz")
path.write_bytes(gzip.compress(text.encode(), mtime=0))
print(path, path.stat().st_size)
