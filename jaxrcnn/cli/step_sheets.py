"""The sheet of an image in a training step: the image, its boxes and the step's samples."""

import pathlib
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxrcnn.cli.fed_steps import Step, Subject
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.push_images import Pushed, push_panel
from jaxrcnn.step_images import (
    Canvas,
    Panel,
    Truth,
    anchor_panel,
    detection_panel,
    roi_panel,
    sheet,
    truth_panel,
)
from jaxrcnn.training.alternating import stage_of
from jaxrcnn.training.pushes import BACKGROUND_BINS, Push, Pushes
from jaxrcnn.training.sampled import Sampled
from jaxrcnn.wording import counted, legible

MIN_SCORE = 0.3
"""Detections below are not drawn."""

FLIPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "": lambda image: image,
    "mirrored left to right": lambda image: image[:, ::-1],
    "mirrored top to bottom": lambda image: image[::-1],
    "mirrored both ways": lambda image: image[::-1, ::-1],
}


def draw_image(subject: Subject, step: Step, place: int) -> tuple[str, np.ndarray, str]:
    """The name of an image's file, its sheet, and a line that describes it."""
    batch, names = step.batch, subject.dataset.class_names
    record = subject.dataset.records[int(batch.image_index[place])]
    height, width = batch.image_sizes[place].tolist()
    boxes, labels, valid, ignore = (
        np.asarray(x[place]) for x in (batch.boxes, batch.labels, batch.box_valid, batch.box_ignore)
    )
    real = valid | ignore
    truth = Truth(boxes[real], labels[real], ignore[real])
    drawn: Any = Sampled(*(x[place] for x in step.sampled))
    anchors = drawn.anchors[drawn.anchor_foreground]
    others = int((drawn.anchor_valid & ~drawn.anchor_foreground).sum())
    is_object = drawn.roi_labels > 0
    rois = [drawn.rois[drawn.roi_valid & x] for x in (is_object, ~is_object)]
    stage = stage_of(subject.config, step.number - 1)
    canvas = Canvas(np.asarray(batch.images[place]), (height, width))
    panels = [truth_panel(canvas, truth, names)]
    if stage != "fast_rcnn":
        panels.append(anchor_panel(canvas, truth, anchors, others))
    if stage != "rpn":
        panels.append(roi_panel(canvas, truth, rois[0], rois[1]))
    if step.detections is not None:
        boxes, scores, labels, valid = (np.asarray(x[place]) for x in step.detections[:4])
        kept = valid & (scores >= MIN_SCORE)
        detected = ImageDetections(boxes[kept], scores[kept], labels[kept])
        panels.append(detection_panel(canvas, detected, names, MIN_SCORE))
    if step.pushes is not None:
        panels = push_panels(canvas, truth, jax.tree.map(lambda x: x[place], step.pushes))
    title = f"Step {step.number}, image {place + 1}: {legible(record.name)}"
    changed = bool(subject.config.data.augment or subject.dataset.transforms)
    how = describe_image(step, place, (record.height, record.width), changed)
    image = sheet(title, how, panels)
    stem = re.sub(r"[^\w.-]+", "_", pathlib.PurePath(record.name).stem)[-60:]
    number = counted(int((~truth.ignore).sum()), "box", "boxes")
    line = (
        f"{number}; foreground: {counted(len(anchors), 'anchor')}, {counted(len(rois[0]), 'RoI')}"
    )
    return f"step_{step.number:06}_{place + 1:02}_{stem}.png", image, line


def push_panels(canvas: Canvas, truth: Truth, pushes: Pushes) -> list[Panel]:
    """Pushes of an image's proposals: foreground by each route, background by the pooling route.

    Background RoIs are drawn only if they are near an object.
    """
    ((low, high),) = BACKGROUND_BINS.values()
    near = ~pushes.foreground & (pushes.overlap >= low) & (pushes.overlap < high)

    def panel(name: str, push: Push, kind: Any) -> Panel:
        drawn = np.asarray(kind & push.moves)
        boxes, steps, nearer = (
            np.asarray(x)[drawn] for x in (pushes.boxes, push.step, push.nearer)
        )
        return push_panel(canvas, truth, name, Pushed(boxes, steps, nearer))

    return [
        panel("Pooling, foreground", pushes.pooling, pushes.foreground),
        panel("Targets, foreground", pushes.targets, pushes.foreground),
        panel("Pooling, background", pushes.pooling, near),
    ]


def describe_image(step: Step, place: int, stored: tuple[int, int], changed: bool) -> str:
    """How an image became what the network sees: sizes, scale and flips.

    Args:
        step: with its batch.
        place: of the image in it.
        stored: height and width of the image in the data set.
        changed: whether augmentations or transforms may have changed it before it was resized.
    """
    height, width = step.batch.image_sizes[place].tolist()
    inside = (slice(0, height), slice(0, width))
    image, upright = (np.asarray(x[place])[inside] for x in (step.batch.images, step.upright))
    flips = [name for name, flip in FLIPS.items() if np.array_equal(flip(upright), image)]
    scales = height / stored[0], width / stored[1]
    resized = f"resized to {width} x {height}"
    if changed:
        resized = f"augmented, {resized}"
    elif abs(scales[0] / scales[1] - 1) < 0.01:
        resized += f" (x {scales[0]:.2f})"
    rows, columns = step.batch.images.shape[1:3]
    parts = [
        f"{stored[1]} x {stored[0]} pixels, {resized}",
        (flips or [""])[0] or "not mirrored",
        f"padded to {columns} x {rows}",
    ]
    return ", ".join(parts)
