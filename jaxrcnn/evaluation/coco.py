"""COCO's average precision and recall, from records in memory."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxrcnn.data.errors import DataError
from jaxrcnn.evaluation.coco_backends import Backend, accumulate
from jaxrcnn.wording import counted

if TYPE_CHECKING:
    from jaxrcnn.data.records import Dataset

SIZES = ("", "s", "m", "l")
"""What the names of numbers for objects of any size, and for small, medium and large ones end in;
the order is that of pycocotools' area ranges."""


class ImageDetections(NamedTuple):
    """What is found in one image, no padding."""

    boxes: np.ndarray  # (D, 4) float32, xyxy in pixels of the original image
    scores: np.ndarray  # (D,) float32
    labels: np.ndarray  # (D,) int32, 1..K


class CocoScores(NamedTuple):
    """COCO's numbers, from 0 to 1; those that do not exist are left out."""

    metrics: dict[str, float]  # by name, see `coco_scores`
    classes: dict[str, dict[str, float]]  # AP, AP50, AP75, APs, APm, APl of each class, by its name


class CocoInputs(NamedTuple):
    """Ground truth and results as a library of `jaxrcnn.evaluation.coco_backends` takes them."""

    sizes: dict[int, tuple[int, int]]  # height and width of each image, by its id
    names: dict[int, str]  # of the categories, by their ids
    truth: list[dict[str, Any]]  # annotations in COCO's format
    found: list[dict[str, Any]]


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

    Raises:
        DataError: a score or a box of an image is not finite.
    """
    places = sorted(detections)
    found = [detections[index] for index in places]
    counts = [len(one.scores) for one in found]
    if not sum(counts):
        return []
    boxes, scores, labels = (np.concatenate(columns) for columns in zip(*found, strict=True))
    owners = np.repeat(places, counts)
    _check_finite(dataset, boxes, scores, owners)
    ids = np.array(dataset.category_ids)
    columns = (
        dataset.columns.image_ids[owners].tolist(),
        ids[labels - 1].tolist(),
        _xywh(boxes),
        np.round(scores.astype(np.float64), 7).tolist(),
    )
    names = ("image_id", "category_id", "bbox", "score")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _check_finite(
    dataset: "Dataset", boxes: np.ndarray, scores: np.ndarray, owners: np.ndarray
) -> None:
    """See that all numbers can be compared: of NaN, pycocotools makes a match with any object."""
    for what, wrong in (
        ("score", ~np.isfinite(scores)),
        ("box", ~np.isfinite(boxes).all(axis=1)),
    ):
        if wrong.any():
            place = owners[wrong][0]
            number = int(np.count_nonzero(wrong & (owners == place)))
            values = scores[wrong][0] if what == "score" else boxes[wrong][0].tolist()
            raise DataError(
                f"image {dataset.records[place].name}: {counted(number, 'detection')} with a "
                f"{what} that is not finite ({values}); the detector's output is not usable"
            )


def coco_scores(
    dataset: "Dataset",
    results: list[dict[str, Any]],
    max_detections: int = 100,
    backend: Backend = "pycocotools",
) -> CocoScores:
    """Average precision and recall of boxes, over all images of the data set.

    Crowds, and VOC's difficult boxes as well, are ignore regions: a detection inside one counts
    neither as found nor as false, and one that is missed costs nothing. Sizes (small, medium,
    large) go by the records' ``area``, which in COCO is the mask's.

    Args:
        dataset: the ground truth.
        results: COCO's results format, as from `detections_to_coco`; left as it is.
        max_detections: of an image and a class that are evaluated, the best ones; from 100. COCO's
            own is 100. With another number N the recall of so many is called ``eval/AR<N>``.
        backend: the library that computes it; the numbers are the same.

    Returns:
        The average precision of each class, and the metrics: ``eval/AP``, ``eval/AP50``,
        ``eval/AP75``, ``eval/APs``, ``eval/APm``, ``eval/APl``, ``eval/AR1``, ``eval/AR10``,
        ``eval/AR100``, ``eval/ARs``, ``eval/ARm``, ``eval/ARl`` and ``eval/AP_<class name>``, from
        0 to 1. A number that does not exist, because the data set has no object of the size or
        class (COCO's -1), is left out.

    Raises:
        ValueError: a result names an image or a category that the data set does not have, or its
            score or box is not finite.
        ConfigError: the backend is not installed.
    """
    inputs = coco_inputs(dataset, results)
    curves = accumulate(*inputs, (1, 10, max_detections), backend)
    precision, recall = curves.precision, curves.recall
    values = {f"AP{size}": mean_of(precision[:, :, :, a, -1]) for a, size in enumerate(SIZES)}
    for iou in (0.5, 0.75):
        at = np.flatnonzero(curves.ious == iou)[0]
        values[f"AP{100 * iou:.0f}"] = mean_of(precision[at, :, :, 0, -1])
    for m, most in enumerate((1, 10, max_detections)):
        values[f"AR{most}"] = mean_of(recall[:, :, 0, m])
    values |= {f"AR{size}": mean_of(recall[:, :, a, -1]) for a, size in enumerate(SIZES) if size}
    order = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", f"AR{max_detections}")
    summary = {name: values[name] for name in (*order, "ARs", "ARm", "ARl")}
    class_names = [inputs.names[category_id] for category_id in curves.category_ids]
    classes = _class_precisions(precision[..., -1], curves.ious, class_names)
    summary |= {f"AP_{name}": one["AP"] for name, one in classes.items() if one}
    metrics = {f"eval/{name}": value for name, value in summary.items() if value >= 0}
    return CocoScores(metrics, classes)


def coco_inputs(dataset: "Dataset", results: list[dict[str, Any]]) -> CocoInputs:
    """Ground truth and results in COCO's format.

    Raises:
        ValueError: as `coco_scores`.
    """
    records = dataset.columns
    return CocoInputs(
        dict(zip(records.image_ids.tolist(), map(tuple, records.sizes.tolist()), strict=True)),
        dict(zip(map(int, dataset.category_ids), dataset.class_names, strict=True)),
        _truth_annotations(dataset),
        _result_annotations(dataset, results),
    )


def _class_precisions(
    precision: np.ndarray, ious: np.ndarray, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Average precision of each class, by size and at two overlaps, where there are objects.

    Args:
        precision: (T, R, K, A) of IoUs, recalls, classes and sizes; -1 where there are no objects.
        ious: (T,).
        names: of the K classes.
    """
    tables = {"AP": precision[..., 0]}
    tables |= {f"AP{100 * iou:.0f}": precision[ious == iou, :, :, 0] for iou in (0.5, 0.75)}
    tables |= {f"AP{size}": precision[..., a] for a, size in enumerate(SIZES) if size}
    means = {name: table.mean(axis=(0, 1)) for name, table in tables.items()}  # (K,) each
    return {
        name: {key: float(values[k]) for key, values in means.items() if values[k] >= 0}
        for k, name in enumerate(names)
    }


def mean_of(values: np.ndarray) -> float:
    """Mean of the numbers that exist, or -1, as pycocotools' `COCOeval.summarize` has it."""
    exist = values[values > -1]
    return float(np.mean(exist)) if len(exist) else -1.0


def _truth_annotations(dataset: "Dataset") -> list[dict[str, Any]]:
    records = dataset.columns
    ids = np.array(dataset.category_ids or [0])
    columns = (
        # From 1, whatever the file says: COCOeval takes a match with id 0 for none.
        range(1, len(records.boxes) + 1),
        records.image_ids[records.owners].tolist(),
        ids[records.labels - 1].tolist(),
        _xywh(records.boxes),
        records.area.astype(np.float64).tolist(),
        (records.crowd | records.difficult).astype(int).tolist(),
    )
    names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _result_annotations(dataset: "Dataset", results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What COCO.loadRes adds to results; it takes no empty list and changes its argument."""
    known = {
        "image_id": set(dataset.columns.image_ids.tolist()),
        "category_id": set(map(int, dataset.category_ids)),
    }
    for key, ids in known.items():
        for result in results:
            if result[key] not in ids:
                raise ValueError(f"results hold an unknown {key}: {result[key]!r}")
    numbers = np.array([(*result["bbox"], result["score"]) for result in results], np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers.reshape(-1, 5)).all(axis=1))
    if len(wrong):
        result = results[wrong[0]]
        raise ValueError(
            f"results of image {result['image_id']}: a score or a box is not finite "
            f"(bbox {result['bbox']}, score {result['score']})"
        )
    return [
        {**result, "id": number, "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0}
        for number, result in enumerate(results, 1)
    ]


def _xywh(boxes: np.ndarray) -> list[list[float]]:
    """Boxes (D, 4) xyxy as COCO's lists, rounded to three decimals."""
    corners = boxes.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    return np.round(np.concatenate([corners[:, :2], sides], axis=1), 3).tolist()
