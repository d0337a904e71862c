"""Layers that a person names: frozen ones, and those with a learning rate of their own.

A name is that of a module, as `module_of` has them (``backbone/layer1``, ``neck``, ``rpn/hidden``),
of several (``backbone``, ``rpn``), of a part of the parameters (``backbone/body/layer1_0``), or a
pattern for either (``backbone/layer[12]``, ``backbone/body/layer4*``).
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Variables
from jaxrcnn.nets.backbone import frozen_modules
from jaxrcnn.training.modules import is_in, module_of


def is_named(path: Sequence[str], names: Iterable[str]) -> bool:
    """Whether a parameter, by the names on the way to it, belongs to a layer that is named."""
    forms = ("/".join(path), module_of(path))
    return any(
        is_in(form, [name]) or fnmatchcase(form, name) or fnmatchcase(form, f"{name}/*")
        for form in forms
        for name in names
    )


def is_frozen(path: Sequence[str], config: Config) -> bool:
    """Whether a parameter is not trained: of a frozen stage of the backbone, or of train.freeze."""
    return _is_in_frozen_stage(path, config) or is_named(path, config.train.freeze)


def _is_in_frozen_stage(path: Sequence[str], config: Config) -> bool:
    stages = frozen_modules(config.model.backbone)
    return any(tuple(path[:3]) == ("backbone", "body", module) for module in stages)


def rate_factor(path: Sequence[str], config: Config) -> float:
    """The factor of train.optimizer.rate_factors on a parameter's learning rate, 1 without any."""
    factor = 1.0
    for pair in config.train.optimizer.rate_factors:
        name, _, value = pair.rpartition("=")
        if is_named(path, [name.strip()]):
            factor = float(value)
    return factor


def names_of(tree_path: tuple[Any, ...]) -> tuple[str, ...]:
    """The names on the way to an array of a tree of dicts."""
    return tuple(entry.key for entry in tree_path)


def without_frozen_gradients(params: Any, config: Config) -> Any:
    """The same parameters; no gradient reaches those of train.freeze, and none is computed."""
    if not config.train.freeze:
        return params
    return jax.tree_util.tree_map_with_path(
        lambda path, x: (
            jax.lax.stop_gradient(x) if is_named(names_of(path), config.train.freeze) else x
        ),
        params,
    )


def check_layers(config: Config, variables: Variables) -> None:
    """See that the layers are there which train.freeze and rate_factors name.

    Args:
        config: of the run.
        variables: of its detector, or their shapes.

    Raises:
        ConfigError: a name fits no layer, no parameter is left to train, or a frozen layer has
            batch norm, whose statistics would still change.
    """
    freeze = config.train.freeze
    paths = _paths(variables["params"])
    rates = [pair.rpartition("=")[0].strip() for pair in config.train.optimizer.rate_factors]
    for field, names in (("train.freeze", freeze), ("train.optimizer.rate_factors", rates)):
        for name in names:
            if not any(is_named(path, [name]) for path in paths):
                modules = ", ".join(dict.fromkeys(module_of(path) for path in paths))
                raise ConfigError(
                    f"{field}: there is no layer {name!r}. The modules are {modules}; a part of "
                    f"one can be named by its path, such as {'/'.join(paths[0][:-1])}"
                )
    if freeze and all(is_frozen(path, config) for path in paths):
        raise ConfigError(f"train.freeze={freeze} leaves nothing to train")
    for path in _paths(variables.get("batch_stats", {})):
        if is_named(path, freeze) and not _is_in_frozen_stage(path, config):
            raise ConfigError(
                f"train.freeze: {'/'.join(path[:-1])} is a batch norm, whose statistics change "
                "with every batch even if its parameters do not. Freeze stages of the backbone by "
                "model.backbone.frozen_stages, which keeps the statistics, or lower the layers' "
                "rate with train.optimizer.rate_factors"
            )


def _paths(tree: Any) -> list[tuple[str, ...]]:
    return [names_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
