"""The state dict of a network in a checkpoint, and its names without what was wrapped around it."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrcnn.interop.families import family_of
from jaxrcnn.interop.tensors import Array, Tensor, Unread, WeightFileError, printable

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

ENVELOPES = ("state_dict", "model_state_dict", "model", "blobs")
"""Keys of a checkpoint under which the weights usually are; "blobs" is Caffe2's."""

MAX_DEPTH = 4
"""Of dicts in dicts."""

MAX_PREFIX = 8
"""Parts of a name that may stand before a network's own."""

MAX_NETWORKS = 16
"""In one dict."""

AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?)([._]|$)", re.IGNORECASE)
"""The names of moving averages of a model's weights."""

EXTRA_STATE = "_extra_state"
"""The end of the names under which torch's modules keep what is no tensor."""


class StateDict(NamedTuple):
    """A network's tensors by their own names."""

    tensors: dict[str, Any]  # as in the tree: Tensors, Arrays or numpy's arrays
    notes: tuple[str, ...]  # what was chosen, taken off and left out, for people


class Candidate(NamedTuple):
    """A dict of tensors in a checkpoint, or those of its entries that begin alike."""

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


def find_state_dict(tree: Any, key: str = "") -> StateDict:
    """The state dict of a detector or a backbone, wherever it is in a checkpoint.

    Args:
        tree: what the file holds.
        key: which, where there are several: the keys that lead to it, dots between, and the
            beginning of its names; empty takes the only one, or the one that is no moving average.

    Raises:
        WeightFileError: there is none, there are several, or some of its tensors are not read.
    """
    candidates = [
        candidate for keys, found in _dicts_with_tensors(tree) for candidate in _split(keys, found)
    ]
    if not candidates:
        raise WeightFileError(_nothing(tree))
    chosen = _chosen(candidates, key)
    _check_readable(_at(tree, chosen.keys), chosen)
    best = [other for other in candidates if other.rank == max(chosen.rank, 1)]
    return StateDict(chosen.tensors, tuple(_notes(chosen, [c for c in best if c is not chosen])))


