"""The training and the evaluation set of a config."""

from collections.abc import Sequence

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.coco import read_coco
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.data.voc import read_voc

TRAIN_SEED, EVAL_SEED = 0, 1
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
    _check_classes(dataset, config)
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
    _check_classes(dataset, config)
    return _checked(dataset)


def _read_splits(config: Config, splits: Sequence[str], classes: Sequence[str]) -> Dataset:
    data = config.data
    if data.format == "voc":
        return read_voc(data.root, splits, classes, data.keep_difficult, data.on_error)
    return read_coco(data.root, splits, classes, data.on_error)


def _check_classes(dataset: Dataset, config: Config) -> None:
    names = dataset.class_names
    if len(names) != config.model.num_classes:
        raise ConfigError(
            f"model.num_classes is {config.model.num_classes}, "
            f"but {dataset.name} has {len(names)} classes: {', '.join(names)}"
        )


def _checked(dataset: Dataset) -> Dataset:
    if not len(dataset):
        raise DataError(f"{dataset.summary()}; check data.root and the names of the splits")
    return dataset
