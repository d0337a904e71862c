"""The command line of train.py: a config file, and ``--config.FIELD VALUE`` on top of it.

tyro parses and writes --help; what it refuses is said again here, in one line that names the field.
"""

import contextlib
import dataclasses
import difflib
import io
import pathlib
import sys
import typing
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from jaxrcnn import validation
from jaxrcnn.cli.field_rules import FIELD_RULES
from jaxrcnn.cli.parsing import fail
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import RENAMED, describe_type, field_types

DESCRIPTION = """\
Train a detector. --config.FIELD VALUE sets one field of the config.

A tuple takes its values with spaces between, or one Python literal:
  --config.model.pixel_mean 124 116 104
  --config.model.anchors.sizes '((8,), (16,), (32,), (64,), (128,))'
"""


@dataclasses.dataclass(frozen=True)
class TrainArguments:
    """What train.py was asked to do."""

    config: Config
    """The experiment, checked."""
    config_name: str
    """Stem of the config file."""
    workdir: pathlib.Path
    """Folder of the run: checkpoints, logs and the config."""


@dataclasses.dataclass(frozen=True)
class _CommandLine:
    config_file: Annotated[pathlib.Path, tyro.conf.arg(name="config")]
    """The experiment: a Python file with get_config() -> Config. The defaults below are its own."""
    workdir: pathlib.Path
    """Folder of the run: checkpoints, logs and the config."""
    config: Config


def parse_train_arguments(
    argv: Sequence[str] | None = None,
    *,
    default_config: pathlib.Path = pathlib.Path("configs/shapes.py"),
) -> TrainArguments:
    """Reads ``--config FILE --workdir DIR --config.any.field VALUE ...``; sys.argv if argv is None.

    The workdir is runs/<stem of the config file> unless given. Where a field is given twice, the
    last one counts. Anything wrong ends the program: one line on stderr and exit code 2.
    """
    try:
        command = _parse(sys.argv[1:] if argv is None else argv, default_config)
    except ConfigError as error:
        fail(str(error))
    try:
        validation.check(command.config)
    except ConfigError as error:
        fail(f"--config.{error}")
    return TrainArguments(command.config, command.config_file.stem, command.workdir)


def _parse(argv: Sequence[str], default_config: pathlib.Path) -> _CommandLine:
    """The defaults come from the config file, so its flag is read before all the others."""
    path = default_config
    for flag, words in _flags(argv):
        if flag == "--config":
            path = pathlib.Path(_one_word(flag, words))
    return _override(argv, _CommandLine(path, pathlib.Path("runs") / path.stem, load_config(path)))


def apply_fields(config: Config, fields: Sequence[str]) -> Config:
    """A config with ``--config.FIELD VALUE ...`` on top of it.

    Raises:
        ConfigError: a field is unknown, or a value is of another type.
    """
    if not fields:
        return config
    return _override(fields, _CommandLine(pathlib.Path(), pathlib.Path(), config)).config


def _override(argv: Sequence[str], defaults: _CommandLine) -> _CommandLine:
    argv = [_renamed(word) for word in argv]
    try:
        # tyro explains over several lines; `_complaint` finds the one that matters.
        with contextlib.redirect_stderr(io.StringIO()) as explanation:
            return _tyro(argv, defaults)
    except SystemExit as stop:
        if not stop.code:
            raise
    raise ConfigError(_complaint(_flags(argv), defaults) or explanation.getvalue())


def _renamed(word: str) -> str:
    """The flag of a field by its present name; an earlier name is said to be one."""
    flag, equals, value = word.partition("=")
    field = RENAMED.get(flag.removeprefix("--config.").replace("-", "_"))
    if field is None or not flag.startswith("--config."):
        return word
    print(f"note: {flag} is now called --config.{field}", file=sys.stderr)
    return f"--config.{field}{equals}{value}"


def _tyro(argv: Sequence[str], defaults: _CommandLine) -> _CommandLine:
    return tyro.cli(
        _CommandLine,
        default=defaults,
        args=list(argv),
        description=DESCRIPTION,
        use_underscores=True,
        config=(tyro.conf.FlagConversionOff,),
        registry=FIELD_RULES,
    )


def _flags(argv: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Every flag with the words after it. Words before the first flag come under an empty name."""
    flags: list[tuple[str, list[str]]] = []
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            flags.append(("--" + name[2:].replace("-", "_"), [value] if equals else []))
        elif word != "-h":
            if not flags:
                flags.append(("", []))
            flags[-1][1].append(word)
    return flags


def _one_word(flag: str, words: list[str]) -> str:
    if len(words) != 1 or not words[0]:
        raise ConfigError(f"{flag}: got {_quoted(words)}, takes a path")
    return words[0]


def _quoted(words: list[str]) -> str:
    return f"'{' '.join(words)}'" if words else "nothing"


def _complaint(given: list[tuple[str, list[str]]], defaults: _CommandLine) -> str | None:
    """The first flag that is unknown or has a wrong value, and what it should be."""
    types = {f"--config.{name}": kind for name, kind in field_types().items()}
    for flag, words in given:
        if not flag:
            return f"unexpected {_quoted(words)}; fields are set by --config.FIELD VALUE"
        if flag == "--workdir":
            _one_word(flag, words)
        elif flag in types:
            if not _accepts(flag, words, defaults):
                return f"{flag}: got {_quoted(words)}, takes {_takes(types[flag], words)}"
        elif flag not in ("--config", "--help"):
            return f"unknown field {flag}; {_hint(flag, ['--config', '--workdir', *types])}"
    return None


def _accepts(flag: str, words: list[str], defaults: _CommandLine) -> bool:
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            _tyro([flag, *words], defaults)
    except SystemExit:
        return False
    return True


def _takes(kind: Any, words: list[str]) -> str:
    """What the field takes and, of a choice, the nearest to what was typed."""
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    nearest = difflib.get_close_matches(" ".join(words), choices, n=1)
    return describe_type(kind) + "".join(f" (nearest: {choice})" for choice in nearest)


def _hint(flag: str, known: list[str]) -> str:
    """The flag of the nearest last name, or else what the flag's group has."""
    best = max(known, key=lambda name: (_likeness(_last(flag), _last(name)), _likeness(flag, name)))
    members = [name for name in known if name.startswith(f"{flag}.")]
    group = flag.rpartition(".")[0]
    siblings = [name for name in known if name.rpartition(".")[0] == group != "--config"]
    if members:
        return "it is a group of " + ", ".join(member[len(flag) :] for member in members)
    if _likeness(_last(flag), _last(best)) >= 0.6:
        return f"did you mean {best}?"
    if group and siblings:
        return f"{group} has " + ", ".join(map(_last, siblings))
    return "--help lists all"


def _last(flag: str) -> str:
    return flag.removeprefix("--").rpartition(".")[2]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
