"""Where a run's weights come from, and which fields of its config they were trained with."""

import pathlib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from jaxrcnn.config import Config, ConfigError, ListedError
from jaxrcnn.config_io import field_values, replace_fields
from jaxrcnn.interop.coco_classes import guess_classes
from jaxrcnn.interop.conversion import describe_model, read_model
from jaxrcnn.interop.download import fetch
from jaxrcnn.interop.families import LOGITS
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.naming import Tensors
from jaxrcnn.interop.of_imagenet import DETECTRON2_BACKBONE, TORCHVISION_BACKBONE
from jaxrcnn.interop.published import find, names
from jaxrcnn.interop.recognition import Recognised, backbone_fields, detector_name
from jaxrcnn.interop.sources import peer_of
from jaxrcnn.interop.trained_fields import differing, trained_fields
from jaxrcnn.interop.weight_files import read_weights
from jaxrcnn.training.best import choose
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.hosts import from_first
from jaxrcnn.training.pieces import named_pieces
from jaxrcnn.training.weights import holds_weights
from jaxrcnn.training.workdir import Classes, read_classes, read_config
from jaxrcnn.wording import counted

Kind = Literal["run", "model", "detector file", "backbone file"]


class Initial(NamedTuple):
    """Where a run starts."""

    source: str  # as it was given
    path: pathlib.Path  # of the file or folder; of published weights, in the cache
    kind: Kind
    fields: Mapping[str, Any]  # by dotted name, what the weights were trained with
    num_classes: int | None  # of the weights; None for a backbone
    classes: Classes | None  # by label, where the names are known
    lines: list[str]  # what was found and assumed, for a person
    step: int | None = None  # of a run's checkpoint: the best one where there is one, else the last


def find_initial(source: str) -> Initial:
    """Find out what a run would start from.

    Args:
        source: a run's or a model's folder, a weight file, published weights such as
            ``fasterrcnn_resnet50_fpn:COCO_V1`` (``:COCO_V1`` may be left out where there are no
            others), or ``MODEL:FILE`` for a weight file of a model that the file does not tell.

    Raises:
        ConfigError: there is no such source, it cannot be read, or it cannot be downloaded.
    """
    path = pathlib.Path(source)
    if path.is_dir():
        return _of_folder(source, path)
    if path.is_file():
        return _of_file(source, path)
    model, colon, weights = source.partition(":")
    if colon and pathlib.Path(weights).is_file():
        try:
            find_model(model)
        except ConfigError as error:
            raise ConfigError(f"{source}: {str(error).removeprefix('--model: ')}") from None
        return _of_file(source, pathlib.Path(weights), Recognised(model, f"{model}, as given"))
    if not colon and model not in names():
        raise ConfigError(
            f"{source}: there is no such file or folder, and no published weights have this name; "
            "docs/weights.md lists the published weights"
        )
    file = find(model, weights if colon else _only_weights(model))
    line = f"{file.model} {file.weights}, published at {file.url}"
    named = Recognised(file.model, line, published=True)
    return _of_file(source, fetch(file), named)


def _only_weights(model: str) -> str:
    there = names()[model]
    if len(there) > 1:
        choices = " or ".join(f"{model}:{weights}" for weights in there)
        raise ConfigError(f"{model} has several published weights: give {choices}")
    return there[0]


def _of_folder(source: str, path: pathlib.Path) -> Initial:
    config = read_config(path)
    kind: Kind = "model" if holds_weights(path) else "run"
    if kind == "run" and not any((path / "checkpoints").glob("*")):
        raise ConfigError(f"{path}: this run has no checkpoint yet; train it first")
    classes = read_classes(path)
    line, step = f"a model with {counted(config.model.num_classes, 'class', 'classes')}", None
    if kind == "run":

        def look() -> tuple[int | None, str, int]:
            with Checkpoints(path) as checkpoints:
                return *choose(path, config, checkpoints.steps), max(checkpoints.steps, default=0)

        step, metric, last = from_first(look)  # which may still be trained, and have others by then
        which = f", the best by {metric}" if metric else ""
        ended = "" if last == config.train.steps else "; it is not finished"
        line = f"a run at step {step or 0} of {config.train.steps}{which}{ended}"
    pieces = named_pieces(path)
    line += f", made with {pieces}" if pieces else ""
    known = classes if classes.names != _numbered(len(classes.names)) else None
    fields = trained_fields(config)
    number, lines = config.model.num_classes, [f"  {line}"]
    return Initial(source, path, kind, fields, number, known, lines, step)


def _numbered(count: int) -> tuple[str, ...]:
    """Names that stand for unknown ones."""
    return () if count in (80, 90) else guess_classes(count).names


def _of_file(source: str, path: pathlib.Path, named: Recognised | None = None) -> Initial:
    tensors = read_weights(path).tensors
    try:
        peer = peer_of(tensors)
        if peer in (TORCHVISION_BACKBONE, DETECTRON2_BACKBONE):
            fields = backbone_fields(tensors, peer, path)
            line = f"  an ImageNet backbone, {fields['model.backbone.name']}"
            return Initial(source, path, "backbone file", fields, None, None, [line])
        return of_detector(source, path, tensors, named or detector_name(tensors, peer, path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def of_detector(source: str, path: pathlib.Path, tensors: Tensors, named: Recognised) -> Initial:
    """The start from a detector's weight file, whose tensors were read and whose model is known.

    Raises:
        ConfigError: the file is of another model.
    """
    told = read_model(tensors, named.name, find_model(named.name))
    number = len(tensors[LOGITS]) - 1
    classes = guess_classes(number) if number in (80, 90) else None
    lines = [f"  {'model':18}  {named.line}"]
    if not named.published:
        lines += describe_model(told, told.config, path)
        if classes is not None:
            lines.append(f"  {'assumed':18}  the classes of COCO, by their number")
    fields = trained_fields(told.config)
    return Initial(source, path, "detector file", fields, number, classes, lines)


def differences(initial: Initial, config: Config) -> list[str]:
    """A line for each field that is another than the weights were trained with.

    Such as ``model.roi.op: align here | align_unaligned in the weights``. The number of classes,
    the gradient gate, frozen stages and what may be chosen for a trained detector do not count.
    """
    here = field_values(config)
    either = initial.kind == "backbone file" and config.model.backbone.norm in ("frozen", "batch")
    return [
        f"{name}: {_plain(here[name])} here | {_plain(initial.fields[name])} in the weights"
        for name in differing(initial.fields, config)
        if not (either and name == "model.backbone.norm")  # its statistics serve both
    ]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def with_fields(initial: Initial, config: Config) -> Config:
    """The config with all fields that are taken from the source."""
    return replace_fields(config, initial.fields)


def check_differences(initial: Initial, config: Config) -> None:
    """Stop where the config is not that of the weights, unless train.init_strict is False.

    Raises:
        ListedError: fields differ; names them.
    """
    lines = differences(initial, config)
    if lines and config.train.init_strict:
        remedy = (
            "take these values from the weights (jaxrcnn train DIR --from does), or "
            "train nevertheless with --config.train.init_strict False"
        )
        if initial.kind == "detector file":
            remedy += (
                "; if the model in the file had other values, convert the file with them first"
            )
        raise ListedError(
            f"{initial.source} was trained with other values of {counted(len(lines), 'field')}",
            lines,
            remedy,
        )
