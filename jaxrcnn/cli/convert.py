"""python -m jaxrcnn convert SOURCE --model NAME --out DIR, and back: DIR --to torchvision"""

import argparse
import pathlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax

from jaxrcnn import validation
from jaxrcnn.cli.options import apply_fields
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.cli.run import load_run, say_checkpoint
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Detector, Variables, build, init
from jaxrcnn.interop.coco_classes import guess_classes
from jaxrcnn.interop.conversion import check_fields, describe_model, read_model
from jaxrcnn.interop.download import fetch
from jaxrcnn.interop.model_folder import make_model, read_kept
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.naming import Peer, Tensors
from jaxrcnn.interop.norms import without_denormals
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.published import find
from jaxrcnn.interop.to_torchvision import check_is_torchvisions, remarks, torchvision_call
from jaxrcnn.interop.transfer import describe, dump, load
from jaxrcnn.interop.weight_files import read_weights, write_safetensors
from jaxrcnn.opening import read_bytes
from jaxrcnn.training.pieces import USED, Build, build_detector, own_pieces
from jaxrcnn.training.workdir import Classes


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Convert one way or the other.

    Raises:
        ConfigError: something of the source, the model or --out does not fit.
    """
    if arguments.to:
        return convert_back(arguments, fields)
    if arguments.checkpoint is not None:
        raise ConfigError(
            "--checkpoint has no effect without --to: it chooses the checkpoint of a run"
        )
    if not arguments.model:
        raise ConfigError("--model: missing, expected the name of the detector in the source")
    if (arguments.source is None) == (arguments.weights is None):
        raise ConfigError("give either SOURCE or --weights")
    path = arguments.source or fetch_detector(arguments.model, arguments.weights)
    build = find_build(arguments.pieces)
    source = read_detector(
        path, arguments.model, fields, arguments.key, arguments.input_format, build
    )
    classes = read_classes(arguments.classes, source.config.model.num_classes)
    make_model(
        arguments.out, source.config, classes, source.variables, source.kept, source.detector
    )
    print(*source.lines, sep="\n")
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
            f"{model} is a backbone, which requires no conversion: use --config.train.init {path}"
        )
    return path


class Source(NamedTuple):
    """A weight file as a detector of ours."""

    tensors: Tensors  # as they lie in the file
    peer: Peer
    config: Config
    detector: Detector
    variables: Variables
    kept: Tensors  # of the file, for the way back
    lines: list[str]  # what was found, loaded, left out and assumed


def read_detector(
    path: pathlib.Path,
    name: str,
    fields: Sequence[str],
    key: str = "",
    input_format: str = "",
    build: Build = build,
) -> Source:
    """Read the weights of a published detector, of any number of classes.

    Args:
        path: of the weight file.
        name: of the model.
        fields: ``--config.FIELD VALUE ...`` on top of its config.
        key: of the weights in the file, where it holds several.
        input_format: "RGB" or "BGR", where the file does not tell.
        build: makes the detector, perhaps with pieces of one's own; the weights' names are those
            of the default one.

    Raises:
        ConfigError: the file cannot be read, or is not of this model.
    """
    model = find_model(name)
    tensors, _, _, notes = read_weights(path, key)
    try:
        told = read_model(tensors, name, model, input_format)
        config = apply_fields(told.config, fields)
        check_fields(told, config)
        validation.check(replace(config, data=replace(config.data, format="shapes")))
        detector = build_detector(config.model, build, name)
        like = jax.eval_shape(lambda key: init(detector, key), jax.random.key(0))
        variables, account = load(tensors, told.peer, config.model, like)
        variables, changed, rescaled = without_denormals(variables, told.peer, config.model)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    lines = [
        *describe(account, told.peer.title),
        *notes,
        *rescaled,
        *describe_model(told, config, path),
    ]
    kept = {**account.kept, **changed}
    return Source(tensors, told.peer, config, detector, variables, kept, lines)


def read_classes(path: pathlib.Path | None, num_classes: int) -> Classes:
    """The classes that a file names, or those that their number tells."""
    if path is None:
        return guess_classes(num_classes)
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--classes: {path} cannot be read ({error})") from error
    names = tuple(filter(None, map(str.strip, lines)))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigError(f"--classes: {path} names {', '.join(twice)} more than once")
    if len(names) != num_classes:
        empty = len(lines) - len(names)
        raise ConfigError(
            f"--classes: {path} names {len(names)} classes (empty lines: {empty}), the model has "
            f"{num_classes}, without the background"
        )
    return Classes(names, tuple(range(1, num_classes + 1)))


def convert_back(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Write a model's weights as torchvision's state dict, and print the call that loads it.

    Raises:
        ConfigError: torchvision cannot build such a model, or an option has no effect here.
    """
    if arguments.source is None:
        raise ConfigError("SOURCE: missing, expected the folder of a model or a run")
    unused = [
        name for name in ("weights", "classes", "key", "input_format") if vars(arguments)[name]
    ]
    if unused or fields:
        option = fields[0] if fields else f"--{unused[0].replace('_', '-')}"
        raise ConfigError(f"{option} has no effect with --to: the model's folder says it")
    run = load_run(arguments.source, arguments.checkpoint, pieces=arguments.pieces)
    say_checkpoint(run)
    check_is_torchvisions(run.config)
    own = {name: x.name for name, x in own_pieces(run.detector).items() if name in USED}
    infer = own.pop("infer", "")
    if own:
        listed = ", ".join(f"{name} {piece}" for name, piece in own.items())
        raise ConfigError(f"torchvision has no {listed}, which {arguments.source} was made with")
    kept = read_kept(arguments.source)
    tensors = dump(run.variables, TORCHVISION, run.config.model, kept)
    write_safetensors(arguments.out, tensors)
    print(f"{len(tensors)} tensors  {arguments.out}, for")
    print(f"\n{torchvision_call(run.config, str(arguments.out))}\n")
    for remark in [*remarks(run.config), *([f"infer {infer} is not written"] if infer else [])]:
        print(f"differs: {remark}")
    return 0
