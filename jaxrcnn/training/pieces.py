"""Pieces of one's own, in place of those that a config describes: a backbone, a loss, an optimiser.

Code is not kept in a run's or a model's folder. It only says which pieces there were, by name and
with a hash of their source, so that nothing else is taken in their place. The values that a piece
was made with, such as a module's fields or what a partial binds, are not part of that.
"""

import functools
import hashlib
import inspect
import json
import pathlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.config_io import config_differences
from jaxrcnn.detector import Detector, build
from jaxrcnn.opening import read_json
from jaxrcnn.wording import shortened
from jaxrcnn.writing import replace_text

FILE = "pieces.json"

USED = ("backbone", "rpn_head", "box_head", "roi_op", "infer")
"""The pieces that a trained detector finds objects with; the others matter to training."""

Build = Callable[[ModelConfig], Detector]
"""What makes the detector of a config: `jaxrcnn.detector.build`, or a function that calls it."""


class Piece(NamedTuple):
    """What a folder says of a piece."""

    name: str  # of the function or the module's class: where it is defined, and what it is called
    source: str | None  # SHA-256 of its source; None where Python has none


Pieces = Mapping[str, Piece]
"""By what they are in place of: fields of `Detector`, and arguments of `jaxrcnn.runs.run`."""


def own_pieces(detector: Detector, **others: Any) -> dict[str, Piece]:
    """What a detector has in place of the pieces that its config describes.

    Args:
        detector: perhaps with pieces of one's own.
        others: pieces beside it, by name: a function or an object each, or a tuple of those; None
            and an empty tuple are none.
    """
    described = build(detector.config)
    own = {
        name: piece
        for name, piece in detector._asdict().items()
        if name != "config" and piece != getattr(described, name)
    }
    given = own | {name: piece for name, piece in others.items() if piece}
    return {name: _describe(piece) for name, piece in given.items()}


def _describe(piece: Any) -> Piece:
    if isinstance(piece, tuple) and not hasattr(piece, "_fields"):
        each = [_describe(part) for part in piece]
        sources = [part.source for part in each if part.source]
        source = _digest("".join(sources)) if sources else None
        return Piece(", ".join(part.name for part in each), source)
    while isinstance(piece, functools.partial):
        piece = piece.func
    defined: Any = piece if hasattr(piece, "__qualname__") else type(piece)
    try:
        source = _digest(inspect.getsource(defined))
    except (OSError, TypeError):  # typed in at a prompt, or of compiled code
        source = None
    return Piece(f"{_module_of(defined)}.{defined.__qualname__}", source)


def _module_of(defined: Any) -> str:
    """The module that others import it from: a program's own is called by its file."""
    if defined.__module__ != "__main__":
        return defined.__module__
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    return spec.name if spec else pathlib.Path(file).stem if file else "__main__"


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def write_pieces(folder: pathlib.Path, own: Pieces) -> None:
    """Write what `own_pieces` says, also where that is nothing."""
    tree = {name: piece._asdict() for name, piece in own.items()}
    replace_text(folder / FILE, json.dumps(tree, indent=2) + "\n")


def copy_pieces(source: pathlib.Path, target: pathlib.Path, names: Collection[str]) -> Pieces:
    """Write to a folder what another one says of some pieces, and return it."""
    kept = {name: x for name, x in (_read_pieces(source) or {}).items() if name in names}
    write_pieces(target, kept)
    return kept


def claim_pieces(folder: pathlib.Path, own: Pieces, say: Callable[[str], None]) -> None:
    """Write the pieces of a new run, or see that those of a run that goes on are the same.

    Args:
        folder: of the run.
        own: what `own_pieces` says.
        say: takes a line for each piece whose source has changed.

    Raises:
        ConfigError: the run was begun with others.
    """
    written = _read_pieces(folder)
    if written is None:
        write_pieces(folder, own)
    else:
        _compare(folder, written, own, say)


