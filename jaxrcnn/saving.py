"""A detector that one's own loop trained, in a folder that everything else here takes."""

import os
import pathlib
from collections.abc import Sequence

import jax

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Detector, Variables, init
from jaxrcnn.interop.model_folder import make_model
from jaxrcnn.training.pieces import check_model
from jaxrcnn.training.weights import check_shapes, merged
from jaxrcnn.training.workdir import Classes


def save(
    folder: str | os.PathLike[str],
    detector: Detector,
    variables: Variables,
    *,
    config: Config,
    classes: Sequence[str] | Classes,
) -> None:
    """Write a model's folder, whole or not at all; see `jaxrcnn.save`."""
    check_model(config.model, detector, "config")
    like = jax.eval_shape(lambda key: init(detector, key), jax.random.key(0))
    check_shapes("variables", variables, like)
    variables = merged(variables, like)  # plain dicts, whatever mappings were given
    classes = _with_ids(classes, config.model.num_classes)
    make_model(pathlib.Path(folder), config, classes, variables, detector=detector)


def _with_ids(classes: Sequence[str] | Classes, number: int) -> Classes:
    """Names with category ids, by default 1 to K."""
    given = classes
    if not isinstance(given, Classes):
        given = Classes(tuple(given), tuple(range(1, len(given) + 1)))
    names, ids = given
    sound = not isinstance(classes, str) and all(isinstance(name, str) for name in names)
    if not sound or not len(names) == len(ids) == number:
        raise ConfigError(
            f"classes={classes!r} must be {number} names, as many as model.num_classes"
        )
    return given
