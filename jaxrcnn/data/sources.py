"""The folders of a data set, with the format and the splits that are read of each."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import NamedTuple

from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.errors import DataError, quoted
from jaxrcnn.data.finding import explain, find_format, inner_data_sets
from jaxrcnn.data.formats import FORMATS
from jaxrcnn.data.splits import Splits, choose_splits, matching
from jaxrcnn.opening import read_timeout


class Source(NamedTuple):
    """One folder, and what is read of it."""

    place: int  # in data.roots
    root: str
    format: str
    train: tuple[str, ...]
    eval: str | None  # "": a share of the training images is held out; None: nothing
    test: str | None  # "" or None: nothing
    lines: tuple[str, ...]  # what was chosen and why


def find_sources(data: DataConfig) -> list[Source]:
    """What is read of each folder in data.root; the same for the same config and folders.

    What the config leaves open is found out for each folder alone: its format where data.format is
    "auto", its splits where data.train_splits is empty. With several folders, the evaluation and
    the test split are read from those that have them.

    Raises:
        DataError: a folder holds no data set.
        ConfigError: it is not clear which splits to take, or no folder has the one that is named.
    """
    with read_timeout(data.read_timeout):
        sources = [_find_source(data, place) for place in range(len(data.roots))]
    if len(sources) == 1:
        return sources
    for field, name in (("eval_split", data.eval_split), ("test_split", data.test_split)):
        if name and not any(matching(name, _found(source, data)) for source in sources):
            raise ConfigError(
                f"data.{field}={name}: none of {', '.join(data.roots)} has this split"
            )
    return [_of_several(source, data) for source in sources]


def _find_source(data: DataConfig, place: int) -> Source:
    root, name = data.roots[place], data.format
    splits, lines = None, ()
    if data.format == "auto":
        root, name, splits, lines = find_format(root, data.columns)
    if data.train_splits:
        return Source(place, root, name, data.train_splits, data.eval_split, data.test_split, lines)
    splits = FORMATS[name].find_splits(root, data.columns) if splits is None else splits
    if not splits:
        error = DataError(f"{root}: there is no data set in the format {name} (data.format)")
        raise explain(error, root, name, data.columns)
    try:
        chosen = choose_splits(splits)
    except ConfigError as error:
        inner = [f"; {path} has a data set too" for path in inner_data_sets(root)[:3]]
        raise ConfigError(f"{root}: {error}{''.join(inner)}") from error
    if len(data.roots) == 1:
        _check_given(data, root, splits)
    wanted = Splits(chosen.train, data.eval_split or chosen.eval, data.test_split or chosen.test)
    return Source(
        place,
        root,
        name,
        *wanted,
        (*lines, f"{root}: {_describe(wanted, list(splits), data.val_share)}"),
    )


def _check_given(data: DataConfig, root: str, splits: Collection[str]) -> None:
    """See that a folder has the evaluation and the test split that the config names."""
    for field, name in (("eval_split", data.eval_split), ("test_split", data.test_split)):
        if name and not matching(name, splits):
            raise ConfigError(
                f"data.{field}={name}: {root} has no such split, it has {quoted(splits)}"
            )


def _describe(chosen: Splits, names: list[str], share: float) -> str:
    """The splits that were chosen, on one line."""
    wanted = filter(None, (*chosen.train, chosen.eval, chosen.test))
    used = {name for split in wanted for name in matching(split, names)}
    held_out = (
        f"{100 * share:.3g}% of its images are held out for evaluation, since there is no "
        "validation split"
    )
    parts = [
        f"training on {', '.join(chosen.train)}",
        f"evaluation on {chosen.eval}" if chosen.eval else held_out,
        f"test on {chosen.test}" if chosen.test else "",
        f"not used: {', '.join(name for name in names if name not in used)}",
    ]
    return "; ".join(part for part in parts if part and part != "not used: ")


def _found(source: Source, data: DataConfig) -> dict[str, str]:
    return FORMATS[source.format].find_splits(source.root, data.columns)


def _of_several(source: Source, data: DataConfig) -> Source:
    """Without the splits that this folder does not have."""
    found = _found(source, data)
    gone = [name for name in (source.eval, source.test) if name and not matching(name, found)]
    if not gone:
        return source
    return source._replace(
        eval=None if source.eval in gone else source.eval,
        test=None if source.test in gone else source.test,
        lines=(*source.lines, *(f"{source.root} has no split {name}" for name in gone)),
    )


def resolve_data(config: Config) -> tuple[Config, list[str]]:
    """The config with the format and the splits that its folders have, and a line for each choice.

    Folders whose formats or splits differ leave data.format "auto" or the splits empty, and are
    resolved in the same way whenever the data set is opened.

    Raises:
        ConfigError, DataError: see `find_sources`.
    """
    data = config.data
    if data.format == "shapes" or (data.format != "auto" and data.train_splits):
        return config, []
    sources = find_sources(data)
    return _replace_data(config, sources), [line for source in sources for line in source.lines]


def _replace_data(config: Config, sources: Sequence[Source]) -> Config:
    data, first = config.data, sources[0]
    roots = tuple(source.root for source in sources)
    fields: dict[str, object] = {"root": roots if isinstance(data.root, tuple) else roots[0]}
    if all(source.format == first.format for source in sources):
        fields["format"] = first.format
    tests = {source.test for source in sources if source.test}
    if len(tests) == 1:
        fields["test_split"] = tests.pop()
    if all(source[3:6] == first[3:6] for source in sources):
        fields |= {"train_splits": first.train, "eval_split": first.eval or ""}
    return dataclasses.replace(config, data=dataclasses.replace(data, **fields))
