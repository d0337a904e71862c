"""A detector's detections on a whole data set, what they are worth, and what a person sees."""

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.config import Config
from jaxrcnn.data.batches import EvalBatch
from jaxrcnn.data.left_out import check_left_out
from jaxrcnn.data.loader import BatchStream, eval_batches
from jaxrcnn.data.planning import plan_evaluation
from jaxrcnn.data.proposals import StoredProposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.share import ALONE, Share
from jaxrcnn.evaluation.boxes import to_original
from jaxrcnn.evaluation.coco import CocoScores, ImageDetections, coco_scores, detections_to_coco
from jaxrcnn.evaluation.proposals import cover_objects
from jaxrcnn.evaluation.voc import voc_metrics
from jaxrcnn.types import Batch, Detections, Proposals
from jaxrcnn.visualize import draw_comparison, save_image_sheet
from jaxrcnn.writing import replace_text

Predict = Callable[[Batch], tuple[Detections, Mapping[str, Any], Proposals | None]]
"""Detections and validation losses of a batch, and the detector's own proposals, if any."""


class Found(NamedTuple):
    """What a detector finds in a data set."""

    detections: dict[int, ImageDetections]  # by the image's place in the data set
    losses: dict[str, float]  # means over the images, named "eval/loss..."
    unread: tuple[str, ...]  # a line for each image that could not be read
    covers: dict[int, np.ndarray] | None = None
    """How well proposals cover each image's objects; None where the detector makes none."""


def find(
    predict: Predict,
    dataset: Dataset,
    config: Config,
    proposals: StoredProposals | None = None,
    share: Share = ALONE,
) -> Found:
    """Run a detector over a data set; boxes come back in pixels of the original images.

    With given proposals of the data set, the batches hold the best of them. Several processes each
    do their share, and all of them have what they found together.

    Raises:
        DataError: an image is unreadable and data.on_error is "raise", or more than
            data.max_skipped_share are.
    """
    losses: list[dict[str, float]] = []  # of each batch
    images: list[int] = []  # in it, of this process
    covers: dict[int, np.ndarray] = {}

    def detect(batch: Batch) -> Detections:
        found, of_batch, proposed = predict(batch)
        losses.append({name: float(value) for name, value in of_batch.items()})
        images.append(int(np.count_nonzero(batch.image_weights)))
        if proposed is not None:
            covers.update(cover_objects(batch, proposed, dataset))
        return found

    batches = eval_batches(dataset, config, proposals, share)
    found = dict(find_each(detect, batches, dataset))
    parts = share.gather((found, covers, images, tuple(batches.unread)))
    detections, covers = ({i: one for part in parts for i, one in part[k].items()} for k in (0, 1))
    if len(parts) > 1:  # in the order in which one process finds them
        order = plan_evaluation(dataset, config).rows.ravel().tolist()
        detections = {index: detections[index] for index in order if index in detections}
    sums: dict[str, float] = {}
    for number, of_batch in enumerate(losses):
        weight = sum(numbers[number] for *_, numbers, _ in parts)
        for name, value in of_batch.items():
            sums[name] = sums.get(name, 0.0) + value * weight
    unread = tuple(line for *_, lines in parts for line in lines)
    check_left_out(dataset, config, unread)
    means = {f"eval/{name}": value / max(len(detections), 1) for name, value in sums.items()}
    return Found(detections, means, unread, covers or None)


def find_each(
    detect: Callable[[Batch], Detections], batches: BatchStream[EvalBatch], dataset: Dataset
) -> Iterator[tuple[int, ImageDetections]]:
    """What a detector finds, an image at a time; boxes in pixels of the original images.

    Args:
        detect: finds objects in a batch; other fields than those of `Detections` are not read.
        batches: of the data set; they are ended with the iterator.
        dataset: gives the images' sizes.

    Yields:
        An image's place in the data set, and what is found; bucket by bucket, without those that
        cannot be read.

    Raises:
        DataError: an image is unreadable and data.on_error is "raise".
    """
    with contextlib.closing(batches):
        for batch, scales in batches:
            found = detect(batch)
            boxes, scores, labels, valid = (
                np.asarray(getattr(found, name)) for name in Detections._fields
            )
            for place in np.flatnonzero(batch.image_weights).tolist():
                index, kept = int(batch.image_index[place]), valid[place]
                yield (
                    index,
                    ImageDetections(
                        to_original(boxes[place, kept], scales[place], dataset.records[index]),
                        scores[place, kept],
                        labels[place, kept],
                    ),
                )


def measure(
    found: Found, dataset: Dataset, config: Config, results: list[dict[str, Any]] | None = None
) -> CocoScores:
    """COCO's numbers; among the metrics VOC's if config.eval.metric asks for them, and losses.

    Args:
        found: what is measured.
        dataset: the ground truth.
        config: of the evaluation.
        results: the detections in COCO's format, by default as `detections_to_coco` makes them.
    """
    if results is None:
        results = detections_to_coco(dataset, found.detections)
    scores = coco_scores(dataset, results, config.eval.max_detections, config.eval.backend)
    metrics = scores.metrics
    if config.eval.metric != "coco":
        eleven_point = config.eval.metric == "voc07"
        metrics |= voc_metrics(dataset, found.detections, eleven_point=eleven_point)
    return scores._replace(metrics=metrics | found.losses)


def write_detections(path: pathlib.Path, dataset: Dataset, results: list[dict[str, Any]]) -> None:
    """Write results of `detections_to_coco`, with the images' ids in their own file."""
    ids = {record.image_id: record.source_id for record in dataset.records}
    rows = [{**row, "image_id": ids[row["image_id"]]} for row in results]
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(rows) + "\n")


def draw_images(path: pathlib.Path, dataset: Dataset, found: Found, images: int) -> None:
    """Draw some images of the data set with ground truth and detections, side by side."""
    chosen = sorted(found.detections)
    chosen = chosen[:: max(1, len(chosen) // max(images, 1))][:images]
    if chosen:
        save_image_sheet(
            path,
            [
                draw_comparison(
                    dataset.read_image(i),
                    found.detections[i],
                    dataset.records[i],
                    dataset.class_names,
                )
                for i in chosen
            ],
        )