def _dicts_with_tensors(tree: Any) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Every dict that holds tensors by name, each once, and the keys that lead to it."""
    seen: set[int] = set()
    level: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    for _ in range(MAX_DEPTH + 1):
        below = []
        for keys, found in level:
            if not isinstance(found, dict) or id(found) in seen:
                continue
            seen.add(id(found))
            if any(isinstance(name, str) and _is_tensor(x) for name, x in found.items()):
                yield keys, found
            below += [((*keys, name), x) for name, x in found.items() if isinstance(name, str)]
        level = below


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Value) and _maker_of(value) is None


def _maker_of(value: Any) -> str | None:
    """The name of what would make an object that is not read; None for others."""
    if isinstance(value, Array):  # of texts or objects
        value = value.dtype
    return value.name if isinstance(value, Unread) else None


def _split(keys: tuple[str, ...], found: Mapping[Any, Any]) -> list[Candidate]:
    """The networks in a dict of tensors."""
    tensors = {k: x for k, x in found.items() if isinstance(k, str) and _is_tensor(x)}
    others = tuple(str(name) for name in found if name not in tensors)
    if family_of(tensors):
        return [Candidate(keys, "", tensors, others)]
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
) -> Candidate:
    """The detector whose names begin with a prefix; all that is beside it is left out."""
    own = {
        name.removeprefix(prefix): x
        for name, x in tensors.items()
        if name.startswith(prefix) and name.removeprefix(prefix).partition(".")[0] in roots
    }
    beside = tuple(name for name in tensors if name.removeprefix(prefix) not in own)
    return Candidate(keys, prefix, own, beside + others, wrappers, rank=2)


def _backbone(
    keys: tuple[str, ...], tensors: dict[str, Value], others: tuple[str, ...]
) -> Candidate:
    """A backbone without what all of its names begin with; of an unknown network only a wrapper."""
    prefix, inner = "", tensors
    for _ in range(MAX_PREFIX):
        if any(sign in inner for sign in BACKBONES):
            return Candidate(keys, prefix, inner, others, rank=1)
        first, dot, _ = next(iter(inner)).partition(".")
        if not dot or not all(name.startswith(first + dot) for name in inner):
            break
        prefix += first + dot
        inner = {name.removeprefix(first + dot): x for name, x in inner.items()}
    wrapped = re.match(rf"(?:(?:{'|'.join(WRAPPERS)})\.)*", prefix)
    prefix = wrapped[0] if wrapped else ""
    return Candidate(keys, prefix, {k.removeprefix(prefix): x for k, x in tensors.items()}, others)


def _chosen(candidates: Sequence[Candidate], key: str) -> Candidate:
    """The candidate of a key or, without one, the only one that can be meant."""
    rank = max(candidate.rank for candidate in candidates)
    best = [candidate for candidate in candidates if candidate.rank == rank]
    if key:
        asked = [c for c in candidates if c.label == key or c.label.startswith(f"{key}.")]
        best = [c for c in asked if c.rank == max(other.rank for other in asked)]
        if not best:
            raise WeightFileError(
                f"has no {printable(key)}; --key takes one of {_labels(candidates)}"
            )
    elif rank == 0:
        return max(best, key=lambda c: (_is_usual(c), len(c.tensors)))
    plain = [c for c in best if not AVERAGED.search(c.label)]
    if rank == 1 and not key:  # of train.init, which has no --key
        plain = [c for c in plain if _is_usual(c)] or plain
    if len(best) > 1 and len(plain) == 1:
        return plain[0]
    if len(best) > 1:
        raise WeightFileError(
            f"holds several networks: {_labels(best)}; choose one with the option --key of "
            "python -m jaxrcnn convert"
        )
    return best[0]


def _is_usual(candidate: Candidate) -> bool:
    return all(key in ENVELOPES for key in candidate.keys)


def _labels(candidates: Sequence[Candidate]) -> str:
    return ", ".join(printable(candidate.label or "its top level") for candidate in candidates[:8])


def _at(tree: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        tree = tree[key]
    return tree


def _check_readable(found: Mapping[Any, Any], chosen: Candidate) -> None:
    """Stop where the weights themselves need what is not read."""
    roots = {name.partition(".")[0] for name in chosen.tensors}
    for name, value in found.items():
        parts = str(name).split(".")
        own = chosen.rank == 0 or not roots.isdisjoint(parts)
        maker = _maker_of(value)
        if maker and own and parts[-1] != EXTRA_STATE:
            raise WeightFileError(
                f"holds {printable(str(name))} among its tensors, which is made by "
                f"{printable(maker)}; it was not run (save model.state_dict() alone)"
            )


def _nothing(tree: Any) -> str:
    """Why there are no tensors by name."""
    if isinstance(tree, Unread):
        return (
            f"holds an object of {printable(tree.name)}, which was not run; save "
            "model.state_dict() alone"
        )
    if not isinstance(tree, dict):
        return f"holds no tensors by name, but one {type(tree).__name__}"
    objects = [(name, x.name) for name, x in tree.items() if isinstance(x, Unread)]
    if usual := [entry for entry in objects if entry[0] in (*ENVELOPES, "ema", "net")]:
        name, kind = usual[0]
        return (
            f"holds under {printable(str(name))} an object of {printable(kind)}, which was not "
            "run; save its state_dict() alone"
        )
    if numbers := [name for name, x in tree.items() if _is_tensor(x)]:
        return f"holds a tensor under the number {numbers[0]}; save the state dict of a model"
    entries = ", ".join(printable(str(name)) for name in list(tree)[:8]) or "nothing"
    return f"holds no tensors by name; its entries are: {entries}"


def _notes(chosen: Candidate, others: Sequence[Candidate]) -> Iterator[str]:
    """What was done, a line each."""
    if chosen.keys:
        yield f"  {'entry of the file':18}  {printable('.'.join(chosen.keys))}"
    taken_off = [f"{wrapper}." for wrapper in chosen.wrappers] + [chosen.prefix] * bool(
        chosen.prefix
    )
    if taken_off:
        yield f"  {'taken off names':18}  {', '.join(map(printable, taken_off))}"
    if chosen.left_out:
        first = ", ".join(map(printable, chosen.left_out[:8]))
        more = f" and {len(chosen.left_out) - 8} more" if len(chosen.left_out) > 8 else ""
        yield f"  {'left out':18}  {first}{more}: not of the network"
    for other in others:
        label = printable(other.label or "its top level")
        yield f"  {'also in the file':18}  {label}; --key {label} takes it instead"
