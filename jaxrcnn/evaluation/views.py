"""The views of an image in which a detector searches it: tiles, mirrored or not, at some scales."""

import functools
import itertools
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.config import ConfigError
from jaxrcnn.data.fast import all_pixels
from jaxrcnn.data.records import Dataset, Record, make_record
from jaxrcnn.evaluation.tiling import Window, tile_windows

DECODED = 4
"""Images that are kept decoded, so that a large one is not read again for each of its tiles."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class TestTime:
    """In which views an image is searched; by default in one, the image as it is."""

    flip: bool = False
    """Also mirrored left to right."""
    scales: Sequence[int] = ()
    """Short sides in pixels in place of data.short_side; data.long_side changes in proportion."""
    tile: int = 0
    """Side of the tiles in pixels of the image; 0: no tiles."""
    overlap: float = 0.2
    """Share of a tile's side that it has in common with its neighbour."""

    __test__ = False  # no test, whatever its name begins with

    def __post_init__(self) -> None:
        if not isinstance(self.scales, Sequence) or isinstance(self.scales, str):
            raise ConfigError(f"scales={self.scales!r} must be a list of short sides in pixels")
        object.__setattr__(self, "scales", tuple(self.scales))  # to be hashed
        wrong = [scale for scale in self.scales if not _is_whole(scale) or scale < 1]
        if wrong or len(set(self.scales)) < len(self.scales):
            raise ConfigError(
                f"scales={self.scales} must be different short sides in pixels, from 1"
            )
        if not _is_whole(self.tile) or self.tile < 0 or 0 < self.tile < 32:
            raise ConfigError(f"tile={self.tile!r} must be a side in pixels, from 32 (0: no tiles)")
        if not isinstance(self.overlap, numbers.Real) or not 0 <= float(self.overlap) <= 0.9:
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
        parts = sum(len(self.windows((height, width))) for height, width in dataset.sizes.tolist())
        return parts * (1 + self.flip) * max(1, len(self.scales))

    def windows(self, size: tuple[int, int]) -> list[Window]:
        """The parts of an image of this height and width that are searched."""
        if self.tile:
            return tile_windows(size, self.tile, self.overlap)
        return [Window(0, 0, *size)]


PLAIN = TestTime()
"""One view, the image as it is."""


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
        windows = test_time.windows((record.height, record.width))
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
        with all_pixels():  # those that suffice are of the view, not of the image
            return view.cut(self._read(view.image))
