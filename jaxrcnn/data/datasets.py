"""The training and the evaluation set of a config."""

from collections.abc import Sequence

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.coco_categories import FILLER
from jaxrcnn.data.errors import DataError, quoted
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.data.voc import read_voc

TRAIN_SEED, EVAL_SEED, TEST_SEED = 0, 1, 2
"""Of the drawn sets, so that runs of any seed train and are judged on the same images."""


def open_datasets(config: Config) -> tuple[Dataset, Dataset]:
    """Open the training and the evaluation set; both number their classes alike.

    Raises:
        ConfigError: the data has another number of classes than the model.
        DataError: something cannot be read, or a set holds no images.
    """
    train = open_train_dataset(config)
    return train, open_eval_dataset(config, train.class_names)


def open_train_dataset(config: Config) -> Dataset:
    """Open the training set; with data.skip_empty without images that hold nothing to train on.

    Raises:
        ConfigError, DataError: see `open_datasets`.
    """
    data = config.data
    if data.format == "shapes":
        dataset = shapes_dataset(data.num_train_images, TRAIN_SEED)
    else:
        dataset = _read_splits(config, data.train_splits, data.classes)
    check_classes(dataset, config)
    if data.format == "coco":
        _check_categories(dataset)
    return _checked(dataset.without_empty() if data.skip_empty else dataset)


def open_eval_dataset(config: Config, class_names: Sequence[str]) -> Dataset:
    """Open the evaluation set, its labels numbered like `class_names` (of the training set).

    Raises:
        ConfigError, DataError: see `open_datasets`.
    """
    data = config.data
    if data.format == "shapes":
        dataset = shapes_dataset(data.num_eval_images, EVAL_SEED)
    else:
        dataset = _read_splits(config, (data.eval_split,), class_names)
    check_classes(dataset, config)
    return _checked(dataset)


def open_test_dataset(config: Config, class_names: Sequence[str]) -> Dataset:
    """Open data.test_split, its labels numbered like `class_names` (of the training set).

    Raises:
        ConfigError, DataError: see `open_datasets`.
    """
    data = config.data
    if data.format == "shapes":
        dataset = shapes_dataset(data.num_eval_images, TEST_SEED)
    else:
        dataset = _read_splits(config, (data.test_split,), class_names)
    check_classes(dataset, config)
    return _checked(dataset)


def _read_splits(config: Config, splits: Sequence[str], classes: Sequence[str]) -> Dataset:
    data = config.data
    if data.format == "voc":
        return read_voc(
            data.roots[0],
            splits,
            classes,
            keep_difficult=data.keep_difficult,
            on_error=data.on_error,
            one_based=data.voc_one_based,
            max_pixels=data.max_pixels,
        )
    return read_coco(data.roots[0], splits, classes, data.on_error, data.max_pixels)


def check_classes(dataset: Dataset, config: Config) -> None:
    """See that a data set has as many classes as the model.

    Raises:
        ConfigError: it has others; names them.
    """
    names = dataset.class_names
    if len(names) != config.model.num_classes:
        what = (
            f"model.num_classes is {config.model.num_classes}, "
            f"but {dataset.name} has {len(names)} classes: {', '.join(names)}"
        )
        remedy = "data.classes chooses among them"
        raise ConfigError("; ".join([what, remedy, *dataset.notes]))


def _check_categories(dataset: Dataset) -> None:
    """See that data.classes names only categories of the training set, or no data's at all."""
    for name in dataset.class_names:
        if name not in dataset.source_classes and not FILLER.fullmatch(name):
            raise ConfigError(
                f"data.classes: no category of {dataset.name} is named '{name}', "
                f"the names are {quoted(dataset.source_classes)}"
            )


def _checked(dataset: Dataset) -> Dataset:
    if not len(dataset):
        raise DataError(f"{dataset.summary()}; check data.root, the splits and their annotations")
    return dataset
