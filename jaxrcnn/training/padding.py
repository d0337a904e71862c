"""How much of a batch is padding."""

import numpy as np

from jaxrcnn.types import Batch


def padded_share(batch: Batch) -> float:
    """Share of a batch's pixels that belong to no image, from 0 to 1; of padded images all.

    Args:
        batch: in host memory; of several processes, this one's rows.
    """
    areas = np.asarray(batch.image_sizes, np.float64).prod(axis=1)
    real = areas * (np.asarray(batch.image_weights) > 0)
    height, width = batch.images.shape[1:3]
    return 1 - float(real.sum()) / (len(areas) * height * width)
