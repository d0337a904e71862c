"""The training, the evaluation and the test set of a config."""

import dataclasses
from collections.abc import Sequence

from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.coco_categories import FILLER
from jaxrcnn.data.dividing import Divided, Workdir, divide
from jaxrcnn.data.errors import DataError, quoted
from jaxrcnn.data.fast import require_decoder
from jaxrcnn.data.finding import find_format
from jaxrcnn.data.formats import FORMATS
from jaxrcnn.data.joining import join
from jaxrcnn.data.left_out import check_left_out
from jaxrcnn.data.reading import read_parts, unite
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.sources import Source, find_sources
from jaxrcnn.data.splits import role_of
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.wording import counted

TRAIN_SEED, EVAL_SEED, TEST_SEED = 0, 1, 2
"""Of the drawn sets, so that runs of any seed train and are judged on the same images."""


def open_datasets(
    config: Config, workdir: Workdir = None, any_classes: bool = False
) -> tuple[Dataset, Dataset]:
    """Open the training and the evaluation set; both number their classes alike.

    Args:
        config: of the run.
        workdir: its folder. If images are held out for evaluation, split.json in it says which, and
            is written if there is none.
        any_classes: take any number of classes, whatever model.num_classes is.

    Raises:
        ConfigError: the data has another number of classes than the model, a class or a split that
            the config names does not exist, or what data.decoder needs is not installed.
        DataError: something cannot be read, or a set holds no images.
    """
    require_decoder(config.data)
    if config.data.format == "shapes":
        return open_train_dataset(config), open_eval_dataset(config, ())
    sources = find_sources(config.data)
    divided = divide(config, sources, config.data.classes, workdir, training=True)
    train = _training(config, sources, divided, any_classes)
    evaluation = _evaluation(config, sources, train.class_names, divided)
    return train, evaluation


def open_train_dataset(
    config: Config, workdir: Workdir = None, any_classes: bool = False
) -> Dataset:
    """Open the training set; with data.skip_empty without images that hold nothing to train on.

    Images that are held out for evaluation are not part of it.

    Raises:
        ConfigError, DataError: see `open_datasets`.
    """
    data = config.data
    require_decoder(data)
    if data.format == "shapes":
        sources = []
        divided = Divided(shapes_dataset(data.num_train_images, TRAIN_SEED), None)
    else:
        sources = find_sources(data)
        divided = divide(config, sources, data.classes, workdir, training=True)
    return _training(config, sources, divided, any_classes)


def open_eval_dataset(
    config: Config, class_names: Sequence[str], workdir: Workdir = None
) -> Dataset:
    """Open the evaluation set, its labels numbered like `class_names` (of the training set).

    Raises:
        ConfigError, DataError: see `open_datasets`.
    """
    data = config.data
    require_decoder(data)
    if data.format == "shapes":
        dataset = shapes_dataset(data.num_eval_images, EVAL_SEED)
        check_classes(dataset, config)
        return _checked(dataset, config)
    sources = find_sources(data)
    divided = None
    if any(source.eval == "" for source in sources):
        divided = divide(config, sources, class_names, workdir, training=False)
    evaluation = _evaluation(config, sources, class_names, divided)
    check_classes(evaluation, config)
    return evaluation


def open_test_dataset(config: Config, class_names: Sequence[str]) -> Dataset:
    """Open data.test_split, its labels numbered like `class_names` (of the training set).

    Raises:
        ConfigError: there is no test split; see also `open_datasets`.
        DataError: see `open_datasets`.
    """
    require_decoder(config.data)
    if config.data.format == "shapes":
        dataset = shapes_dataset(config.data.num_eval_images, TEST_SEED)
        check_classes(dataset, config)
        return _checked(dataset, config)
    sources = [source for source in find_sources(config.data) if source.test]
    if not sources:
        raise ConfigError("data.test_split is empty: name the split to test on")
    parts = [(source, (source.test or "",)) for source in sources]
    sets = read_parts(config.data, parts, class_names)
    return _checked(unite(config.data, sets, class_names), config)


