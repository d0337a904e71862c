"""python -m jaxrcnn benchmark [--config CONFIG] [--what train,predict,...] [--json FILE]"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.cli.arguments.benchmark import ASKED_FOR, COMPARED, SUITES
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.config_names import config_name, config_path
from jaxrcnn.opening import read_json

if TYPE_CHECKING:
    from jaxrcnn.benchmark.peer import Torchvision
    from jaxrcnn.benchmark.report import Section
    from jaxrcnn.benchmark.session import Measured, Settings

DEFAULT = "fasterrcnn_resnet50_fpn"
"""torchvision's name of what is measured where there is no --config."""

SHAPES = {
    "cpu": (Shape(2, 320, 320), (Shape(1, 320, 320), Shape(1, 800, 1088))),
    "other": (Shape(16, 800, 1344), (Shape(1, 800, 1344), Shape(16, 800, 1344))),
}
"""For training and prediction, by the kind of device."""


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Measure; print each table and write the JSON file as soon as it is there.

    Returns 1 where something could not be measured.

    Raises:
        ConfigError: the config is unsound, the peer cannot be run, or a file cannot be read or
            written.
    """
    if arguments.plot is not None:
        draw(read_figures(arguments.plot), arguments.plots or arguments.plot.parent)
        return 0
    for option in ("json", "plots"):
        check_folder(option, getattr(arguments, option))
    missed: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        settings = prepare(arguments, fields, stack)
        about = describe(arguments, fields, settings)
        print(*head(about, settings), sep="\n", flush=True)
        about |= {"figures": {}, "not_measured": missed}
        for section in measure(names_of(arguments), settings, missed):
            print(*section.lines(), sep="\n", flush=True)
            about["figures"][section.title] = section.numbers
            write(arguments.json, about)
    write(arguments.json, about)
    if arguments.plots is not None:
        draw(about, arguments.plots)
    return 1 if missed else 0


def prepare(
    arguments: argparse.Namespace, fields: Sequence[str], stack: contextlib.ExitStack
) -> "Settings":
    """What to measure; the peer, and the cache of compiled programs, end with the stack."""
    import jax

    from jaxrcnn.benchmark.chips import peak_of
    from jaxrcnn.benchmark.cost import fresh_cache
    from jaxrcnn.benchmark.session import Settings

    # Read as jax looks for its devices: else it takes most of a GPU's memory for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    on_cpu = jax.default_backend() == "cpu"
    detector, other = read_detectors(arguments)
    config = read_config(arguments, fields, "float32" if on_cpu else "bfloat16")
    peer = start_peer(arguments, config, on_cpu, stack)
    stack.enter_context(fresh_cache())
    train, predict = SHAPES["cpu" if on_cpu else "other"]
    return Settings(
        config,
        arguments.train or train,
        tuple(arguments.predict or predict),
        arguments.steps,
        peak_of(jax.devices()[0], config.model.compute_dtype),
        peer,
        detector,
        other,
    )


def read_detectors(arguments: argparse.Namespace) -> "tuple[Measured, Measured | None]":
    """The detector of --pieces, or the house's; and that of --against, if it names one.

    Raises:
        ConfigError: there is no such function, or both are the same.
    """
    from jaxrcnn.benchmark.session import HOUSE, Measured
    from jaxrcnn.cli.pieces import find_build

    pieces, beside = arguments.pieces, arguments.against
    detector = HOUSE if pieces is None else Measured(pieces, find_build(pieces))
    if beside is None or ":" not in beside:
        return detector, None
    if beside == pieces:
        raise ConfigError(f"--against: {beside} is the detector of --pieces, too; name another")
    return detector, Measured(beside, find_build(beside, "--against"))


def start_peer(
    arguments: argparse.Namespace, config: Config, on_cpu: bool, stack: contextlib.ExitStack
) -> "Torchvision | None":
    """The library to measure beside us: the one asked for, or on an accelerator one that is there.

    Raises:
        ConfigError: what was asked for cannot be run, or has no such detector.
    """
    from jaxrcnn.benchmark.peer import start_torchvision, torchvision_name

    wanted = arguments.against
    if wanted is None:
        installed = importlib.util.find_spec("torchvision") is not None
        house = arguments.pieces is None
        wanted = "torchvision" if installed and house and not on_cpu else "none"
    if wanted != "torchvision":
        return None
    torchvision_name(config.model)
    return stack.enter_context(start_torchvision(arguments.peer_python))


def names_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The suites to run."""
    import jax

    if arguments.what is not None:
        return tuple(name for name in SUITES if name in arguments.what)
    if ":" in (arguments.against or ""):
        return COMPARED
    left_out = {*ASKED_FOR, *(("check",) if jax.default_backend() == "cpu" else ())}
    return tuple(name for name in SUITES if name not in left_out)


