"""The augmentations by name, and the calls of them that `data.augment` lists."""

import ast
import dataclasses
import difflib
import functools
from typing import Any, NamedTuple

from jaxrcnn.config import ConfigError
from jaxrcnn.data.augment.arguments import arguments_of, complaint
from jaxrcnn.data.augment.copy_paste import CopyPaste
from jaxrcnn.data.augment.cutout import Cutout
from jaxrcnn.data.augment.iou_crop import IouCrop
from jaxrcnn.data.augment.large_scale_jitter import LargeScaleJitter
from jaxrcnn.data.augment.mosaic import Mosaic
from jaxrcnn.data.augment.photometric import Photometric
from jaxrcnn.data.augment.random_crop import RandomCrop
from jaxrcnn.data.augment.rotate90 import Rotate90
from jaxrcnn.data.augment.setting import Setting
from jaxrcnn.data.augment.zoom_out import ZoomOut
from jaxrcnn.data.records import Transform

AUGMENTATIONS: dict[str, Any] = {
    "large_scale_jitter": LargeScaleJitter,
    "random_crop": RandomCrop,
    "iou_crop": IouCrop,
    "zoom_out": ZoomOut,
    "rotate90": Rotate90,
    "photometric": Photometric,
    "cutout": Cutout,
    "mosaic": Mosaic,
    "copy_paste": CopyPaste,
}

LONGEST = 200
"""Characters of an entry that an error shows, and of what is wrong with it."""

FIELDS = {
    "horizontal_flip": "data.horizontal_flip",
    "vertical_flip": "data.vertical_flip",
    "short_side": "data.train_short_sides",
    "train_short_sides": "data.train_short_sides",
}
"""What is set by a field of its own."""


class Call(NamedTuple):
    """An augmentation and its arguments."""

    name: str
    arguments: tuple[tuple[str, Any], ...]  # those that are given

    @property
    def images(self) -> int:
        """How many images become one by it."""
        return AUGMENTATIONS[self.name].images

    def transform(self, setting: Setting) -> Transform:
        """The transform for a place in a batch."""
        kind = AUGMENTATIONS[self.name]
        needs = {"setting"} & {field.name for field in dataclasses.fields(kind)}
        return kind(**dict.fromkeys(needs, setting), **dict(self.arguments))


def describe(name: str) -> str:
    """An augmentation with all its arguments and their defaults, as a call."""
    fields = arguments_of(AUGMENTATIONS[name])
    return f"{name}({', '.join(f'{key}={field.default}' for key, field in fields.items())})"


@functools.cache
def parse(entries: tuple[str, ...]) -> tuple[Call, ...]:
    """The calls that data.augment lists; nothing in them is run.

    Raises:
        ConfigError: an entry is no call of an augmentation with arguments that it takes.
    """
    return tuple(map(_parsed, entries))


def _parsed(entry: str) -> Call:
    name, given = _call_in(entry)
    if name in FIELDS:
        raise _error(entry, f"set {FIELDS[name]} instead")
    if name not in AUGMENTATIONS:
        raise _error(entry, f"there is no augmentation '{name}'{_nearest(name, AUGMENTATIONS)}")
    fields = arguments_of(AUGMENTATIONS[name])
    if given.args or any(keyword.arg is None for keyword in given.keywords):
        raise _error(entry, f"arguments are given by name: {describe(name)}")
    values: dict[str, Any] = {}
    for keyword in given.keywords:
        key = str(keyword.arg)
        if key not in fields:
            raise _error(entry, f"{name} takes no argument '{key}'{_nearest(key, fields)}")
        if key in values:
            raise _error(entry, f"{key} is given twice")
        values[key] = _value(entry, keyword, fields[key])
    _check_order(entry, {**{key: field.default for key, field in fields.items()}, **values})
    return Call(name, tuple(values.items()))


def _call_in(entry: str) -> tuple[str, ast.Call]:
    """The name and the arguments that an entry calls it with."""
    try:
        tree = ast.parse(entry.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if isinstance(tree, ast.Name):
        raise _error(entry, f"expected a call, such as {tree.id}()")
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise _error(entry, "expected a call, such as mosaic(p=0.5)")
    return tree.func.id, tree


def _value(entry: str, keyword: ast.keyword, field: dataclasses.Field[Any]) -> Any:
    try:
        value = ast.literal_eval(keyword.value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        value = None
    what = complaint(field, value)
    if what is not None:
        given = ast.get_source_segment(entry.strip(), keyword.value)
        raise _error(entry, f"{field.name}={given}: {what}")
    return value


def _check_order(entry: str, values: dict[str, Any]) -> None:
    low, high = values.get("low", 0), values.get("high", 0)
    if low > high:
        raise _error(entry, f"low={low} must not exceed high={high}")


def _nearest(name: str, names: Any) -> str:
    """What was probably meant, and else all that there is."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else f" (there are {', '.join(names)})"


def _error(entry: str, what: str) -> ConfigError:
    shown, what = (x if len(x) <= LONGEST else f"{x[:LONGEST]}..." for x in (entry, what))
    return ConfigError(f"data.augment: {shown!r}: {what}")
