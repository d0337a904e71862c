"""COCO's average precision of masks, for detectors of one's own that find them."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.data.batches import EvalBatch
from jaxrcnn.evaluation.coco import mean_of
from jaxrcnn.evaluation.coco_backends import accumulate
from jaxrcnn.types import Batch

EXTRAS = ("instance_map", "instance")
FIELDS = ("boxes", "scores", "labels", "valid", "masks")


class ImageMasks(NamedTuple):
    """Masks of one image, found ones or the ground truth's."""

    masks: np.ndarray  # (D, H, W) bool
    labels: np.ndarray  # (D,) int32, 1..K
    scores: np.ndarray  # (D,) float32; 1 in the ground truth
    ignore: np.ndarray  # (D,) bool, ground truth that is neither found nor missed


def mask_metrics(detect: Callable[[Batch], Any], batches: Iterable[EvalBatch]) -> dict[str, float]:
    """Average precision of masks over a data set, in pixels of the network's input.

    Args:
        detect: finds objects in a batch, such as `jaxrcnn.model.Model.detect`. It returns a record
            with the fields of `jaxrcnn.types.Detections` and with masks (N, D, M, M) float32: for
            each of M x M equal parts of a box, the probability that it belongs to the object.
        batches: of the data set. ``extra["instance_map"]`` (N, H, W) says which instance each
            pixel belongs to, and ``extra["instance"]`` (N, G) which one is in each box.

    Returns:
        ``eval/mask_AP``, ``eval/mask_AP50`` and ``eval/mask_AP75``, from 0 to 1.

    Raises:
        ValueError: a batch has no instance map.
    """
    sizes: dict[int, tuple[int, int]] = {}
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for batch, _ in batches:
        extra = batch.extra or {}
        if not set(EXTRAS) <= extra.keys():
            raise ValueError(
                f"a batch needs the extras {' and '.join(EXTRAS)}, and has {sorted(extra)}; a "
                "transform of the data set adds them"
            )
        record = detect(batch)
        detections = {name: np.asarray(getattr(record, name)) for name in FIELDS}
        for place in np.flatnonzero(batch.image_weights).tolist():
            image_id, (height, width) = int(batch.image_index[place]), batch.images.shape[1:3]
            sizes[image_id] = size = height, width
            truth += _annotations(image_id, _masks_of_truth(batch, place))
            found += _annotations(image_id, _masks_found(detections, place, size))
    return _average_precision(sizes, truth, found)


def _masks_of_truth(batch: Batch, place: int) -> ImageMasks:
    assert batch.extra is not None
    instance_map, instance = (np.asarray(batch.extra[name])[place] for name in EXTRAS)
    labels, valid, ignore = (
        np.asarray(x)[place] for x in (batch.labels, batch.box_valid, batch.box_ignore)
    )
    real = valid | ignore
    masks = instance_map == instance[real, None, None]
    return ImageMasks(masks, labels[real], np.ones(len(masks), np.float32), ignore[real])


def _masks_found(
    detections: dict[str, np.ndarray], place: int, size: tuple[int, int]
) -> ImageMasks:
    valid = detections["valid"][place]
    boxes, scores, labels, masks = (
        detections[name][place, valid] for name in FIELDS if name != "valid"
    )
    return ImageMasks(paste_masks(masks, boxes, size), labels, scores, np.zeros(len(boxes), bool))


def paste_masks(masks: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Masks inside boxes as masks of the image: where the probability is at least one half.

    It is interpolated bilinearly, and is 0 outside of the box, as in Detectron2.

    Args:
        masks: (D, M, M) float32, 0..1, of M x M equal parts of a box.
        boxes: (D, 4) xyxy, of positive sides.
        size: height H and width W of the image, pixels.

    Returns:
        (D, H, W) bool.
    """
    rows = _weights(boxes[:, 1], boxes[:, 3], masks.shape[1], size[0])
    columns = _weights(boxes[:, 0], boxes[:, 2], masks.shape[2], size[1])
    return rows @ masks @ columns.swapaxes(1, 2) >= 0.5


def _weights(low: np.ndarray, high: np.ndarray, parts: int, side: int) -> np.ndarray:
    """Weight of each part of a box's side at each pixel along the image's, (D, side, parts)."""
    centres = np.arange(side) + 0.5
    at = (centres - low[:, None]) / (high - low)[:, None] * parts - 0.5  # (D, side), in parts
    return np.maximum(0, 1 - np.abs(at[..., None] - np.arange(parts))).astype(np.float32)


def _annotations(image_id: int, image: ImageMasks) -> list[dict[str, Any]]:
    """In COCO's format: what it needs of the ground truth as well as of results."""
    from pycocotools.mask import encode

    return [
        {
            "image_id": image_id,
            "category_id": int(label),
            "segmentation": encode(np.asfortranarray(mask, np.uint8)),
            "area": float(mask.sum()),
            "iscrowd": int(ignore),
            "score": float(score),
        }
        for mask, label, score, ignore in zip(*image, strict=True)
    ]


def _average_precision(
    sizes: dict[int, tuple[int, int]], truth: list[dict[str, Any]], found: list[dict[str, Any]]
) -> dict[str, float]:
    names = {row["category_id"]: str(row["category_id"]) for row in truth}
    # From 1: COCOeval takes a match with id 0 for none.
    truth, found = ([{**row, "id": i} for i, row in enumerate(x, 1)] for x in (truth, found))
    curves = accumulate(sizes, names, truth, found, (1, 10, 100), "pycocotools", "segm")
    precision = curves.precision[..., 0, -1]  # of objects of any size
    tables = {"AP": precision} | {
        f"AP{100 * iou:.0f}": precision[curves.ious == iou] for iou in (0.5, 0.75)
    }
    return {f"eval/mask_{name}": mean_of(table) for name, table in tables.items()}