def measure(
    names: Sequence[str], settings: "Settings", missed: dict[str, str]
) -> "Iterator[Section]":
    """The tables of suites, one after the other; a suite that fails does not stop the others.

    Args:
        names: of the suites.
        settings: for all.
        missed: takes a line for each suite that was not measured, by its name.
    """
    from jaxrcnn.benchmark import suites
    from jaxrcnn.benchmark.session import Session

    session = Session(settings)
    for name in names:
        try:
            yield from suites.SUITES[name](session)
        except ModuleNotFoundError as error:
            missed[name] = f"{error.name} is not installed"
        except Exception as error:
            # A device that nobody has tried may fail anywhere; what else it can do is still asked.
            missed[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            traceback.print_exc()
        if name in missed:
            print(f"\n{name}: not measured, {missed[name]}", flush=True)


def read_config(arguments: argparse.Namespace, fields: Sequence[str], dtype: str) -> Config:
    """The experiment that is measured; the dtype is that of the default experiment."""
    from jaxrcnn.cli.options import apply_fields
    from jaxrcnn.config_file import load_config
    from jaxrcnn.interop.models import find_model
    from jaxrcnn.validation import check

    if arguments.config is None:
        config = replace(find_model(DEFAULT).config(90), data=DataConfig())
        config = replace(config, model=replace(config.model, compute_dtype=dtype))
    else:
        config = load_config(arguments.config)
    config = replace(config, data=replace(config.data, format="shapes"))  # no data set is read
    config = apply_fields(config, fields)
    check(config)
    return config


def check_folder(option: str, path: pathlib.Path | None) -> None:
    """See that a file can be written, before an hour is spent.

    Raises:
        ConfigError: its folder is not there, or for --json it is a folder itself.
    """
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--{option}: {path.parent} is not a folder; make it first")
    if path.is_dir() and option == "json":
        raise ConfigError(f"--json: {path} is a folder; name a file in it")


def describe(
    arguments: argparse.Namespace, fields: Sequence[str], settings: "Settings"
) -> dict[str, Any]:
    """What the JSON file says before its figures."""
    from jaxrcnn.benchmark.report import environment

    about = environment()
    if settings.peer is not None:
        about["peer"] = settings.peer.versions
    about["pieces"] = {
        measured.name: own_pieces_of(measured, settings.config)
        for measured in (settings.detector, settings.other)
        if measured is not None
    }
    about["settings"] = {
        "config": config_name(config_path(arguments.config)) if arguments.config else DEFAULT,
        "fields": list(fields),
        "compute_dtype": settings.config.model.compute_dtype,
        "train": str(settings.train),
        "predict": list(map(str, settings.predict)),
        "steps": settings.steps,
    }
    return about


def own_pieces_of(measured: "Measured", config: Config) -> dict[str, str]:
    """What a detector has in place of the pieces that the config describes.

    Raises:
        ConfigError: it is no detector of this config.
    """
    from jaxrcnn.training.pieces import build_detector, own_pieces

    detector = build_detector(config.model, measured.build, measured.name)
    return {field: piece.name for field, piece in own_pieces(detector).items()}


def head(about: dict[str, Any], settings: "Settings") -> list[str]:
    """What the figures were measured on."""
    device, versions, peak = about["device"], about["versions"], settings.peak
    lines = [
        f"{device['number']} x {device['kind']} ({device['host']}), "
        f"peak {peak.flops / 1e12:.3g} TFLOP/s and {peak.bandwidth / 1e9:.3g} GB/s, {peak.source}",
        "jaxrcnn " + ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]
    if "peer" in about:
        lines.append("against " + ", ".join(f"{k} {v}" for k, v in about["peer"].items()))
    for name, pieces in about["pieces"].items():
        own = ", ".join(f"{field} {piece}" for field, piece in pieces.items())
        if own or len(about["pieces"]) > 1:
            lines.append(f"{name}: {own or 'no pieces of its own'}")
    return lines


def write(path: pathlib.Path | None, about: dict[str, Any]) -> None:
    """Write all figures so far; a cut leaves the file whole.

    Raises:
        ConfigError: the file cannot be written.
    """
    if path is None:
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"--json: {path} cannot be written ({error.strerror})") from error


def read_figures(path: pathlib.Path) -> dict[str, Any]:
    """What `write` wrote.

    Raises:
        ConfigError: the file cannot be read, or is another.
    """
    try:
        about = read_json(path)
        missing = {"figures", "device"} - set(about)
    except OSError as error:
        raise ConfigError(f"--plot: {path} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError):
        missing = {"figures"}
    if missing:
        raise ConfigError(f"--plot: {path} is not a file that --json wrote")
    return about


def draw(about: dict[str, Any], folder: pathlib.Path) -> None:
    """Draw every table of stages, and say where.

    Raises:
        ConfigError: an image cannot be written.
    """
    from jaxrcnn.benchmark.stages import plot_stages, table_from

    for name, numbers in stages_of(about["figures"]):
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.png"
        heading = f"{name}, {about['device']['kind']} ({about['device']['host']})"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            plot_stages(table_from(numbers), path, heading)
        except OSError as error:
            raise ConfigError(f"--plots: {path} cannot be written ({error.strerror})") from error
        print(path)


def stages_of(figures: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of stages and what each is of: of two detectors' comparison there are two."""
    for title, numbers in figures.items():
        name, _, kind = title.partition(": ")
        if "detectors" in numbers:
            for detector, each in numbers["detectors"].items():
                yield f"{name} {detector}", each
        elif kind.startswith("stages"):
            yield name, numbers
