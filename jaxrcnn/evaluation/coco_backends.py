"""The libraries that match detections with COCO's ground truth, each giving the same numbers."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from jaxrcnn.config import ConfigError

if TYPE_CHECKING:
    from pycocotools.coco import COCO

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
) -> Curves:
    """Match the boxes of detections with the ground truth, and accumulate what is found.

    Args:
        sizes: height and width of each image, by its id.
        names: of the categories, by their ids.
        truth, found: annotations in COCO's format.
        max_detections: best detections of an image and a class that count, in rising order.
        backend: the library.

    Raises:
        ConfigError: the library is not installed.
    """
    check_backend(backend)
    if not sizes or not names:
        return _no_curves(len(max_detections), sorted(names))
    run = _run_faster if backend == "faster_coco_eval" else _run_pycocotools
    evaluation = run(sizes, names, truth, found, max_detections)
    return Curves(
        evaluation.eval["precision"],
        evaluation.eval["recall"],
        evaluation.params.iouThrs,
        [int(category_id) for category_id in evaluation.params.catIds],
    )


def _run_pycocotools(
    sizes: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    max_detections: Sequence[int],
) -> Any:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            make_index(sizes, names, truth), make_index(sizes, names, found), "bbox"
        )
        evaluation.params.maxDets = list(max_detections)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _run_faster(
    sizes: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    max_detections: Sequence[int],
) -> Any:
    from faster_coco_eval import COCO, COCOeval_faster

    truths, results = (COCO(_as_dataset(sizes, names, rows)) for rows in (truth, found))
    evaluation = COCOeval_faster(truths, results, "bbox")
    evaluation.params.maxDets = list(max_detections)
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _no_curves(numbers: int, category_ids: list[int]) -> Curves:
    """Of a data set without images or classes, which the libraries do not take."""
    nothing = -np.ones((10, 101, len(category_ids), 4, numbers))
    return Curves(nothing, nothing[:, 0], np.linspace(0.5, 0.95, 10), category_ids)


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
    coco.dataset = _as_dataset(sizes, names, annotations)
    coco.createIndex()
    return coco


def _as_dataset(
    sizes: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    annotations: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "images": [{"id": key, "height": h, "width": w} for key, (h, w) in sizes.items()],
        "categories": [{"id": key, "name": name} for key, name in names.items()],
        "annotations": annotations,
    }
