"""`jaxrcnn train DIR`: the config of a run on folders of images that nobody has described."""

import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax

from jaxrcnn import validation
from jaxrcnn.cli.options import Asked, check_folders
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import field_types, field_values, replace_fields
from jaxrcnn.data.datasets import open_datasets, open_train_dataset
from jaxrcnn.data.fingerprint_file import read_data
from jaxrcnn.data.planning import images_per_epoch
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.sources import resolve_data
from jaxrcnn.interop.initial import Initial, check_differences, find_initial, with_fields
from jaxrcnn.recipe.derive import Known, Machine, Weights, derive
from jaxrcnn.recipe.schedule import choose_eval_every
from jaxrcnn.recipe.scratch import scratch_config
from jaxrcnn.recipe.settings import Found, Setting, describe
from jaxrcnn.recipe.timing import seconds_per_step
from jaxrcnn.training.activity import format_duration
from jaxrcnn.training.epochs import with_epochs, with_steps
from jaxrcnn.training.pieces import build_detector
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.workdir import read_config
from jaxrcnn.wording import counted

SOURCES = {"cpu": "fasterrcnn_mobilenet_v3_large_320_fpn:COCO_V1"}
"""Published weights of the model that a platform can train; `OTHER_SOURCE` on any other."""
OTHER_SOURCE = "fasterrcnn_resnet50_fpn:COCO_V1"

RECIPES = {"mobilenet_v3_large": "finetune_mobilenet_320_fpn"}
"""The config whose schedule suits a backbone's weights; `OTHER_RECIPE` for any other."""
OTHER_RECIPE = "finetune_r50_fpn"

UNKNOWN = {
    "data.format": "auto",
    "data.train_splits": (),
    "data.eval_split": "",
    "data.test_split": "",
    "data.classes": (),
}
"""Values of fields that leave it to the data what they are."""

OPEN = (*UNKNOWN, "model.num_classes")
"""Fields that the data decide even where --config has a value for them."""

SCHEDULE = ("train.optimizer.warmup_steps", "train.optimizer.milestones")
"""Fields that are scaled to the length of training, unless they are given."""

Say = Callable[[str], None]


class Start(NamedTuple):
    """The config before the data decide anything, and the weights that training starts from."""

    config: Config
    initial: Initial | None

    @property
    def weights(self) -> Weights:
        """What the weights are, for the settings that are derived."""
        if self.initial is None:
            return "random"
        return "a backbone" if self.initial.kind == "backbone file" else "a detector"


def folder_config(
    asked: Asked, workdir: pathlib.Path, say: Say, pieces: str | None = None
) -> Config:
    """The config of a run on folders: that of the workdir if it holds one, else a derived one.

    Args:
        asked: on the command line.
        workdir: of the run.
        say: takes the lines that tell what was found and derived.
        pieces: what builds the detector, as `find_build` takes it.

    Raises:
        ConfigError: the workdir holds a run of other folders, the initial weights cannot be had, or
            a field does not fit.
        DataError: a folder holds no data set, or it cannot be read.
    """
    _check_asked(asked)
    for place in (workdir, *workdir.parents):
        if place.is_file():
            raise ConfigError(f"{place} is a file, not a folder: give another --workdir")
    if (workdir / "config.json").exists():
        say(f"{workdir} holds a run: its config.json is used, with the fields that are given here")
        return _continued(asked, workdir)
    config = _derived(asked, say)
    _say_speed(config, workdir, pieces, say)
    return config


def derived_config(asked: Asked, say: Say) -> Config:
    """The config of a new run on folders, without a look at its speed.

    Raises:
        ConfigError, DataError: see `folder_config`.
    """
    _check_asked(asked)
    return _derived(asked, say)


