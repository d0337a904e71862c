"""The libraries that match detections with COCO's ground truth, each giving the same numbers."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxrcnn.config import ConfigError

Backend = Literal["pycocotools", "faster_coco_eval"]


class Curves(NamedTuple):
    """Precision and recall of every class, object size and number of detections; -1: no objects."""

    precision: np.ndarray  # (T, R, K, A, M): IoUs, recalls, classes, areas, most detections
    recall: np.ndarray  # (T, K, A, M)
    ious: np.ndarray  # (T,)
    category_ids: list[int]  # (K,)


def check_backend(backend: Backend) -> None:
    """See that the library is installed.

    Raises:
        ConfigError: it is not; says how to install it.
    """
    if backend == "faster_coco_eval":
        try:
            import faster_coco_eval  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "eval.backend=faster_coco_eval needs a package that cannot be imported "
                f"({error}): pip install 'jaxrcnn[fast]'"
            ) from error


def accumulate(
    sizes: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    max_detections: Sequence[int],
    backend: Backend,
    kind: Literal["bbox", "segm"] = "bbox",
) -> Curves:
    """Match detections with the ground truth, and accumulate what is found.

    Args:
        sizes: height and width of each image, by its id.
        names: of the categories, by their ids.
        truth, found: annotations in COCO's format.
        max_detections: best detections of an image and a class that count, in rising order.
        backend: the library.
        kind: whether boxes are matched, or masks.

    Raises:
        ConfigError: the library is not installed.
    """
    check_backend(backend)
    if not sizes or not names:
        return _no_curves(len(max_detections), sorted(names))
    coco, evaluator = _classes(backend)
    with contextlib.redirect_stdout(io.StringIO()):
        truths, results = (_make_index(coco, sizes, names, rows) for rows in (truth, found))
        evaluation = evaluator(truths, results, kind)
        evaluation.params.maxDets = list(max_detections)
        evaluation.evaluate()
        evaluation.accumulate()
    return Curves(
        evaluation.eval["precision"],
        evaluation.eval["recall"],
        evaluation.params.iouThrs,
        [int(category_id) for category_id in evaluation.params.catIds],
    )


def match_images(
    sizes: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    max_detections: int,
) -> list[list[dict[str, Any]]]:
    """Match detections with objects of any size, by pycocotools.

    Args:
        sizes, names, truth, found: as for `accumulate`.
        max_detections: best detections of an image and a class that count.

    Returns:
        For each category, in the order of their ids, pycocotools' ``evalImgs`` of the images that
        have an object or a detection of it, in the order of the images' ids.
    """
    if not sizes or not names:
        return [[] for _ in names]
    coco, evaluator = _classes("pycocotools")
    with contextlib.redirect_stdout(io.StringIO()):
        truths, results = (_make_index(coco, sizes, names, rows) for rows in (truth, found))
        evaluation = evaluator(truths, results, "bbox")
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.maxDets = [max_detections]
        evaluation.evaluate()
    images, each = evaluation.evalImgs, len(evaluation.params.imgIds)
    return [
        [one for one in images[first : first + each] if one is not None]
        for first in range(0, len(images), each)
    ]


def _classes(backend: Backend) -> tuple[Any, Any]:
    """The library's classes of an index and of an evaluation; both are called alike."""
    if backend == "faster_coco_eval":
        from faster_coco_eval import COCO, COCOeval_faster

        return COCO, COCOeval_faster
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return COCO, COCOeval


def _no_curves(numbers: int, category_ids: list[int]) -> Curves:
    """Of a data set without images or classes, which the libraries do not take."""
    nothing = -np.ones((10, 101, len(category_ids), 4, numbers))
    return Curves(nothing, nothing[:, 0], np.linspace(0.5, 0.95, 10), category_ids)


def _make_index(
    coco: Any,
    sizes: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    annotations: list[dict[str, Any]],
) -> Any:
    """What a library looks annotations or results up in; pycocotools prints a line."""
    index = coco()
    index.dataset = {
        "images": [{"id": key, "height": h, "width": w} for key, (h, w) in sizes.items()],
        "categories": [{"id": key, "name": name} for key, name in names.items()],
        "annotations": annotations,
    }
    index.createIndex()
    return index
