"""The batch size and the length of training, chosen from the machine and the number of images."""

import math

STEPS = {True: 1000, False: 2000}
"""Training steps to aim at, by whether there are pretrained weights."""
FEWEST_EPOCHS = {True: 4, False: 12}
MOST_EPOCHS = {True: 50, False: 150}
EVALUATIONS = 10
"""Evaluations of a run, evenly spaced ..."""
FEWEST_BETWEEN = 50
"""... but with at least so many steps in between, since an evaluation takes as long as some."""
IMAGES_PER_DEVICE = {"cpu": 4}
"""On a platform; 8 on any other."""


def choose_batch_size(platform: str, devices: int, num_images: int) -> int:
    """A multiple of the number of devices that is no larger than the number of images allows."""
    each = IMAGES_PER_DEVICE.get(platform, 8)
    while each > 1 and each * devices > num_images:
        each //= 2
    return each * devices


def choose_epochs(num_images: float, batch_size: int, pretrained: bool) -> int:
    """Passes over the images: as many as give enough steps, within limits for small and large sets.

    Args:
        num_images: in an epoch, repeated ones counted as often as they are used.
        batch_size: images of a step.
        pretrained: whether training starts from a detector's weights.
    """
    epochs = math.ceil(STEPS[pretrained] * batch_size / max(num_images, 1))
    return min(max(epochs, FEWEST_EPOCHS[pretrained]), MOST_EPOCHS[pretrained])


def choose_eval_every(steps: int) -> int:
    """Steps between evaluations, of which a run has about ten, and a short one fewer."""
    return max(math.ceil(steps / EVALUATIONS), FEWEST_BETWEEN)
