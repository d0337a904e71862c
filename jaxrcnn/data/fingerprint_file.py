"""fingerprint.json in a run's folder: the data that the run began with, for when it is resumed."""

import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.fingerprint import Fingerprint, differences, take_fingerprint
from jaxrcnn.data.records import Dataset
from jaxrcnn.opening import open_file, read_json
from jaxrcnn.writing import replace_text

FILE = "fingerprint.json"


class RunData(NamedTuple):
    """The data that a run reads."""

    sets: Mapping[str, Fingerprint]  # "training" and "evaluation"
    files: Mapping[str, str]  # size and hash of the files that fields of the config name

    def summary(self) -> dict[str, str | int]:
        """The number of images in each set and a hash of it, and the files."""
        counts = {f"{name}_images": len(each.names) for name, each in self.sets.items()}
        return {**counts, **self.digests()}

    def digests(self) -> dict[str, str]:
        """A hash of each set and each file, by its name."""
        return {**{name: each.digest for name, each in self.sets.items()}, **self.files}


def describe_data(config: Config, train_set: Dataset, eval_set: Dataset) -> RunData:
    """What a run reads that its config does not hold.

    Args:
        config: of the run.
        train_set, eval_set: open.
    """
    sets = {"training": take_fingerprint(train_set), "evaluation": take_fingerprint(eval_set)}
    files = {
        "data.train_proposals": config.data.train_proposals,
        "data.eval_proposals": config.data.eval_proposals,
    }
    if config.train.scheme == "alternating":  # whose steps may return to the initial weights
        files["train.init"] = config.train.init
    return RunData(sets, {x: _of_file(path) for x, path in files.items() if os.path.isfile(path)})


def _of_file(path: str) -> str:
    with open_file(path) as file:
        return f"{os.path.getsize(path)} bytes, {hashlib.file_digest(file, 'sha256').hexdigest()}"


def describe_differences(before: RunData, after: RunData) -> dict[str, str]:
    """What has changed of each set and file, in words, by its name; empty if nothing has."""
    was, now = before.digests(), after.digests()
    sets = {
        name: f"{name} set: {', '.join(differences(before.sets[name], each))}"
        for name, each in after.sets.items()
        if was.get(name, now[name]) != now[name]
    }
    files = {
        name: f"the file of {name} has changed"
        for name in after.files
        if was.get(name, now[name]) != now[name]
    }
    return {**sets, **files}


def write_data(workdir: pathlib.Path, data: RunData) -> None:
    """Write what a run reads to its folder, whole or not at all."""
    sets = {name: each._asdict() for name, each in data.sets.items()}
    replace_text(workdir / FILE, json.dumps({"sets": sets, "files": data.files}) + "\n")


def read_data(workdir: pathlib.Path) -> RunData | None:
    """What a run read when it began; None for a run of an earlier version, or a new one.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = workdir / FILE
    try:
        tree = read_json(path)
        sets = {name: _fingerprint(fields) for name, fields in tree["sets"].items()}
        files = {str(name): str(text) for name, text in tree["files"].items()}
        return RunData(sets, files)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}): delete it to resume the run without the check that "
            "its data are the same"
        ) from error


def _fingerprint(fields: Mapping[str, Any]) -> Fingerprint:
    found = Fingerprint(**{name: tuple(values) for name, values in fields.items()})
    if not len(found.names) == len(found.sizes) == len(found.annotations):
        raise ValueError("its lists are of different lengths")
    texts = (*found.classes, *found.names, *found.annotations)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name or a hash is not text")
    return found
