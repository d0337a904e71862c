"""Our values beside torchvision's, stage by stage, for the same weights and images."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.detector import (
    Detector,
    Variables,
    apply,
    draw_anchors,
    forward_infer,
    pool,
    split_images,
)
from jaxrcnn.interop.layouts import sizes_first
from jaxrcnn.stages.inputs import normalise
from jaxrcnn.stages.proposals import propose
from jaxrcnn.stages.rpn import concatenate_levels
from jaxrcnn.types import Array, Proposals

LIMITS = {
    "pixels": 1e-5,
    "features": 1e-4,
    "rpn_logits": 1e-4,
    "rpn_deltas": 1e-4,
    "anchors": 0.0,
    "proposals": 1e-2,
    "roi": 1e-4,
    "class_logits": 5e-4,
    "box_deltas": 5e-4,
    "boxes": 0.05,
    "scores": 1e-4,
    "labels": 0.0,
}
"""Largest difference by stage: of proposals and boxes in pixels, of scores as they are, else over
the largest magnitude of the peer's tensor."""


class Difference(NamedTuple):
    """How far a stage is from the peer's."""

    stage: str
    error: float  # in the unit of its limit; infinite where the numbers of boxes differ
    limit: float

    @property
    def is_small(self) -> bool:
        """Whether the stage counts as the same."""
        return self.error <= self.limit


@functools.partial(jax.jit, static_argnums=0)
def first_stage_values(
    detector: Detector, variables: Variables, images: Array, image_sizes: Array
) -> dict[str, Any]:
    """What goes along the arrows up to the proposals; see `forward_infer` for the arguments."""
    config, strides = detector.config, detector.backbone.strides
    pixels = normalise(images, image_sizes, config)
    features, _ = apply(detector, "backbone", variables, pixels)
    anchors, level_sizes = draw_anchors(pixels, features, strides, config.anchors)
    (logits, deltas), _ = apply(detector, "rpn_head", variables, features)
    rpn = concatenate_levels(logits, deltas)
    proposals = propose(rpn, anchors, level_sizes, image_sizes, config, train=False)
    return {
        "pixels": pixels,
        "features": features,
        "rpn_logits": logits,
        "rpn_deltas": deltas,
        "anchors": anchors,
        "proposals": proposals,
    }


@functools.partial(jax.jit, static_argnums=0)
def second_stage_values(
    detector: Detector, variables: Variables, features: Sequence[Array], proposals: Proposals
) -> dict[str, Any]:
    """RoI features and the box head's answer for given proposals."""
    pooled = pool(detector, features, proposals.boxes)
    head, _ = apply(detector, "box_head", variables, pooled)
    output = split_images(head, len(proposals.boxes))
    return {"roi": pooled, "class_logits": output.class_logits, "box_deltas": output.deltas}


def compare(
    detector: Detector,
    variables: Variables,
    images: np.ndarray,
    image_sizes: np.ndarray,
    scales: np.ndarray,
    recorded: Mapping[str, np.ndarray],
) -> list[Difference]:
    """Every stage beside what `record_torchvision` recorded.

    The second stage is compared on the peer's proposals, so that a difference shows where it
    arises; the detections come of our own.

    Args:
        detector, variables: ours.
        images: (N, H, W, 3) 0..255, resized and padded.
        image_sizes: (N, 2) height and width inside the padding.
        scales: (N, 2) resized height and width over the image's own.
        recorded: of the same images in one batch.
    """
    first = jax.tree.map(np.asarray, first_stage_values(detector, variables, images, image_sizes))
    theirs = _own_layout(recorded, detector)
    differences = [
        _relative("pixels", [first["pixels"]], theirs["pixels"]),
        _relative("features", _reduced(first["features"]), theirs["features"]),
        _relative("rpn_logits", first["rpn_logits"], theirs["rpn_logits"]),
        _relative("rpn_deltas", first["rpn_deltas"], theirs["rpn_deltas"]),
        _relative("anchors", [first["anchors"]], theirs["anchors"]),
        _same_proposals(first["proposals"], theirs["proposals"]),
    ]
    proposals = _padded(theirs["proposals"])
    second = second_stage_values(detector, variables, first["features"], proposals)
    second = jax.tree.map(np.asarray, second)
    there = np.asarray(proposals.valid).reshape(-1)
    pooled = second["roi"][there]
    differences += [
        _relative("roi", [pooled.mean(-1), pooled[..., :8]], theirs["roi"]),
        _relative("class_logits", [_rows(second["class_logits"], there)], theirs["class_logits"]),
        _relative("box_deltas", [_rows(second["box_deltas"], there)], theirs["box_deltas"]),
    ]
    found = jax.jit(forward_infer, static_argnums=0)(detector, variables, images, image_sizes)
    return differences + _same_detections(found, scales, recorded)


