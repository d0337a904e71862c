"""What Detectron2's files say beside the weights: anchors, pixel statistics, channel order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxrcnn.config import ConfigError
from jaxrcnn.interop.naming import Tensors

CELL_ANCHORS = "proposal_generator.anchor_generator.cell_anchors."
MEANS = ((123.675, 116.28, 103.53), (122.7717, 115.9465, 102.9801))
"""ImageNet's means of red, green and blue, by torchvision and by Caffe."""


def takes_rgb(tensors: Tensors, input_format: str = "") -> bool:
    """Whether a network of Detectron2's takes red first.

    The file does not say so itself, but its mean is in the network's order, and ImageNet's mean of
    red is larger than that of blue. A file without a mean is taken for one of the model zoo's.

    Args:
        tensors: of a detector.
        input_format: "RGB" or "BGR", where it is known; else empty.

    Raises:
        ConfigError: the mean is not ImageNet's, so that nothing tells the order.
    """
    if input_format or "pixel_mean" not in tensors:
        return input_format == "RGB"
    mean = _three(tensors, "pixel_mean")
    if any(np.allclose(mean, known, atol=1) for known in MEANS):
        return True
    if any(np.allclose(mean, known[::-1], atol=1) for known in MEANS):
        return False
    raise ConfigError(
        f"pixel_mean is {_numbers(mean)} in the file, from which the order of the channels cannot "
        "be told: convert it with --input-format BGR or RGB, as INPUT.FORMAT was in training"
    )


def fields_of(tensors: Tensors, rgb: bool) -> dict[str, Any]:
    """The fields of a model, by name, that the buffers in a file of Detectron2's say.

    Args:
        tensors: of a detector.
        rgb: whether it takes red first, see `takes_rgb`.

    Raises:
        ConfigError: they are none that the fields can describe.
    """
    fields: dict[str, Any] = {}
    for name in ("pixel_mean", "pixel_std"):
        if name in tensors:
            values = _three(tensors, name)
            fields[name] = _numbers(values if rgb else values[::-1])
    count = sum(name.startswith(CELL_ANCHORS) for name in tensors)
    if count:
        none = np.zeros((0, 4))
        cells = [tensors.get(f"{CELL_ANCHORS}{level}", none) for level in range(count)]
        fields["anchors.sizes"], fields["anchors.ratios"] = sizes_and_ratios(cells)
    return fields


def _three(tensors: Tensors, name: str) -> np.ndarray:
    values = np.asarray(tensors[name], np.float64).reshape(-1)
    if len(values) != 3:
        raise ConfigError(f"{name} has {len(values)} values in the file, model.{name} takes 3")
    return values


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    """Values that were rounded to float32, as a person wrote them."""
    return tuple(float(f"{value:.6g}") for value in values)


def sizes_and_ratios(
    cells: Sequence[np.ndarray],
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Sizes and ratios that give the anchors of a cell, see `AnchorConfig`.

    Args:
        cells: (A, 4) of each level, around the origin, ordered by size and then by ratio.

    Raises:
        ConfigError: there are none that do.
    """
    sizes, ratios = [], []
    for level, cell in enumerate(cells):
        found = _of_level(np.asarray(cell, np.float64))
        if found is None:
            raise ConfigError(
                f"{CELL_ANCHORS}{level} is {np.round(cell, 2).tolist()} in the file, which no "
                "model.anchors.sizes and model.anchors.ratios describe"
            )
        sizes.append(found[0])
        ratios.append(found[1])
    same = all(len(r) == len(ratios[0]) and np.allclose(r, ratios[0], rtol=1e-4) for r in ratios)
    if not same or len({len(level) for level in sizes}) > 1:
        raise ConfigError(
            f"the anchors of the levels have the ratios {ratios} and the sizes {sizes} in the "
            "file; model.anchors takes the same ratios and as many sizes on every level"
        )
    return tuple(sizes), ratios[0]


def _of_level(cell: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    if cell.ndim != 2 or cell.shape[1] != 4 or not len(cell):
        return None
    width, height = (cell[:, 2:] - cell[:, :2]).T
    if not (np.all(width > 0) and np.all(height > 0)):
        return None
    every_size, every_ratio = np.sqrt(width * height), height / width
    for count in range(1, len(cell) + 1):  # of ratios
        if len(cell) % count:
            continue
        sizes, ratios = _numbers(every_size[::count]), _numbers(every_ratio[:count])
        shapes = [(s / r**0.5, s * r**0.5) for s in sizes for r in ratios]
        made = np.array([(-w / 2, -h / 2, w / 2, h / 2) for w, h in shapes])
        if np.allclose(made, cell, rtol=1e-4, atol=1e-3):
            return _tidy(sizes), _tidy(ratios)
    return None


def _tidy(values: tuple[float, ...]) -> tuple[float, ...]:
    """Values without the last digits that float32 gave them: 1.99999 is 2."""
    return tuple(
        float(f"{value:.4g}") if np.isclose(value, float(f"{value:.4g}"), rtol=2e-5) else value
        for value in values
    )
