#!/usr/bin/env python3
"""Record what torchvision computes with the weights of ../recipe.py, as parity_v1.npz and _v2.npz.

In an environment of its own: pip install torch torchvision pillow, here torchvision 0.29.1.

Inference stage by stage; the four losses; the norm of every parameter's gradient, of all losses and
of the second stage's alone; the losses of ten steps of SGD. Both samplers take every candidate, so
that there is one right value.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import torch
import torchvision
from PIL import Image

HERE = pathlib.Path(__file__).parent
sys.path += [str(HERE.parent), str(HERE.parents[2] / "jaxrcnn" / "interop")]

import recipe  # noqa: E402
import record_torchvision  # noqa: E402

CLASSES = 4  # the background among them
OPTIONS = {
    "min_size": 128,
    "max_size": 192,
    "rpn_pre_nms_top_n_train": 200,
    "rpn_post_nms_top_n_train": 60,
    "rpn_pre_nms_top_n_test": 200,
    "rpn_post_nms_top_n_test": 60,
    "rpn_batch_size_per_image": 1_000_000,
    "box_batch_size_per_image": 1_000_000,
    "box_detections_per_img": 40,
}
MODELS = {
    "v1": ("fasterrcnn_resnet50_fpn", 0.0),
    "v2": ("fasterrcnn_resnet50_fpn_v2", None),
}
STEPS, LEARNING_RATE, MOMENTUM = 10, 1e-5, 0.9


def images_and_truth():
    """Two smooth random images, one lying and one upright, with three objects each."""
    rng = np.random.default_rng(0)
    images, truth = [], []
    for height, width in ((120, 160), (170, 110)):
        small = rng.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
        smooth = Image.fromarray(small).resize((width, height), Image.BICUBIC)
        images.append(np.asarray(smooth))
        corner = rng.uniform(0.0, 0.5, (3, 2)) * [width, height]
        size = rng.uniform(0.2, 0.5, (3, 2)) * [width, height]
        boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
        truth.append((boxes, rng.integers(1, CLASSES, 3)))
    return images, truth


def train(model, tensors, targets, out):
    """Losses and gradients at the recipe's weights."""
    model.train()
    for module in model.modules():  # statistics of two images say nothing: the stored ones
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    losses = losses_of(model, tensors, targets)
    out["losses"] = json.dumps({name: float(x) for name, x in losses.items()})
    second = ("loss_classifier", "loss_box_reg")
    for title, chosen in (("all", tuple(losses)), ("second_stage", second)):
        model.zero_grad()
        sum(losses[name] for name in chosen).backward(retain_graph=True)
        norms = {
            name: 0.0 if p.grad is None else float(p.grad.norm())
            for name, p in model.named_parameters()
        }
        out[f"gradients/{title}"] = json.dumps(norms)


def sgd(model, tensors, targets, out):
    """The losses before each of some steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    rows = []
    for _ in range(STEPS):
        losses = losses_of(model, tensors, targets)
        rows.append([float(x) for x in losses.values()])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    out["sgd"] = np.array(rows)


def losses_of(model, tensors, targets):
    return model(
        [x.clone() for x in tensors], [{k: v.clone() for k, v in t.items()} for t in targets]
    )


def main():
    warnings.filterwarnings("ignore")
    images, truth = images_and_truth()
    tensors = [record_torchvision.to_tensor(image) for image in images]
    targets = [
        {"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(labels).long()}
        for boxes, labels in truth
    ]
    for title, (name, epsilon) in MODELS.items():
        request = {
            "model": name,
            "classes": CLASSES,
            "frozen_epsilon": epsilon,
            "options": OPTIONS,
        }
        model = record_torchvision.build(request)
        shapes = {key: tuple(x.shape) for key, x in model.state_dict().items()}
        weights = recipe.state_dict(shapes)
        model.load_state_dict({key: torch.from_numpy(np.array(x)) for key, x in weights.items()})
        out = {"shapes": json.dumps(shapes), "torchvision": torchvision.__version__}
        for i, (image, (boxes, labels)) in enumerate(zip(images, truth)):  # noqa: B905
            out |= {f"image{i}": image, f"boxes{i}": boxes, f"labels{i}": labels}
        with torch.no_grad():
            recorded = record_torchvision.record(model.eval(), tensors)
        out |= {f"inference/{key}": x for key, x in recorded.items()}
        train(model, tensors, targets, out)
        if title == "v1":
            sgd(model, tensors, targets, out)
        path = HERE / f"parity_{title}.npz"
        np.savez_compressed(path, **out)
        found = [len(out[f"inference/detections{i}/scores"]) for i in range(len(images))]
        print(path.name, path.stat().st_size, out["losses"], "detections", found)


main()