def fitting_detector(
    folder: pathlib.Path,
    config: ModelConfig,
    build: Build = build,
    say: Callable[[str], None] = print,
) -> Detector:
    """The detector of a run's or a model's folder.

    Args:
        folder: of the run or the model.
        config: of the model, perhaps with other thresholds than in the folder.
        build: makes the detector, with its pieces that the config does not describe.
        say: takes a line for each piece whose source has changed.

    Raises:
        ConfigError: the folder's detector has other pieces, or `build` takes another config.
    """
    detector = build_detector(config, build, folder)
    written, own = _read_pieces(folder), own_pieces(detector)
    if written is not None:
        there, here = ({k: x for k, x in each.items() if k in USED} for each in (written, own))
        _compare(folder, there, here, say)
    return detector


def build_detector(config: ModelConfig, build: Build, where: object) -> Detector:
    """The detector that `build` makes of a config.

    Raises:
        ConfigError: it makes none, or one of another config; names the first field that differs.
    """
    detector = build(config)
    if not isinstance(detector, Detector):
        kind = type(detector).__name__
        raise ConfigError(f"build must return what jaxrcnn.detector.build returns, not a {kind}")
    check_model(config, detector, where)
    return detector


def missing_for_losses(folder: pathlib.Path, detector: Detector) -> str:
    """The own pieces that a folder's losses were computed with and a detector lacks, in words.

    Transforms of the evaluation set are among them: what they add to a batch may be in a loss.
    """
    own = own_pieces(detector)
    written = _read_pieces(folder) or {}
    return _listed(
        {
            name: piece
            for name, piece in written.items()
            if name in (*Detector._fields, "eval_transforms")
            and name not in USED
            and (name not in own or own[name].name != piece.name)
        }
    )


def named_pieces(folder: pathlib.Path) -> str:
    """The own pieces that a folder's detector finds objects with, in words; empty without any."""
    written = _read_pieces(folder) or {}
    return _listed({name: piece for name, piece in written.items() if name in USED})


def _compare(
    folder: pathlib.Path, written: Pieces, own: Pieces, say: Callable[[str], None]
) -> None:
    differ = [
        name
        for name in {**written, **own}
        if name not in written or name not in own or written[name].name != own[name].name
    ]
    if differ:
        there, here = (_listed({k: x[k] for k in differ if k in x}) for x in (written, own))
        remedy = "give the same pieces as in training: --pieces or build=, optimizer= and data sets"
        if not here and set(differ) <= set(Detector._fields):
            remedy = (
                "the folder does not contain their code: name the function that builds the "
                "detector with build= or --pieces"
            )
        raise ConfigError(
            f"{folder} was made with {there or 'the default pieces'}, not with "
            f"{here or 'the default'}; {remedy}"
        )
    for name, piece in own.items():
        if piece.source != written[name].source:
            say(f"{folder}: the source of {name} {piece.name} has changed since it was made")


def check_model(config: ModelConfig, detector: Detector, where: object) -> None:
    """See that a detector is built for a model's config.

    Raises:
        ConfigError: it is built for another; names the first field that differs.
    """
    differences = config_differences(Config(model=config), Config(model=detector.config))
    if differences:
        raise ConfigError(f"the detector does not fit {where}: {differences[0]}")


def _read_pieces(folder: pathlib.Path) -> dict[str, Piece] | None:
    """The pieces of a folder; None where it does not say."""
    path = folder / FILE
    try:
        tree = read_json(path)
        return {name: _checked(Piece(**piece)) for name, piece in tree.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be read ({shortened(str(error))})") from error


def _checked(piece: Piece) -> Piece:
    if not isinstance(piece.name, str) or not isinstance(piece.source, str | None):
        raise TypeError("a piece has a name or a source that is no text")
    return piece


def _listed(pieces: Pieces) -> str:
    return ", ".join(f"{name} {piece.name}" for name, piece in pieces.items())
