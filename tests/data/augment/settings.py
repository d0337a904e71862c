"""Settings for augmentations that are tested alone."""

import numpy as np

from jaxrcnn.data.augment.setting import Setting


def setting_of(canvas=(64, 96), min_visible=0.1, room=100, others=(), final=None):
    """A setting whose other images are these, in turn; None is one that cannot be read.

    `final` gives the size that a sample without one is resized to: by default its own.
    """
    rest = iter(others)

    def final_size(sample):
        return sample.final_size or (final or sample.image.shape[:2])

    return Setting(canvas, min_visible, room, final_size, lambda rng: next(rest))


class Draws:
    """A generator whose draws are given, in order; a number is checked for the range asked for."""

    def __init__(self, *draws):
        self.left = list(draws)

    def _next(self):
        return self.left.pop(0)

    def random(self, size=None):
        return self._next() if size is None else np.array([self._next() for _ in range(size)])

    def uniform(self, low, high, size=None):
        drawn = [self._next() for _ in range(size or 1)]
        assert all(low <= each <= high for each in drawn), (low, high, drawn)
        return np.array(drawn) if size else drawn[0]

    def integers(self, low, high=None):
        low, high = (0, low) if high is None else (low, high)
        drawn = self._next()
        assert low <= drawn < high, (low, high, drawn)
        return drawn

    def permutation(self, items):
        items = np.arange(items) if isinstance(items, int) else np.asarray(items)
        return items[list(self._next())]
