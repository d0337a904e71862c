"""Pieces of a detector that its config does not describe: a fork's own backbone or RoI op.

Code is not kept in a run's or a model's folder, only what the pieces are called, so that nothing
else is built in their place.
"""

import json
import pathlib

from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.config_io import config_differences
from jaxrcnn.detector import Detector, build

FILE = "pieces.json"

USED = ("backbone", "rpn_head", "box_head", "roi_op")
"""The pieces that matter to a trained detector; samplers are used in training alone."""


def own_pieces(detector: Detector) -> dict[str, str]:
    """What a detector has in place of the pieces that its config describes, and their names."""
    described = build(detector.config)
    own = {name: getattr(detector, name) for name in USED}
    return {
        name: getattr(piece, "__qualname__", type(piece).__qualname__)
        for name, piece in own.items()
        if piece != getattr(described, name)
    }


def rebuilt(detector: Detector, config: ModelConfig) -> Detector:
    """The detector for another config, with its own pieces as they are."""
    own = (*own_pieces(detector), "anchor_sampler", "roi_sampler")
    return build(config)._replace(**{name: getattr(detector, name) for name in own})


def write_pieces(folder: pathlib.Path, detector: Detector) -> None:
    """Write the names of a detector's own pieces, if it has any."""
    own = own_pieces(detector)
    if own:
        (folder / FILE).write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")


def fitting_detector(
    folder: pathlib.Path, config: ModelConfig, detector: Detector | None
) -> Detector:
    """The detector of a run's or a model's folder.

    Args:
        folder: of the run or the model.
        config: of the model, read from the folder.
        detector: with the pieces that the config does not describe; None: there are none.

    Raises:
        ConfigError: the folder's detector has other pieces, or another config.
    """
    written = _read_pieces(folder)
    if detector is None:
        if written:
            raise ConfigError(
                f"{folder} holds a detector with its own {_listed(written)}, which is not in the "
                "folder: jaxrcnn.load(folder, detector=...) takes it, as it was built for training"
            )
        return build(config)
    own = own_pieces(detector)
    if written is not None and own != written:
        raise ConfigError(
            f"{folder} holds a detector with its own {_listed(written)}, the one given has "
            f"{_listed(own) or 'none'}"
        )
    check_model(config, detector, folder)
    return detector


def check_model(config: ModelConfig, detector: Detector, where: object) -> None:
    """See that a detector is built for a model's config.

    Raises:
        ConfigError: it is built for another; names the first field that differs.
    """
    differences = config_differences(Config(model=config), Config(model=detector.config))
    if differences:
        raise ConfigError(f"the detector does not fit {where}: {differences[0]}")


def _read_pieces(folder: pathlib.Path) -> dict[str, str] | None:
    """The names of the folder's own pieces; None where it does not say."""
    path = folder / FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error})") from error


def _listed(pieces: dict[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in pieces.items())