def open_split(config: Config) -> Dataset:
    """Open data.eval_split alone, with all of its classes unless data.classes names some.

    Without a name it is the split for validation, or the only one that there is.

    Raises:
        ConfigError: it is not clear which split is meant.
        DataError: see `open_datasets`.
    """
    data = config.data
    split = data.eval_split or _split_alone(data)
    wanted = dataclasses.replace(data, train_splits=(split,), eval_split=split, test_split="")
    parts = [(source, (source.eval,)) for source in find_sources(wanted) if source.eval]
    return _checked(unite(data, read_parts(data, parts, data.classes), data.classes), config)


def _split_alone(data: DataConfig) -> str:
    root = data.roots[0]
    if data.format == "auto":
        splits = find_format(root, data.columns)[2]
    else:
        splits = FORMATS[data.format].find_splits(root, data.columns)
    named = [name for name in splits if role_of(name) == "val"] or list(splits)
    if len(named) != 1:
        raise ConfigError(
            f"{root}: it is not clear which split to evaluate on (the splits are "
            f"{quoted(splits)}): give --config.data.eval_split"
        )
    return named[0]


def _training(
    config: Config, sources: Sequence[Source], divided: Divided, any_classes: bool
) -> Dataset:
    """The training set, checked."""
    if not any_classes:
        check_classes(divided.whole, config)
    if any(source.format != "voc" for source in sources):  # VOC has no list of its names
        _check_categories(divided.whole)
    check_left_out(divided.whole, config)
    train = dataclasses.replace(divided.train(), lost_images=0)
    return _checked(train.without_empty() if config.data.skip_empty else train, config)


def _evaluation(
    config: Config, sources: Sequence[Source], class_names: Sequence[str], divided: Divided | None
) -> Dataset:
    """The images of the evaluation splits, and those held out."""
    parts = [(source, (source.eval,)) for source in sources if source.eval]
    sets = [] if divided is None else divided.held_out()
    if parts:
        read = read_parts(config.data, parts, class_names)
        sets = [unite(config.data, read, class_names), *sets]
    return _checked(sets[0] if len(sets) == 1 else join(sets, class_names), config)


def check_classes(dataset: Dataset, config: Config) -> None:
    """See that a data set has as many classes as the model.

    Raises:
        ConfigError: it has others; names them.
    """
    names = dataset.class_names
    if len(names) != config.model.num_classes:
        what = (
            f"model.num_classes is {config.model.num_classes}, "
            f"but {dataset.name} has {counted(len(names), 'class', 'classes')}: {', '.join(names)}"
        )
        remedy = "data.classes chooses among them"
        raise ConfigError("; ".join([what, remedy, *dataset.notes]))


def _check_categories(dataset: Dataset) -> None:
    """See that data.classes names only categories of the training set, or no data's at all."""
    for name in dataset.class_names:
        if name not in dataset.source_classes and not FILLER.fullmatch(name):
            raise ConfigError(
                f"data.classes: no class of {dataset.name} is named '{name}' "
                f"(the classes are {quoted(dataset.source_classes)})"
            )


def _checked(dataset: Dataset, config: Config) -> Dataset:
    check_left_out(dataset, config)
    if not len(dataset) and dataset.empty:
        raise DataError(f"{dataset.summary()}; there are no boxes to train on")
    if not len(dataset):
        raise DataError(f"{dataset.summary()}; check data.root, the splits and their annotations")
    return dataset


WARNING = "warning: evaluation uses training images{}: its scores say nothing about new images"


def warn_of_training_split(config: Config) -> str:
    """A line where the evaluation split is one of the training splits, else ""."""
    return WARNING.format("") if config.data.eval_split in config.data.train_splits else ""


def describe_datasets(train: Dataset, evaluation: Dataset) -> list[str]:
    """Lines that say what was read, with a warning if images of both are the same."""
    lines = [f"training    {train.summary()}", f"evaluation  {evaluation.summary()}"]
    files = set(train.columns.files) - {""}
    shared = sum(file in files for file in evaluation.columns.files)
    if not len(evaluation.columns.boxes):
        lines.append("warning: the evaluation images have no boxes, so that scores are undefined")
    if shared:
        lines.append(WARNING.format(f" ({shared} of {len(evaluation)})"))
    return lines
