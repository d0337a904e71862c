"""Test-time augmentation: an image is searched in several views, and what they show is merged.

A view is a tile of the image, or all of it, mirrored or not, at one of several scales. The views of
a scale form a data set of their own, so that they are resized, padded and batched as images are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from jaxrcnn.config import Config, ModelConfig
from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.merging import merge
from jaxrcnn.evaluation.tiling import cut_at_seams, seen_whole
from jaxrcnn.evaluation.views import TestTime, View, make_views

AT_A_TIME = 128
"""Images whose views are searched together."""

MOST_UNSUPPRESSED = 1000
"""Detections of a view before NMS, where NMS is left to `merge`."""

FindViews = Callable[[Dataset, Config], Iterable[tuple[int, ImageDetections]]]
"""What a detector finds in a data set: the place of an image in it, and its detections."""


def config_of_views(config: ModelConfig) -> ModelConfig:
    """The model's config for the views: with soft-NMS, scores are lowered once, by `merge`."""
    if config.detections.soft_nms == "none":
        return config
    most = max(MOST_UNSUPPRESSED, config.detections.max_detections)
    detections = replace(config.detections, soft_nms="none", nms_iou=1.0, max_detections=most)
    return replace(config, detections=detections)


def find_augmented(
    find: FindViews,
    dataset: Dataset,
    config: Config,
    test_time: TestTime,
    at_a_time: int = AT_A_TIME,
) -> Iterator[tuple[int, ImageDetections]]:
    """What is found in all views of each image, merged by the detector's NMS.

    A box that is cut by the seam of a tile is dropped if another tile sees the object whole, see
    `jaxrcnn.evaluation.tiling.seen_whole`.

    Args:
        find: what a detector with `config_of_views` finds.
        dataset: of the images.
        config: of the detector.
        test_time: the views.
        at_a_time: images whose views are searched together; what is found in views is kept for no
            more.

    Yields:
        As `find`, in the order of the data set, without images that cannot be read.
    """
    for first in range(0, len(dataset), at_a_time):
        some = replace(dataset, records=dataset.columns[first : first + at_a_time])
        for index, found in _find_some(find, some, config, test_time):
            yield first + index, found


def _find_some(
    find: FindViews, dataset: Dataset, config: Config, test_time: TestTime
) -> Iterator[tuple[int, ImageDetections]]:
    views = make_views(dataset, test_time)
    found: dict[int, list[tuple[View, ImageDetections]]] = {}
    for scaled in scaled_configs(config, test_time.scales):
        for place, of_view in find(views.dataset, scaled):
            view = views.views[place]
            found.setdefault(view.image, []).append((view, of_view))
    scales = max(1, len(test_time.scales))
    expected = np.bincount([view.image for view in views.views], minlength=len(dataset)) * scales
    for index in sorted(found):
        if len(found[index]) == expected[index]:  # else some views could not be read
            record = dataset.records[index]
            together = _in_image(found[index], (record.height, record.width))
            single = len(found[index]) == 1 and config.model.detections.soft_nms == "none"
            yield index, together if single else merge(together, config.model.detections)


def _in_image(
    found: Sequence[tuple[View, ImageDetections]], size: tuple[int, int]
) -> ImageDetections:
    """The detections of views in pixels of the image, without those that are cut at seams."""
    boxes = [view.to_image(one.boxes) for view, one in found]
    windows = sorted({view.window for view, _ in found})
    tiles = [
        np.full(len(x), windows.index(v.window)) for x, (v, _) in zip(boxes, found, strict=True)
    ]
    cut = [cut_at_seams(x, view.window, size) for x, (view, _) in zip(boxes, found, strict=True)]
    scores, labels = ([one[field] for _, one in found] for field in (1, 2))
    together = ImageDetections(*(np.concatenate(x) for x in (boxes, scores, labels)))
    parts = seen_whole(together.boxes, together.labels, np.concatenate(tiles), np.concatenate(cut))
    return ImageDetections(*(values[~parts] for values in together))


def scaled_configs(config: Config, scales: Sequence[int]) -> list[Config]:
    """The config at each scale; its canvases are those of the ladder, so that they are few."""
    if not scales:
        return [config]
    data = config.data
    return [
        replace(
            config,
            data=replace(
                data,
                short_side=scale,
                long_side=max(scale, round(data.long_side * scale / data.short_side)),
                canvas="ladder",
            ),
        )
        for scale in scales
    ]
