"""The arguments of augmentations, as fields of dataclasses: defaults and ranges."""

import dataclasses
import math
from typing import Any


def argument(default: float, low: float, high: float = math.inf) -> Any:
    """A field that `data.augment` may set, from `low` to `high`; its default gives its type."""
    return dataclasses.field(default=default, metadata={"range": (low, high)})


def share(default: float) -> Any:
    """The same for a probability, or for a share of something."""
    return argument(default, 0.0, 1.0)


def grey(default: int = 114) -> Any:
    """The same for the value of all channels where no image is; by default ImageNet's mean."""
    return argument(default, 0, 255)


def arguments_of(kind: type) -> dict[str, dataclasses.Field[Any]]:
    """The arguments of an augmentation by name, in their order."""
    return {field.name: field for field in dataclasses.fields(kind) if "range" in field.metadata}


def complaint(field: dataclasses.Field[Any], value: Any) -> str | None:
    """What is wrong with the value of an argument, if anything; ends "expected ..."."""
    (low, high), default = field.metadata["range"], field.default
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "expected True or False"
    whole = isinstance(default, int)
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if fits and math.isfinite(value) and low <= value <= high:
        return None
    kind = "a whole number" if whole else "a number"
    return f"expected {kind} " + (
        f"of at least {low}" if math.isinf(high) else f"from {low} to {high}"
    )
