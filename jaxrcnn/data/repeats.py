"""Repeat factors: images with rare classes come more often (LVIS, arXiv 1908.03195)."""

from collections import Counter

import numpy as np

from jaxrcnn.data.records import Dataset


def repeat_factors(dataset: Dataset, threshold: float) -> np.ndarray:
    """How often an epoch has each image on average, (n,) float64, at least 1.

    A class that occurs in a share f of the images asks for sqrt(threshold / f); an image gets the
    largest of what its classes ask for. Boxes to ignore count too, as in Detectron2.
    """
    found = [set(record.labels.tolist()) for record in dataset.records]
    counts = Counter(label for labels in found for label in labels)
    of_class = {
        label: max(1.0, (threshold * len(found) / count) ** 0.5) for label, count in counts.items()
    }
    factors = [max((of_class[label] for label in labels), default=1.0) for labels in found]
    return np.array(factors, np.float64)
