"""What torchvision computes with a state dict, stage by stage, as an .npz that needs no torch.

A program of its own, for a Python that has torchvision and nothing of jaxrcnn:

    PYTHON record_torchvision.py REQUEST.json OUT.npz

The request names `model` (a function of torchvision.models.detection), `weights` (a state dict as
.npz), `images` (an .npz with image0, image1, ...: (H, W, 3) uint8), `classes`, the background
among them, `frozen_epsilon` (of a frozen norm in the backbone; null: it has a batch norm) and
`options` for the function.
"""

import json
import sys
import warnings

import numpy as np
import torch
import torchvision

CORNER = (slice(None), slice(0, 16), slice(0, 4), slice(0, 4))


def main(request_file, out_file):
    """Build, run, record."""
    warnings.filterwarnings("ignore")
    with open(request_file, encoding="utf-8") as stream:
        request = json.load(stream)
    images = np.load(request["images"])
    tensors = [to_tensor(images[f"image{i}"]) for i in range(len(images.files))]
    model = build_with_weights(request)
    with torch.no_grad():
        recorded = record(model.eval(), tensors)
    recorded["torchvision"] = np.array(torchvision.__version__)
    np.savez_compressed(out_file, **recorded)


def build(request):
    """The model without weights, its norms frozen where they were in training."""
    function = getattr(torchvision.models.detection, request["model"])
    model = function(
        weights=None, weights_backbone=None, num_classes=request["classes"], **request["options"]
    )
    if request["frozen_epsilon"] is not None:
        freeze(model.backbone.body, request["frozen_epsilon"])
    return model


def build_with_weights(request):
    """The model as the request has it."""
    model = build(request)
    weights = np.load(request["weights"])
    model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
    return model


def freeze(module, epsilon):
    """Replace batch norms by frozen ones, as torchvision builds a pretrained backbone."""
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            frozen = torchvision.ops.misc.FrozenBatchNorm2d(child.num_features, eps=epsilon)
            setattr(module, name, frozen)
        else:
            freeze(child, epsilon)


def to_tensor(image):
    """(H, W, 3) uint8 -> (3, H, W) float32, 0..1."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def record(model, tensors):
    """Every stage of an inference over all images as one batch, in numpy."""
    out = {}

    def keep(name, value):
        out[name] = value.cpu().numpy()

    batch, _ = model.transform([x.clone() for x in tensors])
    keep("pixels", batch.tensors)
    out["image_sizes"] = np.array(batch.image_sizes)
    maps = list(model.backbone(batch.tensors).values())
    for level, x in enumerate(maps):
        keep(f"features{level}/mean", x.mean(1))
        keep(f"features{level}/corner", x[CORNER])
    logits, deltas = model.rpn.head(maps)
    for level, (a, b) in enumerate(zip(logits, deltas)):
        keep(f"rpn_logits{level}", a)
        keep(f"rpn_deltas{level}", b)
    features = dict(zip(model.backbone(batch.tensors), maps))
    keep("anchors", model.rpn.anchor_generator(batch, maps)[0])
    proposals, _ = model.rpn(batch, features)
    pooled = model.roi_heads.box_roi_pool(features, proposals, batch.image_sizes)
    class_logits, box_deltas = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))
    keep("roi/mean", pooled.mean(1))
    keep("roi/first", pooled[:, :8])
    keep("class_logits", class_logits)
    keep("box_deltas", box_deltas)
    for i, (boxes, found) in enumerate(zip(proposals, model([x.clone() for x in tensors]))):
        keep(f"proposals{i}", boxes)
        for name, value in found.items():
            keep(f"detections{i}/{name}", value)
    return out


if __name__ == "__main__":
    main(*sys.argv[1:])
