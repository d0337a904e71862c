"""The weights that a run starts from, as train.init names them."""

from collections.abc import Collection, Sequence
from typing import Any

import jax

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Variables
from jaxrcnn.interop.class_rows import as_in_weights, drawn_layers, match_rows, with_rows
from jaxrcnn.interop.initial import Initial, check_differences, differences, find_initial
from jaxrcnn.interop.norms import without_denormals
from jaxrcnn.interop.sources import peer_of
from jaxrcnn.interop.transfer import Account, check_restart, describe, load, path_of
from jaxrcnn.interop.weight_files import read_weights
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.modules import is_in
from jaxrcnn.training.weights import load_variables


def check_init(config: Config, shapes: Variables, class_names: Sequence[str]) -> None:
    """See that a run can start from what train.init names, before anything is compiled.

    Args:
        config: of the run.
        shapes: of the detector's variables.
        class_names: of the run, in label order.

    Raises:
        ConfigError: there is no such source, or a shape does not fit; the config is not that of the
            weights; or a frozen norm would keep the values that it is drawn with.
    """
    variables = shapes
    if config.train.init:
        initial = find_initial(config.train.init)
        check_differences(initial, config)
        variables, _ = _read_initial(initial, config, shapes, class_names)
    undefined = [
        path_of(path)
        for path, x in jax.tree_util.tree_leaves_with_path(variables.get("constants", {}))
        if isinstance(x, jax.ShapeDtypeStruct) and str(path[-1]) == "['var']"
    ]
    if undefined and config.train.init_strict:
        raise ConfigError(
            f"model.backbone.norm=frozen needs pretrained weights: {len(undefined)} norms of the "
            "backbone are not loaded, and training would never change them. Name weights in "
            "train.init, use model.backbone.norm=group, or train nevertheless with "
            "train.init_strict=False"
        )


def read_init(
    config: Config, like: Variables, class_names: Sequence[str] | None = None
) -> tuple[Variables, list[str]]:
    """What train.init gives a run to start from.

    Args:
        config: of the run; train.init is as `find_initial` takes it.
        like: the detector's variables, drawn and on their devices, or their shapes alone. What is
            not loaded stays as it is here.
        class_names: of the run, in label order, where they are known.

    Returns:
        The variables, and an account of what was loaded and what re-initialised, in lines.

    Raises:
        ConfigError: it cannot be read, or does not fit.
    """
    return _read_initial(find_initial(config.train.init), config, like, class_names)


def _read_initial(
    initial: Initial, config: Config, like: Variables, class_names: Sequence[str] | None
) -> tuple[Variables, list[str]]:
    model, restart, lines = config.model, config.train.init_restart, [f"{initial.path}:"]
    rows = None
    if initial.num_classes is not None:
        keep = config.train.init_keep_classes
        rows = match_rows(initial.num_classes, initial.classes, class_names, model, keep)
        restart = (*restart, *drawn_layers(rows, model))
    there = as_in_weights(rows, like, model) if rows else like
    variables, account = _read(initial, config, there, restart)
    lines += [*account, *initial.lines]
    if rows:
        variables = with_rows(rows, variables, like, model)
        lines += [rows.line] if rows.line else []
    lines += [f"  {'differs':18}  {line}" for line in differences(initial, config)]
    return jax.tree.map(_placed, variables, like), lines


def _read(
    initial: Initial, config: Config, like: Variables, restart: Collection[str]
) -> tuple[Variables, list[str]]:
    """The variables with the source's values in them, and the account of its arrays."""
    if initial.kind in ("detector file", "backbone file"):
        return _read_file(initial, config, like, restart)
    if initial.kind == "model":
        variables: Variables = load_variables(initial.path, like, restart)
    else:
        with Checkpoints(initial.path) as checkpoints:
            variables = checkpoints.restore_variables(like, initial.step, restart)
    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(like)]
    restarted = tuple(path for path in paths if is_in(path, restart))
    check_restart(config.train.init_restart, restarted)
    loaded = tuple(path for path in paths if not is_in(path, restart))
    title = "a model's folder" if initial.kind == "model" else "a run's folder"
    return variables, describe(Account(loaded, restarted, (), (), {}), title)


def _read_file(
    initial: Initial, config: Config, like: Variables, restart: Collection[str]
) -> tuple[Variables, list[str]]:
    file = read_weights(initial.path)
    try:
        peer = peer_of(file.tensors)
        variables, account = load(file.tensors, peer, config.model, like, restart)
        variables, _, rescaled = without_denormals(variables, peer, config.model)
    except ConfigError as error:
        raise ConfigError(f"{initial.path}: {error}") from None
    return variables, [*describe(account, peer.title), *file.notes, *rescaled]


def _placed(x: Any, like: Any) -> Any:
    """An array where another one is; a shape stays a shape."""
    return x if isinstance(x, jax.ShapeDtypeStruct) else jax.device_put(x, like.sharding)
