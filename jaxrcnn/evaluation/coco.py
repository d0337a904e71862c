"""COCO's average precision and recall, by pycocotools, from records in memory."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pycocotools.coco import COCO

    from jaxrcnn.data.records import Dataset

SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
"""COCO's twelve numbers, in the order of pycocotools' `COCOeval.stats`."""


class ImageDetections(NamedTuple):
    """What is found in one image, no padding."""

    boxes: np.ndarray  # (D, 4) float32, xyxy in pixels of the original image
    scores: np.ndarray  # (D,) float32
    labels: np.ndarray  # (D,) int32, 1..K


class CocoScores(NamedTuple):
    """COCO's numbers, from 0 to 1; those that do not exist are left out."""

    metrics: dict[str, float]  # by name, see `coco_scores`
    classes: dict[str, dict[str, float]]  # AP, AP50, AP75, APs, APm, APl of each class, by its name


def detections_to_coco(
    dataset: "Dataset", detections: Mapping[int, ImageDetections]
) -> list[dict[str, Any]]:
    """Detections in COCO's results format, ready for ``json.dump``.

    Args:
        dataset: gives the images' ids and the category id of every label.
        detections: what is found, by the image's place in the data set.

    Returns:
        A dict for each detection, images in the data set's order: image_id, category_id, bbox as
        ``[x, y, width, height]`` in pixels (three decimals), score (seven decimals, which keep
        apart nearly all that float32 does).
    """
    return [
        {
            "image_id": dataset.records[index].image_id,
            "category_id": int(dataset.category_ids[int(label) - 1]),
            "bbox": _xywh(box),
            "score": round(float(score), 7),
        }
        for index in sorted(detections)
        for box, score, label in zip(*detections[index], strict=True)
    ]


def coco_scores(dataset: "Dataset", results: list[dict[str, Any]]) -> CocoScores:
    """Average precision and recall of boxes, over all images of the data set.

    Crowds, and VOC's difficult boxes as well, are ignore regions: a detection inside one counts
    neither as found nor as false, and one that is missed costs nothing. Sizes (small, medium,
    large) go by the records' ``area``, which in COCO is the mask's.

    Args:
        dataset: the ground truth.
        results: COCO's results format, as from `detections_to_coco`; left as it is.

    Returns:
        The average precision of each class, and the metrics: ``eval/AP``, ``eval/AP50``,
        ``eval/AP75``, ``eval/APs``, ``eval/APm``, ``eval/APl``, ``eval/AR1``, ``eval/AR10``,
        ``eval/AR100``, ``eval/ARs``, ``eval/ARm``, ``eval/ARl`` and ``eval/AP_<class name>``, from
        0 to 1. A number that does not exist, because the data set has no object of the size or
        class (COCO's -1), is left out.

    Raises:
        ValueError: a result names an image or a category that the data set does not have.
    """
    from pycocotools.cocoeval import COCOeval

    sizes = {x.image_id: (int(x.height), int(x.width)) for x in dataset.records}
    names = dict(zip(map(int, dataset.category_ids), dataset.class_names, strict=True))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = make_index(sizes, names, _truth_annotations(dataset))
        found = make_index(sizes, names, _result_annotations(dataset, results))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()

    values: dict[str, float] = dict(zip(SUMMARY, evaluation.stats, strict=True))
    # (T thresholds, R recalls, K classes, A sizes, M detections): most detections
    classes = class_precisions(
        evaluation.eval["precision"][..., -1],
        evaluation.params.iouThrs,
        [names[category_id] for category_id in evaluation.params.catIds],
    )
    values |= {f"AP_{name}": one["AP"] for name, one in classes.items() if one}
    metrics = {f"eval/{key}": float(value) for key, value in values.items() if value >= 0}
    return CocoScores(metrics, classes)


def coco_metrics(dataset: "Dataset", results: list[dict[str, Any]]) -> dict[str, float]:
    """The metrics of `coco_scores` alone."""
    return coco_scores(dataset, results).metrics


def class_precisions(
    precision: np.ndarray, ious: np.ndarray, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Average precision of each class, by size and at two overlaps, where there are objects.

    Args:
        precision: (T, R, K, A) of IoUs, recalls, classes and sizes; -1 where there are no objects.
        ious: (T,).
        names: of the K classes.
    """
    at = {"50": np.isclose(ious, 0.5), "75": np.isclose(ious, 0.75)}
    tables = {
        "AP": precision[..., 0],
        **{f"AP{name}": precision[chosen, :, :, 0] for name, chosen in at.items()},
        **{f"AP{size}": precision[..., a] for a, size in enumerate("sml", 1)},
    }
    means = {key: table.mean(axis=(0, 1)) for key, table in tables.items()}  # (K,) each
    return {
        name: {key: float(values[k]) for key, values in means.items() if values[k] >= 0}
        for k, name in enumerate(names)
    }


def make_index(
    sizes: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    annotations: list[dict[str, Any]],
) -> "COCO":
    """What pycocotools looks annotations or results up in; it prints a line.

    Args:
        sizes: height and width of each image, by its id.
        names: of the categories, by their ids.
        annotations: in COCO's format.
    """
    from pycocotools.coco import COCO

    coco: Any = COCO()  # an index of anything; its stub wants one kind of annotation
    coco.dataset = {
        "images": [{"id": key, "height": h, "width": w} for key, (h, w) in sizes.items()],
        "categories": [{"id": key, "name": name} for key, name in names.items()],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco


def _truth_annotations(dataset: "Dataset") -> list[dict[str, Any]]:
    annotations = []
    for record in dataset.records:
        ignored = record.crowd | record.difficult
        for box, label, ignore, area in zip(
            record.boxes, record.labels, ignored, record.area, strict=True
        ):
            annotations.append(
                {
                    # From 1, whatever the file says: COCOeval takes a match with id 0 for none.
                    "id": len(annotations) + 1,
                    "image_id": record.image_id,
                    "category_id": int(dataset.category_ids[int(label) - 1]),
                    "bbox": _xywh(box),
                    "area": float(area),
                    "iscrowd": int(ignore),
                }
            )
    return annotations


def _result_annotations(dataset: "Dataset", results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What COCO.loadRes adds to results; it takes no empty list and changes its argument."""
    images = {record.image_id for record in dataset.records}
    categories = set(dataset.category_ids)
    for result in results:
        if result["image_id"] not in images:
            raise ValueError(f"results hold an unknown image_id: {result['image_id']!r}")
        if result["category_id"] not in categories:
            raise ValueError(f"results hold an unknown category_id: {result['category_id']!r}")
    return [
        {**result, "id": number, "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0}
        for number, result in enumerate(results, 1)
    ]


def _xywh(box: np.ndarray) -> list[float]:
    x0, y0, x1, y1 = (float(corner) for corner in box)
    return [round(x0, 3), round(y0, 3), round(x1 - x0, 3), round(y1 - y0, 3)]
