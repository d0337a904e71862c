"""The state dict of a detector or a backbone, wherever it is in a checkpoint."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxrcnn.interop.families import READ, family_of_class
from jaxrcnn.interop.networks import Network, is_tensor, maker_of, split
from jaxrcnn.interop.tensors import Unread, WeightFileError, printable

ENVELOPES = ("state_dict", "model_state_dict", "model", "blobs")
"""Keys of a checkpoint under which the weights usually are; "blobs" is Caffe2's."""

MAX_DEPTH = 4
"""Of dicts in dicts."""

AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?)([._]|$)", re.IGNORECASE)
"""The names of moving averages of a model's weights."""

EXTRA_STATE = "_extra_state"
"""The end of the names under which torch's modules keep what is no tensor."""


class StateDict(NamedTuple):
    """A network's tensors by their own names."""

    tensors: dict[str, Any]  # as in the tree: Tensors, Arrays or numpy's arrays
    notes: tuple[str, ...]  # what was chosen, taken off and left out, for people


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
        candidate for keys, found in _dicts_with_tensors(tree) for candidate in split(keys, found)
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
            if any(isinstance(name, str) and is_tensor(x) for name, x in found.items()):
                yield keys, found
            below += [((*keys, name), x) for name, x in found.items() if isinstance(name, str)]
        level = below


def _chosen(candidates: Sequence[Network], key: str) -> Network:
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


def _is_usual(candidate: Network) -> bool:
    return all(key in ENVELOPES for key in candidate.keys)


def _labels(candidates: Sequence[Network]) -> str:
    return ", ".join(printable(candidate.label or "its top level") for candidate in candidates[:8])


def _at(tree: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        tree = tree[key]
    return tree


def _check_readable(found: Mapping[Any, Any], chosen: Network) -> None:
    """Stop where the weights themselves need what is not read."""
    roots = {name.partition(".")[0] for name in chosen.tensors}
    for name, value in found.items():
        parts = str(name).split(".")
        own = chosen.rank == 0 or not roots.isdisjoint(parts)
        maker = maker_of(value)
        if maker and own and parts[-1] != EXTRA_STATE:
            raise WeightFileError(
                f"holds {printable(str(name))} among its tensors, which is made by "
                f"{printable(maker)}; it was not run (save model.state_dict() alone)"
            )


def _nothing(tree: Any) -> str:
    """Why there are no tensors by name."""
    if isinstance(tree, Unread):
        return _of_class(tree.name) or (
            f"holds an object of {printable(tree.name)}, which was not run; save "
            "model.state_dict() alone"
        )
    if not isinstance(tree, dict):
        return f"holds no tensors by name, but one {type(tree).__name__}"
    objects = {name: x.name for name, x in tree.items() if isinstance(x, Unread)}
    if family := next(filter(None, map(_of_class, objects.values())), None):
        return family
    for name in (*ENVELOPES, "ema", "net"):
        if name in objects:
            return (
                f"holds under {name} an object of {printable(objects[name])}, which was not run; "
                "save its state_dict() alone"
            )
    if numbers := [name for name, x in tree.items() if is_tensor(x)]:
        return f"holds a tensor under the number {numbers[0]}; save the state dict of a model"
    entries = ", ".join(printable(str(name)) for name in list(tree)[:8]) or "nothing"
    return f"holds no tensors by name; its entries are: {entries}"


def _of_class(name: str) -> str | None:
    family = family_of_class(name)
    return family and f"holds {family}, an object of {printable(name)}; {READ}"


def _notes(chosen: Network, others: Sequence[Network]) -> Iterator[str]:
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
