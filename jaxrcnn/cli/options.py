"""The command line of `jaxrcnn train`: a config, and ``--config.FIELD VALUE`` on top of it."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jaxrcnn import __version__, validation
from jaxrcnn.cli.flags import PREFIX, Flag, field_flags, read_flags, split_flags
from jaxrcnn.cli.hosts import HELP as HOSTS_HELP
from jaxrcnn.cli.hosts import Hosts, find_hosts
from jaxrcnn.cli.parsing import fail, show
from jaxrcnn.cli.train_help import train_help
from jaxrcnn.cli.values import ConfigSource
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.config_names import config_name, config_path, named_configs
from jaxrcnn.prediction_fields import full_name, replace_prediction_fields

DEFAULT_CONFIG = "quickstart"

OPTIONS = {
    "--config": ConfigSource,
    "--from": str,
    "--from_strict": bool,
    "--workdir": pathlib.Path,
    "--pieces": str,
    "--distributed": Literal["auto"],
    "--coordinator": str,
    "--processes": int,
    "--process": int,
}
"""The flags of `jaxrcnn train` that are not fields, and their types. Each takes one word."""

RANDOM = "none"
"""What --from takes for random weights."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a command line says of a run on folders of images."""

    folders: tuple[str, ...]
    base: Config | None
    """What --config names, if it is given; without the fields below."""
    fields: Mapping[str, Any]
    """What --config.FIELD VALUE and --from say, by dotted name. No train.init is the default of
    the machine, an empty one are random weights."""


@dataclasses.dataclass(frozen=True)
class TrainArguments:
    """What `jaxrcnn train` was asked to do."""

    config: Config
    """The experiment, checked; of a run on folders, what is known of it before they are read."""
    config_name: str
    """What the config is called, or the folder."""
    workdir: pathlib.Path
    """Folder of the run: checkpoints, logs and the config."""
    pieces: str | None
    """What builds the detector, MODULE:FUNCTION, if it is not the one that the config describes."""
    asked: Asked | None = None
    """Of a run on folders, what its config is derived from."""
    hosts: Hosts | None = None
    """Of several processes, where they meet."""


def parse_train_arguments(
    argv: Sequence[str] | None = None,
    *,
    default_config: str | pathlib.Path = DEFAULT_CONFIG,
    program: str = "train.py",
) -> TrainArguments:
    """Reads ``DIR ... --config CONFIG --workdir DIR --from SOURCE --config.any.field VALUE ...``.

    The workdir is runs/<name of the config or of the first folder> unless given. Where a field is
    given twice, the last one counts. Anything wrong ends the program: one line on stderr and exit
    code 2. So do ``--help``, ``--help-all`` and ``--version``, with exit code 0.

    Args:
        argv: sys.argv[1:] unless given.
        default_config: the config without --config.
        program: name of the program, for its help.
    """
    flags = split_flags(sys.argv[1:] if argv is None else argv)
    asked = {name for name, _ in flags}
    if "--version" in asked:
        show(f"jaxrcnn {__version__}")
    try:
        source = _config_source(flags, default_config)
        name = config_name(config_path(source))
        workdir = pathlib.Path("runs") / name
        config = load_config(source)
        if asked & {"-h", "--help", "--help_all"}:
            everything = "--help_all" in asked
            show(train_help(str(source), workdir, config, program=program, all_fields=everything))
        folders, flags = _take_folders(flags)
        check_folders(folders)
        values = read_flags(flags, OPTIONS | field_flags())
        hosts = find_hosts(*(values.get(f"--{name}") for name in HOSTS_HELP))
        if hosts and folders:
            raise ConfigError(
                "a config is derived from a folder of images in one process only: start the run "
                "there, stop it with Ctrl-C, and continue it in all processes with --config "
                "WORKDIR/config.json --workdir WORKDIR"
            )
    except ConfigError as error:
        fail(str(error))
    values = _with_init(values)
    workdir = values.get("--workdir", workdir)
    if folders:
        base = config if "--config" in values else None
        return _for_folders(folders, base, values)
    config = replace_fields(config, _by_field(values))
    try:
        validation.check(config)
    except ConfigError as error:
        fail(f"{PREFIX}{error}")
    return TrainArguments(config, name, workdir, values.get("--pieces"), hosts=hosts)


