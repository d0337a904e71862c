"""How much of the ground truth the proposals cover, whatever its class."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from jaxrcnn.config import Config
from jaxrcnn.data.loader import eval_batches
from jaxrcnn.data.proposals import ImageProposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.share import ALONE, Share
from jaxrcnn.evaluation.boxes import SIZES, iou, to_original
from jaxrcnn.types import Batch, Proposals

THRESHOLDS = np.arange(50, 100, 5) / 100
"""Least overlaps at which an object counts as found; the average recall is their mean."""


class Measure(NamedTuple):
    """Which proposals are asked for which objects."""

    limit: int  # best proposals of an image
    least: float = 0.0  # smallest annotated area of an object, pixels
    most: float = np.inf


MOST = 1000
MEASURES = {
    "AR@100": Measure(100),
    "AR@300": Measure(300),
    "AR@1000": Measure(MOST),
    "ARs@1000": Measure(MOST, *SIZES["small"]),
    "ARm@1000": Measure(MOST, *SIZES["medium"]),
    "ARl@1000": Measure(MOST, *SIZES["large"]),
}


class FoundProposals(NamedTuple):
    """What a detector proposes in a data set."""

    proposals: dict[int, ImageProposals]  # by the image's place in the data set
    unread: tuple[str, ...]  # a line for each image that could not be read


def find_proposals(
    propose: Callable[[Batch], Proposals],
    dataset: Dataset,
    config: Config,
    share: Share = ALONE,
) -> FoundProposals:
    """Run the first stage over a data set; boxes come back in pixels of the original images.

    Several processes each do their share, and all of them have what they found together.

    Raises:
        DataError: an image is unreadable and data.on_error is "raise".
    """
    found: dict[int, ImageProposals] = {}
    stream = eval_batches(dataset, config, share=share)
    for batch, scales in stream:
        boxes, scores, valid = (np.asarray(x) for x in propose(batch))
        for place in np.flatnonzero(batch.image_weights).tolist():
            index, kept = int(batch.image_index[place]), valid[place]
            found[index] = ImageProposals(
                to_original(boxes[place, kept], scales[place], dataset.records[index]),
                scores[place, kept],
            )
    parts = share.gather(FoundProposals(found, tuple(stream.unread)))
    found = {index: one for part in parts for index, one in part.proposals.items()}
    return FoundProposals(found, tuple(line for part in parts for line in part.unread))


def proposal_metrics(dataset: Dataset, proposals: Mapping[int, ImageProposals]) -> dict[str, float]:
    """Recall of the ground truth by the best proposals of each image.

    As Detectron2's ``_evaluate_box_proposals``: in each image the pair of object and proposal
    that overlap most is taken out, then the best pair of those left, and so on. The recall at a
    threshold is the share of all objects whose pair overlaps by at least that much. (COCO's AR with
    useCats=0 lets the proposals choose, in the order of their scores; that differs where one of
    them overlaps two objects by 0.5 or more.) Crowds and VOC's difficult boxes are no objects. The
    objects of an image without proposals count as missed, which Detectron2 leaves out.

    Args:
        dataset: the ground truth.
        proposals: by the image's place in the data set; an image that is missing has none.

    Returns:
        ``proposals/AR@100``, ``AR@300``, ``AR@1000``: recall by so many proposals of an image,
        mean over the thresholds 0.50, 0.55 .. 0.95; ``proposals/ARs@1000``, ``ARm@1000``,
        ``ARl@1000``: the same for small, medium and large objects, by the records' ``area``;
        ``proposals/recall@1000_IoU50`` .. ``IoU95``: recall at each threshold. All from 0 to 1,
        left out where there are no such objects. And ``proposals/per_image``, their mean number.
    """
    nothing = ImageProposals(np.zeros((0, 4)), np.zeros(0))
    covers: dict[str, list[np.ndarray]] = {name: [] for name in MEASURES}
    for index, record in enumerate(dataset.records):
        objects = ~(record.crowd | record.difficult)
        area = record.area[objects]
        overlaps = iou(record.boxes[objects], proposals.get(index, nothing).boxes[:MOST])
        for name, (limit, least, most) in MEASURES.items():
            covers[name].append(cover(overlaps[(area >= least) & (area <= most), :limit]))
    recalls = {
        name: (np.concatenate(parts)[:, None] >= THRESHOLDS).mean(axis=0)  # (G, T) -> (T,)
        for name, parts in covers.items()
        if any(map(len, parts))
    }
    values = {name: recall.mean() for name, recall in recalls.items()}
    if recalls:
        each = zip(THRESHOLDS, recalls[f"AR@{MOST}"], strict=True)
        values |= {f"recall@{MOST}_IoU{100 * threshold:.0f}": one for threshold, one in each}
    total = sum(len(one.scores) for one in proposals.values())
    values["per_image"] = total / max(len(dataset), 1)
    return {f"proposals/{name}": float(value) for name, value in values.items()}


def cover_objects(batch: Batch, proposals: Proposals, dataset: Dataset) -> dict[int, np.ndarray]:
    """How well the proposals of a batch cover the objects of its images.

    Args:
        batch: of the data set, in host memory.
        proposals: (N, R, ...) of its images.
        dataset: the ground truth.

    Returns:
        By the image's place in the data set, `cover` of its objects (crowds and VOC's difficult
        boxes are none) and the best 1000 proposals.
    """
    boxes, valid, sizes = map(np.asarray, (proposals.boxes, proposals.valid, batch.image_sizes))
    covers = {}
    for place in np.flatnonzero(batch.image_weights).tolist():
        index = int(batch.image_index[place])
        record = dataset.records[index]
        scale = (sizes[place] / (record.height, record.width)).astype(np.float32)
        proposed = to_original(boxes[place, valid[place]], scale, record)[:MOST]
        objects = record.boxes[~(record.crowd | record.difficult)]
        covers[index] = cover(iou(objects, proposed))
    return covers


def cover(overlaps: np.ndarray) -> np.ndarray:
    """How well each object is covered, one proposal for one object, the best pairs first.

    Args:
        overlaps: (G, R) of every object with every proposal.

    Returns:
        (G,) float64, overlap of each object's own proposal; 0 where none is left for it.
    """
    left, covered = overlaps.copy(), np.zeros(len(overlaps))
    for _ in range(min(left.shape)):
        target, best = np.unravel_index(left.argmax(), left.shape)
        covered[target] = left[target, best]
        left[target] = left[:, best] = -1
    return covered
