"""Runs that start from the finished runs of another study."""

import pathlib
from typing import NamedTuple

from jaxrcnn.config import ConfigError
from jaxrcnn.study.study_io import read_study


class Start(NamedTuple):
    """The finished runs of one variant of another study."""

    source: str  # what they are, for a person
    folders: dict[int, str]  # by seed

    def init(self, seed: int) -> str:
        """The train.init of a run.

        Raises:
            ConfigError: no run with this seed has finished.
        """
        if seed not in self.folders:
            there = ", ".join(map(str, self.folders)) or "none"
            raise ConfigError(
                f"--start {self.source}: there is no finished run with seed {seed} (finished "
                f"seeds: {there}); finish that study, or set --config.seed and --seeds"
            )
        return self.folders[seed]


def find_start(text: str) -> Start:
    """The finished runs that DIR[:VARIANT] names; without VARIANT, those of the first variant.

    Raises:
        ConfigError: DIR is not the folder of a study, or the study has no such variant.
    """
    folder, variant = pathlib.Path(text), ""
    if not folder.is_dir() and ":" in text:
        name, _, variant = text.partition(":")
        folder = pathlib.Path(name)
    study = read_study(folder)
    if study is None:
        raise ConfigError(f"--start {text}: {folder} is not a study's folder: it has no study.json")
    variant = variant or study.schemes[0]
    if variant not in study.schemes:
        raise ConfigError(
            f"--start {text}: the study has no variant {variant!r}; it has "
            + ", ".join(map(repr, study.schemes))
        )
    finished = [x for x in study.runs if x.scheme == variant and x.status == "finished"]
    return Start(f"{folder}:{variant}", {x.seed: str(folder / x.folder) for x in finished})