def _take_folders(flags: Sequence[Flag]) -> tuple[list[str], list[Flag]]:
    """The words that belong to no flag, and the flags: each of `OPTIONS` has one word."""
    folders: list[str] = []
    rest: list[Flag] = []
    for flag, words in flags:
        own = 0 if not flag else 1 if flag in OPTIONS else len(words)
        folders += words[own:]
        if flag:
            rest.append((flag, words[:own]))
    return folders, rest


def check_folders(folders: Sequence[str]) -> None:
    """See that each is a folder.

    Raises:
        ConfigError: one is not; says what it may have been meant to be.
    """
    for folder in folders:
        path = pathlib.Path(folder)
        if path.is_file():
            raise ConfigError(f"{folder} is a file; give the folder that contains the data set")
        if not path.is_dir():
            configs = f"; for the config of this name, write --config {folder}"
            hint = configs if folder in named_configs() else ""
            raise ConfigError(f"{folder}: there is no such folder{hint}")


def _with_init(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of flags, those of --from and --from-strict as the fields that they stand for."""
    found = dict(values)
    if "--from_strict" in found:
        found[f"{PREFIX}train.init_strict"] = found.pop("--from_strict")
    if "--from" in found:
        found[f"{PREFIX}train.init"] = init_of(found.pop("--from"))
    return found


def init_of(source: str) -> str:
    """The train.init that --from SOURCE stands for."""
    return "" if source == RANDOM else source


def _for_folders(
    folders: Sequence[str], base: Config | None, values: Mapping[str, Any]
) -> TrainArguments:
    """The arguments of a run on folders."""
    fields = _by_field(values)
    name = pathlib.Path(folders[0]).absolute().name
    asked = Asked(tuple(folders), base, fields)
    workdir = values.get("--workdir", pathlib.Path("runs") / name)
    config = replace_fields(base or Config(), fields)
    return TrainArguments(config, name, workdir, values.get("--pieces"), asked)


def _config_source(flags: Sequence[Flag], default: str | pathlib.Path) -> str | pathlib.Path:
    """What --config says. It is read before all other flags, which change the config."""
    values = read_flags([flag for flag in flags if flag[0] == "--config"], OPTIONS)
    return str(values["--config"]) if values else default


def apply_fields(config: Config, fields: Sequence[str]) -> Config:
    """A config with ``--config.FIELD VALUE ...`` on top of it.

    Raises:
        ConfigError: a field is unknown, or a value is of another type.
    """
    return replace_fields(config, asked_fields(fields))


def asked_fields(fields: Sequence[str]) -> dict[str, Any]:
    """The values of ``--config.FIELD VALUE ...`` by the fields' dotted names.

    Raises:
        ConfigError: a field is unknown, or a value is of another type.
    """
    return _by_field(read_flags(split_flags(fields), field_flags()))


def apply_prediction_fields(config: Config, fields: Sequence[str]) -> Config:
    """A trained model's config with ``--config.FIELD VALUE ...`` on top of it.

    FIELD may be the end of a name, as for `replace_prediction_fields`.

    Raises:
        ConfigError: see `read_flags` and `replace_prediction_fields`.
    """
    try:
        flags = [(_full_flag(flag), words) for flag, words in split_flags(fields)]
        return replace_prediction_fields(config, _by_field(read_flags(flags, field_flags())))
    except ConfigError as error:
        raise ConfigError(f"{PREFIX}{str(error).removeprefix(PREFIX)}") from None


def _full_flag(flag: str) -> str:
    return PREFIX + full_name(flag.removeprefix(PREFIX)) if flag.startswith(PREFIX) else flag


def _by_field(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of fields by their dotted names, from those of flags; other flags are left out."""
    return {
        flag.removeprefix(PREFIX): value
        for flag, value in values.items()
        if flag.startswith(PREFIX)
    }
