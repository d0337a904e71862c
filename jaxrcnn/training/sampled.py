"""What a training step draws: the anchors and the RoIs that it trains on."""

from typing import NamedTuple

from jaxrcnn.config import Config
from jaxrcnn.detector import Detector, Variables, draw_keys, proposals_for
from jaxrcnn.stages.inputs import clean
from jaxrcnn.stages.rpn import sample_anchors
from jaxrcnn.training.alternating import Stage
from jaxrcnn.training.knobs import knobs_of, step_key
from jaxrcnn.types import Array, Batch, Detections


class Sampled(NamedTuple):
    """The draws of a step, boxes in pixels of the padded input; (N, S, ...) each."""

    anchors: Array  # (N, S, 4) float32
    anchor_foreground: Array  # (N, S) bool
    anchor_valid: Array  # (N, S) bool
    rois: Array  # (N, S, 4) float32
    roi_labels: Array  # (N, S) int32, 0 is the background
    roi_valid: Array  # (N, S) bool


def sampled(
    detector: Detector,
    config: Config,
    variables: Variables,
    batch: Batch,
    step: Array | int,
    stage: Stage = "joint",
) -> Sampled:
    """What the step after `step` others trains on, with these variables; to be jitted.

    The detector's own training pass makes the draws, with the keys of the step. Its losses are not
    used, so that jit leaves out what they alone need.

    Args:
        detector: static.
        config: static.
        variables: of the detector before the step.
        batch: of the step. Images that are left out change no draw of the others, unless a batch
            norm looks at all of them.
        step: number of steps before it.
        stage: static; what is trained.
    """
    key = step_key(knobs_of(config).seed, step)
    given = proposals_for(detector, variables, batch) if stage == "fast_rcnn" else None
    _, _, flow = detector.train(detector, variables, batch, key, proposals=given)
    anchor_keys, _, _ = draw_keys(key, batch.image_index)
    drawn = sample_anchors(
        *(anchor_keys, flow.anchors, clean(batch), detector.config.rpn, detector.anchor_sampler)
    )
    rois = flow.rois
    return Sampled(
        flow.anchors[drawn.index],  # (A, 4), (N, S) -> (N, S, 4)
        drawn.foreground,
        drawn.valid,
        rois.boxes,
        rois.labels,
        rois.valid,
    )


def found(detector: Detector, variables: Variables, batch: Batch) -> Detections:
    """Detections (N, D, ...) in the images of a training batch; to be jitted."""
    return detector.infer(detector, variables, batch.images, batch.image_sizes, batch.proposals)
