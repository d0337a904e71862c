"""A detector and a batch so small that a test can train them."""

import dataclasses

import jax
import numpy as np

from jaxrcnn.config import (
    AnchorConfig,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    DataConfig,
    DetectionsConfig,
    ModelConfig,
    NeckConfig,
    ProposalsConfig,
    RoiConfig,
    RpnConfig,
)
from jaxrcnn.detector import build, init
from jaxrcnn.training.weights import save_variables
from jaxrcnn.training.workdir import claim, write_classes
from jaxrcnn.types import Batch

SIZE = 64

MODEL = ModelConfig(  # one map of stride 16: 4 * 4 places, 6 anchors each
    num_classes=3,
    backbone=BackboneConfig("resnet18", norm="none", frozen_stages=0, width=8),
    neck=NeckConfig("c4"),
    anchors=AnchorConfig(sizes=((16.0, 32.0),)),
    rpn=RpnConfig(samples=24),
    proposals=ProposalsConfig(
        pre_nms_train=16, pre_nms_test=16, post_nms_train=8, post_nms_test=8, nms_iou=0.7
    ),
    roi=RoiConfig(output_size=3),
    box_head=BoxHeadConfig(channels=16, samples=8, foreground_fraction=0.5),
    detections=DetectionsConfig(max_detections=12, score_threshold=0.0),
)

FPN_MODEL = dataclasses.replace(
    MODEL,
    neck=NeckConfig("fpn", channels=16),
    anchors=AnchorConfig(sizes=((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))),
)


def change(config, **groups):
    """The config with fields of its groups replaced: change(MODEL, rpn={"samples": 8})."""
    return dataclasses.replace(
        config,
        **{
            name: dataclasses.replace(getattr(config, name), **fields)
            for name, fields in groups.items()
        },
    )


def make_batch(images=2, seed=0):
    """Noise images of different sizes with two objects and one padded place each."""
    rng = np.random.default_rng(seed)
    sizes = np.array([(SIZE, 48), (56, SIZE)] * images, np.int32)[:images]
    corner = rng.uniform(0, 20, (images, 3, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 26, (images, 3, 2))], 2)
    return Batch(
        images=rng.uniform(0, 255, (images, SIZE, SIZE, 3)).astype(np.float32),
        image_sizes=sizes,
        image_index=np.arange(images, dtype=np.int32) + 10 * seed,
        image_weights=np.ones(images, np.float32),
        boxes=boxes.astype(np.float32),
        labels=rng.integers(1, 4, (images, 3)).astype(np.int32),
        box_valid=np.tile([True, True, False], (images, 1)),
        box_ignore=np.zeros((images, 3), bool),
        box_weights=np.ones((images, 3), np.float32),
    )


def make_variables(detector, seed=0):
    """Parameters from numpy, sooner there than compiled; the last layers' are not small."""
    rng = np.random.default_rng(seed)

    def draw(path, x):
        if path[-1].key == "kernel":
            scale = np.prod(x.shape[:-1]) ** -0.5 * (0.2 if path[1].key == "rpn_head" else 1.0)
            return rng.normal(0, scale, x.shape).astype(np.float32)
        return np.full(x.shape, path[-1].key in ("scale", "var"), np.float32)

    shapes = jax.eval_shape(lambda key: init(detector, key), jax.random.key(0))
    return jax.tree_util.tree_map_with_path(draw, shapes)


def write_model(folder):
    """A model's folder with parameters from numpy; its input is small, and resized in float32."""
    data = DataConfig(short_side=48, long_side=64, resize="torchvision")
    claim(folder, Config(model=MODEL, data=data))
    write_classes(folder, ("cat", "dog", "bird"), (2, 5, 9))
    save_variables(folder, make_variables(build(MODEL)))
    return folder
