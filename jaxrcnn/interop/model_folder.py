"""A model's folder: config.json, classes.json and the weights, without a training run around them.

What belongs to the file that a model was converted from and not to the model is kept beside, so
that converting back gives the same file.
"""

import os
import pathlib
import shutil

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import Detector, Variables
from jaxrcnn.interop.naming import Tensors
from jaxrcnn.interop.weight_files import read_safetensors, write_safetensors
from jaxrcnn.training.pieces import own_pieces, write_pieces
from jaxrcnn.training.weights import save_variables
from jaxrcnn.training.workdir import Classes, claim, write_classes

KEPT = "kept.safetensors"


def make_model(
    out: pathlib.Path,
    config: Config,
    classes: Classes,
    variables: Variables,
    kept: Tensors | None = None,
    detector: Detector | None = None,
) -> None:
    """Write a model's folder: whole, or not at all.

    Args:
        out: to make.
        config: of the model; its data says how images are prepared.
        classes: of the model.
        variables: of the model.
        kept: tensors of the file that it was converted from and that it does not have.
        detector: where it may have pieces that the config does not describe.

    Raises:
        ConfigError: something is there already, or it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already; take another folder, or remove it")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        claim(partial, config)
        write_classes(partial, *classes)
        save_variables(partial, variables)
        write_pieces(partial, own_pieces(detector) if detector else {})
        if kept:
            write_safetensors(partial / KEPT, kept)
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_kept(folder: pathlib.Path) -> Tensors:
    """What is kept of the file that a model was converted from; nothing where there was none."""
    path = folder / KEPT
    return read_safetensors(path) if path.exists() else {}
