#!/usr/bin/python3
"""Record checkpoints of one detector as training programs write them, in the folder checkpoints.

apt-get install -y --no-install-recommends python3-torchvision libopenblas0-pthread
/usr/bin/python3 tests/interop/data/record_checkpoints.py

The detector is torchvision's FasterRCNN on a narrow ResNet-18. Each of its tensors has one value in
all places, so that the files are small.
"""

import argparse
import collections
import datetime
import pathlib

import torch
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.resnet import BasicBlock, conv1x1
from torchvision.ops import FrozenBatchNorm2d

FOLDER = pathlib.Path(__file__).with_name("checkpoints")
WIDTH, CHANNELS, CLASSES = 8, 16, 4


class Body(torch.nn.Module):
    """torchvision's ResNet-18 with a narrower stem, which its constructor does not offer."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, WIDTH, 7, 2, 3, bias=False)
        self.bn1 = FrozenBatchNorm2d(WIDTH)
        self.relu = torch.nn.ReLU()
        self.maxpool = torch.nn.MaxPool2d(3, 2, 1)
        inputs = WIDTH
        for stage in (1, 2, 3, 4):
            planes, stride = WIDTH * 2 ** (stage - 1), 1 if stage == 1 else 2
            shortcut = None
            if stage > 1:
                norm = FrozenBatchNorm2d(planes)
                shortcut = torch.nn.Sequential(conv1x1(inputs, planes, stride), norm)
            first = BasicBlock(inputs, planes, stride, shortcut, norm_layer=FrozenBatchNorm2d)
            second = BasicBlock(planes, planes, norm_layer=FrozenBatchNorm2d)
            self.add_module(f"layer{stage}", torch.nn.Sequential(first, second))
            inputs = planes


def detector():
    """The detector, tensor k of its state dict filled with k + 1."""
    layers = {f"layer{stage}": str(stage - 1) for stage in (1, 2, 3, 4)}
    widths = [WIDTH * 2**stage for stage in range(4)]
    backbone = BackboneWithFPN(Body(), layers, widths, CHANNELS)
    head = TwoMLPHead(CHANNELS * 7 * 7, CHANNELS)
    model = FasterRCNN(backbone, box_head=head, box_predictor=FastRCNNPredictor(CHANNELS, CLASSES))
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    names = list(model.state_dict())
    values = torch.arange(1.0, len(names) + 1)
    for value, name in zip(values, names):  # noqa: B905
        own[name].data = value.expand(own[name].shape)
    return model


def prefixed(prefix, tensors):
    return collections.OrderedDict((prefix + name, x) for name, x in tensors.items())


def torchvision_checkpoint(model):
    """As references/detection/train.py saves it."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.02, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [16, 22], gamma=0.1)
    arguments = argparse.Namespace(
        data_path="/datasets01/COCO", model="fasterrcnn_resnet50_fpn", lr_steps=[16, 22], amp=True
    )
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": scheduler.state_dict(),
        "args": arguments,
        "epoch": 25,
        "scaler": torch.cuda.amp.GradScaler(enabled=False).state_dict(),
    }


def lightning_checkpoint(model):
    """As Lightning 2.5 saves a module that keeps the detector as self.model, beside a metric."""
    state = prefixed("model.", model.state_dict())
    state["metric.total"] = torch.tensor(3)
    state["class_weights"] = torch.ones(CLASSES)
    best = {"best_model_score": torch.tensor(0.41), "best_k_models": {"a.ckpt": torch.tensor(0.4)}}
    return {
        "epoch": 11,
        "global_step": 1200,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 12}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_map'}": {**best, "dirpath": "/runs"}},
        "optimizer_states": [{"state": {0: {"momentum_buffer": torch.zeros(3)}}}],
        "hparams_name": "kwargs",
        "hyper_parameters": {
            **{"root": pathlib.PurePosixPath("/data"), "seen": {1, 2}, "frozen": frozenset("ab")},
            **{"device": torch.device("cpu"), "dtype": torch.float16, "size": torch.Size([2])},
            "history": collections.defaultdict(list, loss=[0.1]),
            "started": datetime.datetime(2026, 1, 1),
            (2, 3): "a key that is a tuple",
        },
    }


def main():
    FOLDER.mkdir(exist_ok=True)
    model = detector()
    state = model.state_dict()
    averaged = {"n_averaged": torch.tensor(100), **prefixed("module.", state)}
    files = {
        "plain": state,
        "dataparallel": torch.nn.DataParallel(model).state_dict(),
        "compiled": prefixed("module._orig_mod.", state),  # torch.compile inside of DDP
        "torchvision": torchvision_checkpoint(model),
        "lightning": lightning_checkpoint(model),
        "averaged": {"model": state, "model_ema": averaged, "epoch": 3},
    }
    for name, tree in files.items():
        torch.save(tree, FOLDER / f"{name}.pth")
    torch.save(model, FOLDER / "module.pth")


if __name__ == "__main__":
    main()
