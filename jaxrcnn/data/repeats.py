"""Repeat factors: images with rare classes come more often (LVIS, arXiv 1908.03195)."""

import numpy as np

from jaxrcnn.data.records import Dataset


def repeat_factors(dataset: Dataset, threshold: float) -> np.ndarray:
    """How often an epoch has each image on average, (n,) float64, at least 1.

    A class that occurs in a share f of the images asks for sqrt(threshold / f); an image gets the
    largest of what its classes ask for. Boxes to ignore count too, as in Detectron2.
    """
    records, images = dataset.columns, len(dataset)
    if not len(records.boxes):
        return np.ones(images, np.float64)
    classes = int(records.labels.max()) + 1
    pairs = np.sort(records.owners * classes + records.labels)
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # each class of an image once
    owners, labels = np.divmod(pairs, classes)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    of_class = [max(1.0, (threshold * images / count) ** 0.5) for count in counts.tolist()]
    factors = np.ones(images, np.float64)
    np.maximum.at(factors, owners, np.array(of_class)[labels])
    return factors
