"""python -m jaxrcnn benchmark [--config FILE] [--what train,predict,ops,input]"""

import argparse
import contextlib
import json
import pathlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax

from jaxrcnn.benchmark.chips import peak_of
from jaxrcnn.benchmark.peer import start_torchvision, torchvision_name
from jaxrcnn.benchmark.report import Section, environment
from jaxrcnn.benchmark.stages import plot_stages
from jaxrcnn.benchmark.suites import SUITES, Settings
from jaxrcnn.benchmark.workload import Shape, shape
from jaxrcnn.cli.options import apply_fields
from jaxrcnn.cli.parsing import count, some_of
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.config_file import load_config
from jaxrcnn.interop.models import find_model
from jaxrcnn.validation import check

TAKES_FIELDS = True
"""Other arguments are --config.FIELD VALUE, as train.py takes them."""

DEFAULT = "fasterrcnn_resnet50_fpn"
"""torchvision's name of what is measured where there is no --config."""

SHAPES = {
    "cpu": (Shape(2, 320, 320), (Shape(1, 320, 320), Shape(1, 800, 1088))),
    "other": (Shape(16, 800, 1344), (Shape(1, 800, 1344), Shape(16, 800, 1344))),
}
"""For training and prediction, by the kind of device."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[--config FILE] [--what NAMES] [--train SHAPE] [--predict SHAPE ...] [--against PEER]."""
    parser.epilog = (
        "A SHAPE is images x height x width, such as 2x320x320; by default it suits the device. "
        "--config.FIELD VALUE sets a field, as for train.py."
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=pathlib.Path,
        help="an experiment, as train.py takes it (default: torchvision's ResNet-50 FPN)",
    )
    parser.add_argument(
        "--what",
        metavar="NAMES",
        type=some_of(SUITES),
        default=tuple(SUITES),
        help=f"what to measure, some of {','.join(SUITES)} (default: all)",
    )
    parser.add_argument("--train", metavar="SHAPE", type=shape, help="of the training batches")
    parser.add_argument(
        "--predict", metavar="SHAPE", type=shape, nargs="+", help="of the predicted batches"
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=count,
        default=20,
        help="steps of each side that are timed (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write all figures there")
    parser.add_argument(
        "--plots", metavar="DIR", type=pathlib.Path, help="draw where the time of a step goes"
    )
    parser.add_argument(
        "--against", choices=("torchvision",), help="measure a peer beside us, turn by turn"
    )
    parser.add_argument(
        "--peer-python",
        metavar="PYTHON",
        default=sys.executable,
        help="a Python that has the peer (default: this one)",
    )


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Measure, print a table as soon as it is there, and write the JSON file.

    Raises:
        ConfigError: the config is unsound, the peer cannot be run, or --json cannot be written.
    """
    config = read_config(arguments, fields)
    if arguments.json is not None:
        check_folder(arguments.json)
    train, predict = SHAPES["cpu" if jax.default_backend() == "cpu" else "other"]
    peak = peak_of(jax.devices()[0], config.model.compute_dtype)
    about = environment()
    with contextlib.ExitStack() as stack:
        peer = None
        if arguments.against:
            torchvision_name(config.model)
            peer = stack.enter_context(start_torchvision(arguments.peer_python))
            about["peer"] = peer.versions
        settings = Settings(
            config,
            arguments.train or train,
            tuple(arguments.predict or predict),
            arguments.steps,
            peak,
            peer,
        )
        about["settings"] = {
            "config": arguments.config.stem if arguments.config else DEFAULT,
            "fields": list(fields),
            "train": str(settings.train),
            "predict": list(map(str, settings.predict)),
            "steps": settings.steps,
        }
        print(*head(about, settings), sep="\n", flush=True)
        sections = []
        for what in arguments.what:
            for section in SUITES[what](settings):
                print(*section.lines(), sep="\n", flush=True)
                sections.append(section)
                if arguments.plots is not None and section.stages is not None:
                    draw(arguments.plots, section, about)
    if arguments.json is not None:
        write(arguments.json, about, sections)
    return 0


def read_config(arguments: argparse.Namespace, fields: Sequence[str]) -> Config:
    """The experiment that is measured."""
    if arguments.config is None:
        config = replace(find_model(DEFAULT).config(90), data=DataConfig())
    else:
        config = load_config(arguments.config)
    config = replace(config, data=replace(config.data, format="shapes"))  # no data set is read
    config = apply_fields(config, fields)
    check(config)
    return config


def check_folder(path: pathlib.Path) -> None:
    """See that a file can be written, before an hour is spent.

    Raises:
        ConfigError: its folder is not there, or it is a folder itself.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(f"--json: {path} is a folder, or has none to lie in")


def head(about: dict[str, Any], settings: Settings) -> list[str]:
    """What the figures were measured on."""
    device, versions, peak = about["device"], about["versions"], settings.peak
    lines = [
        f"{device['number']} x {device['kind']} ({device['host']}), "
        f"peak {peak.flops / 1e12:.3g} TFLOP/s and {peak.bandwidth / 1e9:.3g} GB/s, {peak.source}",
        "jaxrcnn " + ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]
    if "peer" in about:
        lines.append("against " + ", ".join(f"{k} {v}" for k, v in about["peer"].items()))
    return lines


def draw(folder: pathlib.Path, section: Section, about: dict[str, Any]) -> None:
    """Draw a table of stages.

    Raises:
        ConfigError: the image cannot be written.
    """
    name = section.title.partition(":")[0]
    path = folder / f"{name.replace(' ', '_')}.png"
    title = f"{name}, {about['device']['kind']} ({about['device']['host']})"
    assert section.stages is not None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plot_stages(section.stages, path, title)
    except OSError as error:
        raise ConfigError(f"--plots: {path} cannot be written ({error.strerror})") from error


def write(path: pathlib.Path, about: dict[str, Any], sections: Sequence[Section]) -> None:
    """Write all figures.

    Raises:
        ConfigError: the file cannot be written.
    """
    figures = {section.title: section.numbers for section in sections}
    text = json.dumps({**about, "figures": figures}, indent=1)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--json: {path} cannot be written ({error.strerror})") from error
