"""The networks in a dict of tensors, and their names without what was wrapped around them."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.interop.families import family_of
from jaxrcnn.interop.tensors import Array, Tensor, Unread

Value = Tensor | Array | np.ndarray

DETECTORS = {
    "rpn.head.cls_logits.weight": ("backbone", "rpn", "roi_heads"),
    "proposal_generator.rpn_head.objectness_logits.weight": (
        *("backbone", "proposal_generator", "roi_heads"),
        *("pixel_mean", "pixel_std"),
    ),
}
"""A name that every Faster R-CNN of one library has, and how all of its names begin."""

BACKBONES = (
    *("conv1_w", "stem.conv1.weight", "conv1.weight", "conv_stem.weight"),
    *("features.0.weight", "features.0.0.weight"),
)
"""Names of which every ImageNet backbone that is read has one."""

WRAPPERS = frozenset(("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""What DataParallel, torch.compile, FSDP and activation checkpointing put into names."""

MAX_PREFIX = 8
"""Parts of a name that may stand before a network's own."""

MAX_NETWORKS = 16
"""In one dict."""


class Network(NamedTuple):
    """The tensors of one network in a checkpoint."""

    keys: tuple[str, ...]  # that lead to the dict
    prefix: str  # "model." where all names of the network begin so
    tensors: dict[str, Value]  # without the prefix
    left_out: tuple[str, ...]
    wrappers: tuple[str, ...] = ()  # that were taken out of the names
    rank: int = 0  # 2: a detector, 1: an ImageNet backbone, 0: unknown

    @property
    def label(self) -> str:
        """What --key calls it."""
        return ".".join((*self.keys, *filter(None, self.prefix.split("."))))


def is_tensor(value: Any) -> bool:
    """Whether a value in a checkpoint is a tensor of numbers."""
    return isinstance(value, Value) and maker_of(value) is None


def maker_of(value: Any) -> str | None:
    """The name of what would make an object that is not read; None for others."""
    if isinstance(value, Array):  # of texts or objects
        value = value.dtype
    return value.name if isinstance(value, Unread) else None


def split(keys: tuple[str, ...], found: Mapping[Any, Any]) -> list[Network]:
    """The networks in a dict of tensors.

    Detectors are told by a name of theirs, with whatever stands before it; what is beside them is
    left out. A backbone loses what all of its names begin with, an unknown network only wrappers.

    Args:
        keys: that lead to the dict.
        found: tensors, and anything else.

    Returns:
        At least one network, of the highest rank that there is.
    """
    tensors = {k: x for k, x in found.items() if isinstance(k, str) and is_tensor(x)}
    others = tuple(str(name) for name in found if name not in tensors)
    if family_of(tensors):
        return [Network(keys, "", tensors, others)]
    unwrapped, wrappers = _without_wrappers(tensors)
    found_at = (
        (name.removesuffix(sign), roots)
        for sign, roots in DETECTORS.items()
        for name in unwrapped
        if name == sign or name.endswith(f".{sign}")
    )
    detectors = [
        _detector(keys, prefix, unwrapped, roots, others, wrappers)
        for prefix, roots in itertools.islice(found_at, MAX_NETWORKS)
    ]
    return detectors or [_backbone(keys, tensors, others)]


def _without_wrappers(tensors: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The tensors without `WRAPPERS` in their names, and those that were there."""
    named, there = {}, dict[str, None]()
    for name, x in tensors.items():
        parts = name.split(".")
        there |= dict.fromkeys(part for part in parts if part in WRAPPERS)
        named[".".join(part for part in parts if part not in WRAPPERS)] = x
    if len(named) < len(tensors):  # two networks, one of them wrapped
        return dict(tensors), ()
    return named, tuple(there)


def _detector(
    keys: tuple[str, ...],
    prefix: str,
    tensors: Mapping[str, Value],
    roots: Sequence[str],
    others: tuple[str, ...],
    wrappers: tuple[str, ...],
) -> Network:
    """The detector whose names begin with a prefix; all that is beside it is left out."""
    own = {
        name.removeprefix(prefix): x
        for name, x in tensors.items()
        if name.startswith(prefix) and name.removeprefix(prefix).partition(".")[0] in roots
    }
    beside = tuple(name for name in tensors if name.removeprefix(prefix) not in own)
    return Network(keys, prefix, own, beside + others, wrappers, rank=2)


def _backbone(keys: tuple[str, ...], tensors: dict[str, Value], others: tuple[str, ...]) -> Network:
    """A backbone without what all of its names begin with; of an unknown network only a wrapper."""
    prefix, inner = "", tensors
    for _ in range(MAX_PREFIX):
        if any(sign in inner for sign in BACKBONES):
            return Network(keys, prefix, inner, others, rank=1)
        first, dot, _ = next(iter(inner)).partition(".")
        if not dot or not all(name.startswith(first + dot) for name in inner):
            break
        prefix += first + dot
        inner = {name.removeprefix(first + dot): x for name, x in inner.items()}
    wrapped = re.match(rf"(?:(?:{'|'.join(WRAPPERS)})\.)*", prefix)
    prefix = wrapped[0] if wrapped else ""
    return Network(keys, prefix, {k.removeprefix(prefix): x for k, x in tensors.items()}, others)
