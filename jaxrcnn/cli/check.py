"""python -m jaxrcnn check DIR"""

import argparse
import contextlib
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from jaxrcnn import validation
from jaxrcnn.checking.cost import describe_fit
from jaxrcnn.checking.findings import Findings, Report, find, fingerprint, training_set
from jaxrcnn.checking.lines import describe_report
from jaxrcnn.checking.report import write_report
from jaxrcnn.checking.splits import Split, read_splits
from jaxrcnn.cli.flags import PREFIX, field_flags, read_flags, split_flags
from jaxrcnn.cli.folder import config_without_weights, find_data
from jaxrcnn.cli.options import Asked
from jaxrcnn.cli.out import make_folder
from jaxrcnn.cli.run import counting
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.config_names import config_name, config_path
from jaxrcnn.data.sources import resolve_data
from jaxrcnn.runtime.machine import cores
from jaxrcnn.wording import counted, legible

EVERY = 10.0
"""Seconds between lines where stdout is no terminal."""


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Check the data set, print what is found and write the report.

    Returns:
        0 if nothing is wrong, 1 if there are faults, 2 if no split can be read.

    Raises:
        ConfigError: neither a folder nor a config is given, a field does not fit, or the folder
            of the report cannot be written to.
        DataError: a folder holds no data set.
    """
    asked = _asked(arguments, fields)
    _say("looking for the data set")
    config = find_data(asked, _say) if asked.folders else _find(asked)
    out = arguments.out or pathlib.Path("runs") / f"check_{_name(arguments)}"
    make_folder(out)  # decoding takes minutes
    splits = []
    for split in read_splits(config):
        _say(_describe(split))
        splits.append(split)
    findings = _decode(splits)
    train = training_set(splits)
    fit = None
    if train is not None and len(train.columns.boxes):
        if asked.folders:
            config = config_without_weights(asked, config, train)
        _say("comparing anchors, batches and memory with the training images")
        fit = describe_fit(train, config, arguments.measure)
    report = Report(config, findings, fit, fingerprint(config))
    _say("drawing the report")
    written = write_report(report, out)
    for line in describe_report(report):
        _say(line)
    for path in written:
        _say(f"written  {path}")
    return _exit_code(findings)


def _asked(arguments: argparse.Namespace, words: Sequence[str]) -> Asked:
    if not arguments.folders and arguments.config is None:
        raise ConfigError("name a folder of labelled images, or a config with --config CONFIG")
    base = None if arguments.config is None else load_config(arguments.config)
    values = read_flags(split_flags(words), field_flags())
    fields = {flag.removeprefix(PREFIX): value for flag, value in values.items()}
    return Asked(tuple(arguments.folders), base, fields)


def _find(asked: Asked) -> Config:
    """The config without folders beside it, with the splits that its own have."""
    config = replace_fields(asked.base or Config(), asked.fields)
    validation.check_data(config)
    config, lines = resolve_data(config)
    for line in lines:
        _say(line)
    return config


def _name(arguments: argparse.Namespace) -> str:
    """What the data set is called."""
    if arguments.folders:
        return pathlib.Path(arguments.folders[0]).absolute().name
    return config_name(config_path(arguments.config))


def _describe(split: Split) -> str:
    """What was read of a split, on one line."""
    if split.dataset is None:
        return f"{split.name}: cannot be read ({split.faults[0].what})"
    boxes = counted(len(split.dataset.columns.boxes), "box", "boxes")
    return f"{split.name}: {counted(len(split.dataset), 'image')}, {boxes}"


def _decode(splits: Sequence[Split]) -> Findings:
    number = sum(len(split.dataset) for split in splits if split.dataset is not None)
    use = cores()
    _say(f"decoding {counted(number, 'image')} on {counted(use, 'core')}")
    with _counting(number) as advance:
        return find(splits, use, advance)


@contextlib.contextmanager
def _counting(number: int) -> Iterator[Callable[[float], None]]:
    """A bar in a terminal; elsewhere a line from time to time."""
    done, said = 0.0, time.monotonic()

    def say(more: float) -> None:
        nonlocal done, said
        done += more
        if time.monotonic() - said > EVERY:
            said = time.monotonic()
            _say(f"decoded {done:.0f} of {counted(number, 'image')}")

    if sys.stdout.isatty():
        with counting(number) as advance:
            yield advance
    else:
        yield say


def _say(line: str) -> None:
    print(legible(line), flush=True)


def _exit_code(findings: Findings) -> int:
    if all(each.split.dataset is None for each in findings.splits):
        return 2
    return 1 if findings.faults else 0
