"""The plan of a study: its variants, its seeds and the order of its runs."""

import itertools
import pathlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.datasets import check_classes, open_datasets, open_test_dataset
from jaxrcnn.data.fast import require_decoder
from jaxrcnn.data.records import Dataset
from jaxrcnn.study.starts import Start
from jaxrcnn.study.summary import APPROXIMATE
from jaxrcnn.study.variants import Variant, folder_name

Split = Literal["eval", "test"]
"""The images that runs are scored on: those of the evaluation split or of the test split."""

Sets = tuple[Dataset, Dataset]
"""The training set, and the one that the runs are scored on."""

Key = tuple[str, int]
"""A run's variant and seed."""


class Plan(NamedTuple):
    """What a study compares."""

    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]  # each variant runs with each
    title: str
    command: str  # that runs it
    together: bool = False  # all variants of a seed side by side; see jaxrcnn.study.side_by_side
    baseline: str = ""  # the variant that the others are compared with
    start: Start | None = None  # in place of train.init
    split: Split = "eval"

    @property
    def config(self) -> Config:
        """Of one of its runs; what all runs share can be read from it."""
        return self.variants[0].config

    def config_of(self, variant: Variant, seed: int) -> Config:
        """The config of a run.

        Raises:
            ConfigError: it starts from a run that is not there.
        """
        config = replace(variant.config, seed=seed)
        if self.start is None:
            return config
        return replace(config, train=replace(config.train, init=self.start.init(seed)))


def find_baseline(variants: Sequence[Variant], name: str | None) -> str:
    """The variant that the others are compared with: by default the closed gate, or the first.

    Raises:
        ConfigError: there is no variant of this name.
    """
    names = [variant.name for variant in variants]
    if name is None:
        return APPROXIMATE if APPROXIMATE in names else names[0]
    if name not in names:
        raise ConfigError(
            f"--baseline {name}: there is no such variant; the variants are "
            + ", ".join(map(repr, names))
        )
    return name


def check_start(plan: Plan) -> None:
    """Check that there are weights for all runs to start from, if those are another study's.

    Raises:
        ConfigError: a seed has no finished run there, or a config also sets train.init.
    """
    if plan.start is None:
        return
    if any(variant.config.train.init for variant in plan.variants):
        raise ConfigError("--start cannot be combined with train.init")
    for seed in plan.seeds:
        plan.start.init(seed)


class Unit(NamedTuple):
    """Runs that are done together: a single one, or all of a seed that are trained side by side."""

    seed: int
    variants: tuple[Variant, ...]

    @property
    def keys(self) -> list[Key]:
        """Of its runs."""
        return [(variant.name, self.seed) for variant in self.variants]

    def __str__(self) -> str:
        return f"{'; '.join(variant.name for variant in self.variants)}, seed {self.seed}"


def units_of(plan: Plan) -> list[Unit]:
    """All runs of a study, seed by seed, so that an unfinished study already has comparisons."""
    groups = [plan.variants] if plan.together else [(variant,) for variant in plan.variants]
    return [Unit(seed, group) for seed, group in itertools.product(plan.seeds, groups)]


def folder_of(workdir: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """The folder of a run."""
    return workdir / "runs" / folder_name(variant, seed)


def open_sets(plan: Plan, workdir: pathlib.Path) -> Sets:
    """Open the data that all runs share.

    Raises:
        ConfigError: there is no such split, or a variant cannot use the data; see also
            `open_datasets`.
        DataError: something cannot be read.
    """
    train_set, eval_set = open_datasets(plan.config, workdir)
    if plan.split == "test":
        eval_set = open_test_dataset(plan.config, train_set.class_names)
    for variant in plan.variants:  # what is opened by the first serves all
        require_decoder(variant.config.data)
        check_classes(train_set, variant.config)
    return train_set, eval_set