def _derived(asked: Asked, say: Say) -> Config:
    data, lines = _find_data(asked)
    for line in lines:
        say(line)
    train_set = open_train_dataset(data, any_classes=True)
    start = _start(asked, say)
    config = _with_fields(start.config, {**_data_fields(data), **asked.fields}, asked.base is None)
    if start.initial is not None:
        check_differences(start.initial, config)
    config, found = _derive(config, asked, train_set, start.weights)
    say("derived from the images and this machine; to change one, give --config.FIELD VALUE:")
    for line in describe(found):
        say(line)
    validation.check(config)
    return config


def find_data(asked: Asked, say: Say) -> Config:
    """A config of the data alone, with the format and the splits that the folders have.

    Args:
        asked: on the command line.
        say: takes the lines that tell what was found.

    Raises:
        ConfigError: a folder comes twice, or a field does not fit.
        DataError: a folder holds no data set.
    """
    _check_asked(asked)
    check_folders(asked.folders)
    data, lines = _find_data(asked)
    for line in lines:
        say(line)
    return data


def config_without_weights(asked: Asked, data: Config, train_set: Dataset) -> Config:
    """The config of a run on folders by default, without a look at the weights that it starts from.

    Args:
        asked: on the command line.
        data: from `find_data`.
        train_set: all training images with all classes.

    Raises:
        ConfigError: a field does not fit.
    """
    recipe = RECIPES["mobilenet_v3_large"] if default_source() != OTHER_SOURCE else OTHER_RECIPE
    base = load_config(recipe) if asked.base is None else asked.base
    config = _with_fields(base, {**_data_fields(data), **asked.fields}, asked.base is None)
    config, _ = _derive(config, asked, train_set, "a detector")
    validation.check(config)
    return config


def _check_asked(asked: Asked) -> None:
    """See that the folders and the fields can be used, before anything is read.

    Raises:
        ConfigError: a folder comes twice, or a field does not fit.
    """
    seen: set[pathlib.Path] = set()
    for folder in asked.folders:
        if (path := pathlib.Path(folder).resolve()) in seen:
            raise ConfigError(f"{folder} is given twice")
        seen.add(path)
    if "data.root" in asked.fields:
        raise ConfigError("give folders either by themselves or as --config.data.root, not both")
    if asked.fields.get("data.format") == "shapes":
        raise ConfigError("--config.data.format shapes reads no folders: leave them out")
    config = replace_fields(
        asked.base or Config(),
        {**UNKNOWN, "data.eval_split": "val", **asked.fields, "data.root": asked.folders},
    )
    if config.data.classes and "model.num_classes" not in asked.fields:
        config = replace_fields(config, {"model.num_classes": len(config.data.classes)})
    validation.check_data(config)


def _find_data(asked: Asked) -> tuple[Config, list[str]]:
    """A config of the data alone, with the format and the splits that were found."""
    root = asked.folders[0] if len(asked.folders) == 1 else asked.folders
    fields = {**UNKNOWN, **asked.fields, "data.root": root}
    config = replace_fields(asked.base or Config(), fields)
    return resolve_data(config)


def _data_fields(config: Config) -> dict[str, Any]:
    """The fields that say where the data are and how they are read."""
    names = ("root", "format", "train_splits", "eval_split", "test_split")
    return {f"data.{name}": getattr(config.data, name) for name in names}


def _start(asked: Asked, say: Say) -> Start:
    """The config before the data decide anything, and the weights that training starts from."""
    source = asked.fields.get("train.init", asked.base and asked.base.train.init)
    by_default = source is None
    source = default_source() if source is None else source
    if not source:
        say("initial weights: none, training starts from random weights")
        config = asked.base or scratch_config(jax.default_backend())
        return Start(replace_fields(config, {"train.init": ""}), None)
    initial = _find_default(source) if by_default else find_initial(source)
    say(f"initial weights: {source}")
    for line in initial.lines:
        say(line)
    config = asked.base
    if config is None:
        recipe = RECIPES.get(initial.fields["model.backbone.name"], OTHER_RECIPE)
        config = with_fields(initial, load_config(recipe))
    return Start(replace_fields(config, {"train.init": source}), initial)


