#!/usr/bin/python3
"""Record what Detectron2 finds and what its losses are, with the weights of ../recipe.py.

    record_detectron2.py R_50_FPN_3x --source DETECTRON2 --out detectron2_r50_fpn.npz

DETECTRON2 is a checkout of its sources (0.6). Nothing has to be built: put it, fvcore, iopath,
yacs, omegaconf, portalocker, tqdm, tabulate, termcolor, packaging and pycocotools on PYTHONPATH.
detectron2_r50_c4.npz was recorded from R_50_C4_3x with --logit-gain 0.15. Both samplers take every
candidate, so that the losses have one right value.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
from detectron2.config import get_cfg
from detectron2.data import transforms
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from PIL import Image

sys.path.append(str(pathlib.Path(__file__).parents[1]))

import recipe

CLASSES, SHORT, LONG, SCORE = 5, 160, 256, 0.05
RPN_SAMPLES, ROI_SAMPLES = 40_000, 4_000


def images():
    """Smooth random RGB: landscape, portrait, and one whose resized sides are multiples of 32."""
    rng = np.random.default_rng(0)
    for height, width in ((150, 200), (210, 140), (160, 224)):
        small = rng.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
        yield np.asarray(Image.fromarray(small).resize((width, height), Image.BICUBIC))


def config_of(name, source):
    """Detectron2's own config of a model, for few classes."""
    config = get_cfg()
    config.merge_from_file(f"{source}/configs/COCO-Detection/faster_rcnn_{name}.yaml")
    config.MODEL.DEVICE = "cpu"
    config.MODEL.ROI_HEADS.NUM_CLASSES = CLASSES
    config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = SCORE
    config.MODEL.RPN.BATCH_SIZE_PER_IMAGE = RPN_SAMPLES
    config.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = ROI_SAMPLES
    return config


def inputs_of(out):
    """The images as Detectron2 takes them, each with three objects; both kept in `out`."""
    resize = transforms.ResizeShortestEdge([SHORT, SHORT], LONG)
    rng = np.random.default_rng(1)
    for i, rgb in enumerate(images()):
        height, width = rgb.shape[:2]
        corner = rng.uniform(0.0, 0.5, (3, 2)) * [width, height]
        sides = rng.uniform(0.2, 0.5, (3, 2)) * [width, height]
        boxes = np.concatenate([corner, corner + sides], 1).astype(np.float32)
        labels = rng.integers(0, CLASSES, 3)
        out |= {f"image{i}": rgb, f"gt_boxes{i}": boxes, f"gt_labels{i}": labels + 1}
        moved = resize.get_transform(rgb)
        pixels = moved.apply_image(rgb[:, :, ::-1]).astype("float32")
        truth = Instances(
            pixels.shape[:2],
            gt_boxes=Boxes(torch.tensor(moved.apply_box(boxes), dtype=torch.float32)),
            gt_classes=torch.tensor(labels),
        )
        pixels = torch.as_tensor(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        yield {"image": pixels, "height": height, "width": width, "instances": truth}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--source", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--logit-gain", type=float, default=1.5)
    arguments = parser.parse_args()
    config = config_of(arguments.name, arguments.source)
    model = build_model(config)
    shapes = {name: list(x.shape) for name, x in model.state_dict().items()}
    std = tuple(config.MODEL.PIXEL_STD)
    made = recipe.detectron2_state_dict(shapes, std, arguments.logit_gain)
    model.load_state_dict({k: torch.from_numpy(x.copy()) for k, x in made.items()}, strict=False)
    meta = {
        "detectron2": "0.6",
        "torch": torch.__version__,
        "model": f"faster_rcnn_{arguments.name}",
        "shapes": shapes,
        "pixel_std": std,
        "pixel_mean": tuple(config.MODEL.PIXEL_MEAN),
        "logit_gain": arguments.logit_gain,
        "classes": CLASSES,
        "short": SHORT,
        "long": LONG,
        "score": SCORE,
        "rpn_samples": RPN_SAMPLES,
        "roi_samples": ROI_SAMPLES,
    }
    out = {"meta": json.dumps(meta)}
    inputs = list(inputs_of(out))
    model.eval()
    with torch.no_grad():
        for i, one in enumerate(inputs):  # each alone, as its predictor does
            found = model([one])[0]["instances"]
            out[f"boxes{i}"] = found.pred_boxes.tensor.numpy()
            out[f"scores{i}"] = found.scores.numpy()
            out[f"labels{i}"] = found.pred_classes.numpy() + 1
    model.train()
    with EventStorage():
        losses = model(inputs[:2])  # the landscape and the portrait one, padded into one batch
    out |= {f"train/{name}": x.detach().numpy() for name, x in losses.items()}
    np.savez_compressed(arguments.out, **out)


if __name__ == "__main__":
    main()
