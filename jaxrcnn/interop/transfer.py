"""A peer's tensors into a detector's variables and back, with an account of every one of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrcnn.config import ConfigError, ModelConfig
from jaxrcnn.detector import Variables
from jaxrcnn.interop.naming import Peer, Tensors, fits_any
from jaxrcnn.interop.remedies import remedy
from jaxrcnn.training.modules import is_in
from jaxrcnn.wording import counted

OTHER_MODEL = "it may be a checkpoint of another model"


class Account(NamedTuple):
    """What became of the tensors of a file, and of the detector's arrays."""

    loaded: tuple[str, ...]  # paths of ours, such as backbone/body/conv1/kernel
    restarted: tuple[str, ...]  # paths that keep their random values, as asked
    absent: tuple[str, ...]  # paths that such a file does not have: heads, of a backbone
    skipped: tuple[str, ...]  # names of theirs that a detector has no use for
    kept: dict[str, np.ndarray]  # those among them that `dump` gives back


def load(
    tensors: Tensors,
    peer: Peer,
    config: ModelConfig,
    like: Variables,
    restart: Collection[str] = (),
) -> tuple[Variables, Account]:
    """The variables with a peer's values in them.

    Args:
        tensors: of the file, by name.
        peer: whose they are.
        config: of the detector.
        like: the detector's variables; what is not loaded stays.
        restart: parts that are not loaded, such as "rpn_head" or "box_head/cls_score".

    Raises:
        ConfigError: an array is missing, of another shape or not finite, a part to restart does
            not exist, or a tensor is one that neither the detector nor the peer knows.
    """
    theirs = dict(peer.modernise(tensors, config))
    used: set[str] = set()
    broken: list[str] = []
    paths: dict[str, list[str]] = {"loaded": [], "restarted": [], "absent": []}

    def value(tree_path: Any, array: Any) -> Any:
        path = path_of(tree_path)
        name = peer.name_of(path, config)
        used.add(name or "")
        if is_in(path, restart):
            paths["restarted"].append(path)
            return array
        if name is None:
            paths["absent"].append(path)
            return array
        paths["loaded"].append(path)
        fitted = _fitted(theirs, name, path, array, peer, config)
        if count := np.count_nonzero(~np.isfinite(fitted)):
            broken.append(f"{name} ({count} of {fitted.size})")
        return fitted

    loaded = jax.tree_util.tree_map_with_path(value, like)
    check_restart(restart, paths["restarted"])
    others = sorted(theirs.keys() - used)
    skipped = [name for name in others if fits_any(name, peer.skipped)]
    unknown = [name for name in others if name not in skipped]
    if unknown:
        statistics = all(name.endswith((".running_mean", ".running_var")) for name in unknown)
        remedy = "set model.backbone.norm to frozen or batch" if statistics else OTHER_MODEL
        raise ConfigError(
            f"the file has {counted(len(unknown), 'tensor')} that this model lacks (the first is "
            f"{unknown[0]}); {remedy}"
        )
    _check_finite(broken)
    kept = {name: theirs[name] for name in skipped if fits_any(name, peer.kept)}
    loaded_paths, restarted, absent = map(tuple, paths.values())
    return loaded, Account(loaded_paths, restarted, absent, tuple(skipped), kept)


def path_of(tree_path: Any) -> str:
    """``backbone/body/conv1/kernel`` for an array of a detector's variables."""
    return jax.tree_util.keystr(tree_path[1:], simple=True, separator="/")


def _fitted(
    theirs: Tensors, name: str, path: str, array: Any, peer: Peer, config: ModelConfig
) -> np.ndarray:
    """A tensor in our layout, type and shape."""
    if name not in theirs:
        raise ConfigError(f"the file has no {name}, which {path} requires; {OTHER_MODEL}")
    shape = theirs[name].shape
    wanted = peer.layout_of(path, config).theirs(np.empty(array.shape, bool)).shape
    if shape != wanted:
        raise ConfigError(
            f"{name} has the shape {shape} in the file, but {wanted} in this model; "
            f"{remedy(path, shape, config)}"
        )
    ours = np.ascontiguousarray(peer.layout_of(path, config).ours(theirs[name]))
    with np.errstate(over="ignore"):  # what float32 cannot hold is found to be infinite
        return ours.astype(array.dtype)


def _check_finite(broken: Sequence[str]) -> None:
    if broken:
        more = f" and {counted(len(broken) - 4, 'more tensor')}" if len(broken) > 4 else ""
        raise ConfigError(
            f"the file has values that are NaN or infinite: {', '.join(broken[:4])}{more}; use a "
            "checkpoint from before training diverged"
        )


def check_restart(restart: Iterable[str], restarted: Collection[str]) -> None:
    """See that each part to re-initialise has an array among the paths that were.

    Raises:
        ConfigError: one has none.
    """
    for part in restart:
        if not any(is_in(path, [part]) for path in restarted):
            raise ConfigError(f"there is no part {part} to re-initialise")


def dump(
    variables: Variables, peer: Peer, config: ModelConfig, kept: Tensors | None = None
) -> dict[str, np.ndarray]:
    """The variables as a peer's state dict.

    Args:
        variables: of a detector.
        peer: whose names and layout are wanted.
        config: of the detector.
        kept: as in the account of `load`; with it the file that was loaded comes back bit for bit.

    Raises:
        ConfigError: the peer has no name for an array, or there is no way back to it.
    """
    if peer.complete is None:
        raise ConfigError(f"weights cannot be converted to {peer.title}")
    tensors = {}
    for tree_path, array in jax.tree_util.tree_leaves_with_path(variables):
        path = path_of(tree_path)
        name = peer.name_of(path, config)
        if name is None:
            raise ConfigError(f"{peer.title} has no {path}")
        theirs = peer.layout_of(path, config).theirs(np.asarray(array))
        tensors[name] = np.ascontiguousarray(theirs)
    return dict(peer.complete(tensors, kept or {}, config))


def describe(account: Account, title: str) -> list[str]:
    """The account as lines of a table, by the parts of the detector, below a title."""
    kinds: Mapping[str, Collection[str]] = {
        "loaded": account.loaded,
        "re-initialised": account.restarted,
        "not in the file": account.absent,
    }
    lines = [title]
    for kind, paths in kinds.items():
        counts: dict[str, int] = {}
        for path in paths:
            part = "/".join(path.split("/")[:2])
            counts[part] = counts.get(part, 0) + 1
        lines += [
            f"  {kind:18}  {part:22} {counted(count, 'array'):>11}"
            for part, count in counts.items()
        ]
    if account.skipped:
        first, number = account.skipped[0], len(account.skipped)
        more = f" and {counted(number - 1, 'other tensor')}" if number > 1 else ""
        lines.append(f"  {'not loaded':18}  {first}{more}")
    return lines