def _with_fields(config: Config, fields: Mapping[str, Any], scaled: bool) -> Config:
    """The config with some fields; warm-up and milestones are scaled to other train.steps."""
    if scaled and "train.steps" in fields:
        config = with_steps(config, fields["train.steps"])
    return replace_fields(config, fields)


def _derive(
    config: Config, asked: Asked, train_set: Dataset, weights: Weights
) -> tuple[Config, list[Found]]:
    """The config with what the data and the machine decide, and how often it is evaluated."""
    given = {*asked.fields}
    if asked.base is not None:
        given |= {*field_types()} - {*OPEN}
    images = images_per_epoch(train_set, config)
    machine = Machine(jax.default_backend(), jax.local_device_count())
    config, found = derive(config, Known(given, train_set, images, machine, weights))
    schedule = {name: asked.fields[name] for name in SCHEDULE if name in asked.fields}
    config = replace_fields(with_epochs(config, round(images)), schedule)
    every = choose_eval_every(config.train.steps)
    for name in ("train.eval_every", "train.checkpoint_every"):
        if name not in given:
            config = replace_fields(config, {name: every})
            found.append(Setting(name, every, "ten evaluations, but at least 50 steps apart"))
    return config, found


def default_source() -> str:
    """The published weights that training starts from on this machine."""
    return SOURCES.get(jax.default_backend(), OTHER_SOURCE)


def _find_default(source: str) -> Initial:
    """The weights that nobody asked for; where they cannot be had, the line says what else to do.

    Raises:
        ConfigError: they are neither in the cache nor can they be downloaded.
    """
    try:
        return find_initial(source)
    except ConfigError as error:
        raise ConfigError(
            f"{error}. Or start from your own weights with --from, or from random weights with "
            "--from none: with a few hundred images, these give a much lower accuracy and take "
            "several times as long to train"
        ) from error


def _continued(asked: Asked, workdir: pathlib.Path) -> Config:
    """The config of the run in the workdir, with the fields that are given now.

    Raises:
        ConfigError: the run is of other folders, and does not say what they held.
        DataError: a folder that is given in place of the run's own holds no data set.
    """
    config = read_config(workdir)
    other = "give another --workdir to start a new run"
    roots = {str(pathlib.Path(root)) for root in config.data.roots}
    moved = not all(_is_of(folder, roots) for folder in asked.folders)
    if moved and (read_data(workdir) is None or len(roots) != len(asked.folders)):
        raise ConfigError(f"{workdir} holds a run on {', '.join(sorted(roots))}; {other}")
    if moved:  # whether they hold the same data is found out when they are open
        config = replace_fields(config, {"data.root": _find_data(asked)[0].data.root})
    if asked.base is not None:
        decided = (*OPEN, "data.root", "train.steps", *SCHEDULE)
        here = field_values(config)
        config = replace_fields(asked.base, {name: here[name] for name in decided})
    config = replace_fields(config, asked.fields)
    validation.check(config)
    return config


def _is_of(folder: str, roots: Collection[str]) -> bool:
    """Whether a folder is one of the roots, or holds one, as when an archive was unpacked."""
    path, paths = pathlib.Path(folder).resolve(), [pathlib.Path(root).resolve() for root in roots]
    return any(path == root or path in root.parents for root in paths)


def _say_speed(config: Config, workdir: pathlib.Path, pieces: str | None, say: Say) -> None:
    """Measure a training step, and say how long training will take."""
    steps = config.train.steps
    detector = build_detector(config.model, find_build(pieces), workdir)
    with Progress(steps) as progress:
        seconds = seconds_per_step(config, detector, open_datasets(config, workdir)[0], progress)
    say(
        f"a step takes {seconds:.2g} s here, so {counted(steps, 'step')} take about "
        f"{format_duration(seconds * steps)}; set --config.train.epochs to change this"
    )
