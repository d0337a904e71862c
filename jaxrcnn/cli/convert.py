"""python -m jaxrcnn convert SOURCE --model NAME --out DIR, and back: DIR --to torchvision"""

import argparse
import pathlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax

from jaxrcnn import validation
from jaxrcnn.cli.options import apply_fields
from jaxrcnn.cli.run import load_run
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Variables, build, init
from jaxrcnn.interop.coco_classes import guess_classes
from jaxrcnn.interop.download import fetch
from jaxrcnn.interop.model_folder import make_model, read_kept
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.interop.of_detectron2 import DETECTRON2
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.published import find
from jaxrcnn.interop.transfer import Account, describe, dump, load
from jaxrcnn.interop.weight_files import read_weights, write_safetensors
from jaxrcnn.training.workdir import Classes

PEERS = {"torchvision": TORCHVISION, "detectron2": DETECTRON2}

LOGITS = "roi_heads.box_predictor.cls_score.bias"
"""The class logits' bias, of torchvision and Detectron2: as long as there are classes, and one."""


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Convert one way or the other.

    Raises:
        ConfigError: something of the source, the model or --out does not fit.
    """
    if arguments.to:
        return convert_back(arguments)
    if not arguments.model:
        raise ConfigError("--model: missing, takes the name of the detector that the source is of")
    if (arguments.source is None) == (arguments.weights is None):
        raise ConfigError("takes either SOURCE or --weights")
    path = arguments.source or fetch_detector(arguments.model, arguments.weights)
    source = read_detector(path, arguments.model, fields)
    classes = read_classes(arguments.classes, source.config.model.num_classes)
    make_model(arguments.out, source.config, classes, source.variables, source.account.kept)
    print(*describe(source.account, source.peer), sep="\n")
    print(f"model     {arguments.out}")
    return 0


def fetch_detector(model: str, weights: str) -> pathlib.Path:
    """The published weights of a detector, downloaded unless they are here already.

    Raises:
        ConfigError: there are none, they cannot be downloaded, or they are a backbone's; then they
            are here, and the line says where.
    """
    file = find(model, weights)
    path = fetch(file)
    if file.kind == "backbone":
        raise ConfigError(
            f"{model} is a backbone, which needs no converting: --config.train.init {path}"
        )
    return path


class Source(NamedTuple):
    """A weight file as a detector of ours."""

    tensors: Tensors  # as they lie in the file
    peer: Peer
    config: Config
    variables: Variables
    account: Account


def read_detector(path: pathlib.Path, name: str, fields: Sequence[str]) -> Source:
    """Read the weights of a published detector, of any number of classes.

    Args:
        path: of the weight file.
        name: of the model.
        fields: ``--config.FIELD VALUE ...`` on top of its config.

    Raises:
        ConfigError: the file cannot be read, or is not of this model.
    """
    model = find_model(name)
    peer = PEERS[model.peer]
    tensors = read_weights(path).tensors
    try:
        config = apply_fields(with_norm_of(tensors, model.config(count_classes(tensors))), fields)
        validation.check(replace(config, data=replace(config.data, format="shapes")))
        detector = build(config.model)
        like = jax.eval_shape(lambda key: init(detector, key), jax.random.key(0))
        return Source(tensors, peer, config, *load(tensors, peer, config.model, like))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def count_classes(tensors: Tensors) -> int:
    """The classes of a detector, the background not counted."""
    if LOGITS not in tensors:
        raise ConfigError(
            f"it has no {LOGITS}, so that it is no Faster R-CNN of torchvision or Detectron2; an "
            "ImageNet backbone needs no converting: --config.train.init takes it as it is"
        )
    return len(tensors[LOGITS]) - 1


def with_norm_of(tensors: Tensors, config: Config) -> Config:
    """The config with a batch norm in the backbone where the file's is none that is frozen."""
    counted = re.compile(r"backbone\.body\..*\.num_batches_tracked").fullmatch
    if not any(map(counted, tensors)) or config.model.backbone.norm == "batch":
        return config
    backbone = replace(config.model.backbone, norm="batch", norm_epsilon=1e-5)
    return replace(config, model=replace(config.model, backbone=backbone))


def read_classes(path: pathlib.Path | None, num_classes: int) -> Classes:
    """The classes that a file names, or those that their number tells."""
    if path is None:
        return guess_classes(num_classes)
    try:
        names = tuple(filter(None, map(str.strip, path.read_text(encoding="utf-8").splitlines())))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--classes: {path} cannot be read ({error})") from error
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise ConfigError(
            f"--classes: {path} names {len(set(names))} classes in {len(names)} lines, "
            f"the model has {num_classes}"
        )
    return Classes(names, tuple(range(1, num_classes + 1)))


def convert_back(arguments: argparse.Namespace) -> int:
    """Write a model's weights as torchvision's state dict."""
    if arguments.source is None:
        raise ConfigError("SOURCE: missing, takes a model's or a run's folder")
    run = load_run(arguments.source)
    kept = read_kept(arguments.source)
    tensors = dump(run.variables, TORCHVISION, run.config.model, kept)
    write_safetensors(arguments.out, tensors)
    print(f"{len(tensors)} tensors  {arguments.out}")
    return 0
