"""Augmentations that `data.augment` lists, each a transform of its own."""

from jaxrcnn.data.augment.names import AUGMENTATIONS, Call, describe, parse
from jaxrcnn.data.augment.pipeline import Scene, augment, room_for

__all__ = ["AUGMENTATIONS", "Call", "Scene", "augment", "describe", "parse", "room_for"]