def _own_layout(recorded: Mapping[str, np.ndarray], detector: Detector) -> dict[str, Any]:
    """The recorded arrays in our layout, a list for every stage."""
    anchors = detector.config.anchors
    by_size = sizes_first(len(anchors.sizes[0]), len(anchors.ratios)).ours
    levels = range(sum(name.startswith("rpn_logits") for name in recorded))

    def last(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(x, 1, -1)  # (N, C, H, W) -> (N, H, W, C)

    def of_anchors(x: np.ndarray) -> np.ndarray:
        return np.moveaxis(by_size(np.moveaxis(x, 1, 0)), 0, -1)

    per_cell = len(anchors.sizes[0]) * len(anchors.ratios)
    cells = recorded["anchors"].reshape(-1, per_cell, 4)  # (A, 4) -> (cells, A / cells, 4)
    places = range(len(recorded["image_sizes"]))
    deltas = recorded["box_deltas"]
    return {
        "pixels": [last(recorded["pixels"])],
        "features": [
            part
            for level in levels
            for part in (
                recorded[f"features{level}/mean"],
                last(recorded[f"features{level}/corner"]),
            )
        ],
        "rpn_logits": [of_anchors(recorded[f"rpn_logits{level}"]) for level in levels],
        "rpn_deltas": [of_anchors(recorded[f"rpn_deltas{level}"]) for level in levels],
        "anchors": [np.moveaxis(by_size(np.moveaxis(cells, 1, 0)), 0, 1).reshape(-1, 4)],
        "proposals": [recorded[f"proposals{i}"] for i in places],
        "roi": [recorded["roi/mean"], last(recorded["roi/first"])],
        "class_logits": [recorded["class_logits"]],
        "box_deltas": [deltas.reshape(len(deltas), -1, 4)[:, 1:]],  # the first is the background's
    }


def _reduced(features: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [part for x in features for part in (x.mean(-1), x[:, :4, :4, :16])]


def _rows(x: np.ndarray, there: np.ndarray) -> np.ndarray:
    return x.reshape(-1, *x.shape[2:])[there]  # (N, R, ...) -> (N*R, ...) -> (M, ...)


def _padded(proposals: Sequence[np.ndarray]) -> Proposals:
    """Boxes of each image as Proposals (N, R, ...)."""
    most = max(map(len, proposals))
    boxes = np.zeros((len(proposals), most, 4), np.float32)
    valid = np.arange(most) < np.array([[len(x)] for x in proposals])
    for row, own in zip(boxes, proposals, strict=True):
        row[: len(own)] = own
    return Proposals(jnp.asarray(boxes), jnp.zeros(valid.shape), jnp.asarray(valid))


def _relative(stage: str, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> Difference:
    """Largest difference over the largest magnitude of the same tensor; the worst tensor's."""
    errors = [
        np.abs(a - b).max() / max(np.abs(b).max(), 1e-12) if a.shape == b.shape else np.inf
        for a, b in zip(ours, theirs, strict=True)
    ]
    return Difference(stage, float(max(errors)), LIMITS[stage])


def _same_proposals(ours: Proposals, theirs: Sequence[np.ndarray]) -> Difference:
    """The sets of the boxes: how far a box is at most from the nearest of the other set."""
    errors = []
    for boxes, valid, others in zip(ours.boxes, ours.valid, theirs, strict=True):
        boxes = np.asarray(boxes)[np.asarray(valid)]
        if len(boxes) != len(others):
            return Difference("proposals", np.inf, LIMITS["proposals"])
        distance = np.abs(boxes[:, None] - others[None]).max(-1)  # (R, R)
        errors += [distance.min(0).max(initial=0), distance.min(1).max(initial=0)]
    return Difference("proposals", float(max(errors)), LIMITS["proposals"])


def _same_detections(
    found: Any, scales: np.ndarray, recorded: Mapping[str, np.ndarray]
) -> list[Difference]:
    """Boxes, scores and labels, best first; the peer's boxes are in pixels of the images."""
    errors = {"boxes": [0.0], "scores": [0.0], "labels": [0.0]}
    for i, scale in enumerate(scales):
        valid = np.asarray(found.valid[i])
        boxes = np.asarray(found.boxes[i])[valid] / np.concatenate([scale, scale])[[1, 0, 3, 2]]
        scores, labels = np.asarray(found.scores[i])[valid], np.asarray(found.labels[i])[valid]
        theirs = {name: recorded[f"detections{i}/{name}"] for name in errors}
        if len(boxes) != len(theirs["boxes"]):
            return [Difference(name, np.inf, LIMITS[name]) for name in errors]
        pairs = _pairs(boxes, labels, theirs["boxes"], theirs["labels"])
        errors["boxes"].append(np.abs(boxes - theirs["boxes"][pairs]).max(initial=0))
        errors["scores"].append(np.abs(scores - theirs["scores"][pairs]).max(initial=0))
        errors["labels"].append((labels != theirs["labels"][pairs]).max(initial=0))
    return [Difference(name, float(max(values)), LIMITS[name]) for name, values in errors.items()]


def _pairs(
    boxes: np.ndarray, labels: np.ndarray, others: np.ndarray, other_labels: np.ndarray
) -> np.ndarray:
    """The nearest box of the same label for each, (D,); scores that tie may come in any order."""
    if not len(others):
        return np.zeros(0, np.intp)
    distance = np.abs(boxes[:, None] - others[None]).max(-1)
    return np.where(labels[:, None] == other_labels[None], distance, np.inf).argmin(1)
