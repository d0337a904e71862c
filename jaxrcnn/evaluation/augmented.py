"""Test-time augmentation: an image is searched in several views, and what they show is merged.

A view is a tile of the image, or all of it, mirrored or not, at one of several scales. The views of
a scale form a data set of their own, so that they are resized, padded and batched as images are.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.data.records import Dataset, Record, make_record
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.merging import merge
from jaxrcnn.evaluation.tiling import Window, cut_at_seams, seen_whole, tile_windows

AT_A_TIME = 128
"""Images whose views are searched together."""

DECODED = 4
"""Images that are kept decoded, so that a large one is not read again for each of its tiles."""

MOST_UNSUPPRESSED = 1000
"""Detections of a view before NMS, where NMS is left to `merge`."""

FindViews = Callable[[Dataset, Config], Iterable[tuple[int, ImageDetections]]]
"""What a detector finds in a data set: the place of an image in it, and its detections."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True)
class TestTime:
    """In which views an image is searched; by default in one, the image as it is."""

    flip: bool = False
    """Also mirrored left to right."""
    scales: tuple[int, ...] = ()
    """Short sides in pixels in place of data.short_side; data.long_side changes in proportion."""
    tile: int = 0
    """Side of the tiles in pixels of the image; 0: no tiles."""
    overlap: float = 0.2
    """Share of a tile's side that it has in common with its neighbour."""

    __test__ = False  # no test, whatever its name begins with

    def __post_init__(self) -> None:
        wrong = [scale for scale in self.scales if not _is_whole(scale) or scale < 1]
        if wrong or len(set(self.scales)) < len(self.scales):
            raise ConfigError(
                f"scales={self.scales} must be different short sides in pixels, from 1"
            )
        if not _is_whole(self.tile) or self.tile < 0 or 0 < self.tile < 32:
            raise ConfigError(f"tile={self.tile!r} must be a side in pixels, from 32 (0: no tiles)")
        if not 0 <= self.overlap <= 0.9:
            raise ConfigError(f"overlap={self.overlap!r} must be a number from 0 to 0.9")

    @property
    def is_plain(self) -> bool:
        """Whether there is one view, the image as it is."""
        return not (self.flip or self.scales or self.tile)

    @property
    def name(self) -> str:
        """For folders, such as ``flip_tile_800``; empty if it is plain."""
        parts = ["flip"] if self.flip else []
        parts += ["scales", *map(str, self.scales)] if self.scales else []
        parts += ["tile", str(self.tile)] if self.tile else []
        return "_".join(parts)

    def number_of_views(self, dataset: Dataset) -> int:
        """How many views of a data set there are, over all scales."""
        return len(make_views(dataset, self).views) * max(1, len(self.scales))


PLAIN = TestTime()
"""One view, the image as it is."""


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
    found: Sequence[tuple["View", ImageDetections]], size: tuple[int, int]
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


class View(NamedTuple):
    """A part of an image, mirrored or not."""

    image: int  # its place in the data set
    window: Window
    mirrored: bool

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The pixels of the view."""
        y0, x0, y1, x1 = self.window
        part = image[y0:y1, x0:x1]
        return part[:, ::-1] if self.mirrored else part

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (D, 4) in pixels of the view, in those of the image."""
        x0, y0, x1, y1 = boxes.T
        if self.mirrored:
            width = np.float32(self.window.x1 - self.window.x0)
            x0, x1 = width - x1, width - x0
        left, top = np.float32(self.window.x0), np.float32(self.window.y0)
        return np.stack([x0 + left, y0 + top, x1 + left, y1 + top], axis=1)


class Views(NamedTuple):
    """The views of a data set, and the data set that they form."""

    views: list[View]
    dataset: Dataset


def make_views(dataset: Dataset, test_time: TestTime) -> Views:
    """All views of a data set at one scale: image by image, a view and its mirror image in turn."""
    views: list[View] = []
    records: list[Record] = []
    for index, record in enumerate(dataset.records):
        size = record.height, record.width
        windows = [Window(0, 0, *size)]
        if test_time.tile:
            windows = tile_windows(size, test_time.tile, test_time.overlap)
        for window, mirrored in itertools.product(windows, (False, True)[: 1 + test_time.flip]):
            part = window.y1 - window.y0, window.x1 - window.x0
            views.append(View(index, window, mirrored))
            records.append(
                make_record(len(records), record.name, record.file, part, np.zeros((0, 4)), ())
            )
    reader = _Reader(dataset, views)
    return Views(views, replace(dataset, records=tuple(records), reader=reader, box_room=0))


class _Reader:
    """Reads the views of a data set; the last images stay decoded."""

    def __init__(self, dataset: Dataset, views: list[View]) -> None:
        self._dataset, self._views = dataset, views
        self._read = functools.lru_cache(DECODED)(dataset.read_image)

    def __getstate__(self) -> tuple[Dataset, list[View]]:
        return self._dataset, self._views

    def __setstate__(self, state: tuple[Dataset, list[View]]) -> None:
        self.__init__(*state)

    def __call__(self, record: Record) -> np.ndarray:
        view = self._views[record.image_id]
        return view.cut(self._read(view.image))
