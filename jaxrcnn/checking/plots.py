"""Histograms of a training set."""

from typing import TYPE_CHECKING

import numpy as np

from jaxrcnn.checking.classes import largest_classes
from jaxrcnn.checking.statistics import aspect_ratios, box_sides
from jaxrcnn.config import Config
from jaxrcnn.curves import clean_axes
from jaxrcnn.data.records import Dataset
from jaxrcnn.pages import png_uri
from jaxrcnn.recipe.derive import resized_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE = "#0072b2", "#d55e00"
BARS = 30
"""Classes that are shown by name."""


def draw_histograms(dataset: Dataset, config: Config) -> list[tuple[str, str]]:
    """Data URIs of plots, each with what it shows; none where there are no boxes."""
    if not len(dataset.columns.boxes):
        return []
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=110, layout="constrained")
    (sizes, ratios), (numbers, images) = figure.subplots(2, 2)
    _sizes(sizes, dataset, config)
    _ratios(ratios, dataset, config)
    _numbers(numbers, dataset)
    _images(images, dataset)
    names, counts = _classes(dataset)
    bars = Figure(figsize=(9, 0.8 + 0.24 * len(names)), dpi=110, layout="constrained")
    axes = bars.subplots()
    axes.barh(names[::-1], counts[::-1], color=BLUE)
    clean_axes(axes, "boxes of each class")
    return [
        (
            png_uri(figure),
            "Boxes and images of the training set. Lines mark the anchors' sizes and ratios.",
        ),
        (png_uri(bars), f"Boxes of each class; at most {BARS} classes, those with the most boxes."),
    ]


def _sizes(axes: "Axes", dataset: Dataset, config: Config) -> None:
    sides = box_sides(resized_boxes(dataset, config).corners)
    sides = np.maximum(sides, 1.0)
    axes.hist(sides, np.geomspace(sides.min() * 0.99, sides.max() * 1.01, 40).tolist(), color=BLUE)
    axes.set_xscale("log")
    for size in sorted({size for level in config.model.anchors.sizes for size in level}):
        axes.axvline(size, color=ORANGE, linewidth=1)
    axes.set_xlabel("square root of the area, pixels")
    axes.set_ylabel("boxes")
    clean_axes(axes, "size of boxes after resizing")


def _ratios(axes: "Axes", dataset: Dataset, config: Config) -> None:
    ratios = aspect_ratios(dataset.columns.boxes)
    edges = np.geomspace(ratios.min() * 0.99, ratios.max() * 1.01, 40)
    axes.hist(ratios, edges.tolist(), color=BLUE)
    axes.set_xscale("log")
    for ratio in config.model.anchors.ratios:
        axes.axvline(ratio, color=ORANGE, linewidth=1)
    axes.set_xlabel("height / width")
    clean_axes(axes, "aspect ratio of boxes")


def _numbers(axes: "Axes", dataset: Dataset) -> None:
    counts = dataset.columns.counts
    bins = np.arange(counts.max() + 2) - 0.5 if counts.max() < 40 else 40
    axes.hist(counts, bins if isinstance(bins, int) else bins.tolist(), color=BLUE)
    axes.set_xlabel("boxes")
    axes.set_ylabel("images")
    clean_axes(axes, "boxes per image")


def _images(axes: "Axes", dataset: Dataset) -> None:
    height, width = dataset.sizes.T
    axes.scatter(width, height, s=8, alpha=0.4, color=BLUE)
    axes.set_xlim(0, width.max() * 1.08)
    axes.set_ylim(0, height.max() * 1.08)
    axes.set_xlabel("width, pixels")
    axes.set_ylabel("height, pixels")
    clean_axes(axes, "sizes of images")


def _classes(dataset: Dataset) -> tuple[list[str], list[int]]:
    counts = largest_classes(dataset, BARS)
    # matplotlib takes a dollar sign for the beginning of a formula
    return [name.replace("$", r"\$") for name in counts], [*counts.values()]
