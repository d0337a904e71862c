"""Its frames are torchvision's: see test_peers.py."""

import dataclasses

import numpy as np

from jaxrcnn.data.augment import zoom_out
from jaxrcnn.data.augment.zoom_out import ZoomOut
from jaxrcnn.data.sample import ImageProposals
from tests.data.augment.settings import Draws
from tests.data.small import sample_of


def test_a_frame_by_hand():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    proposals = ImageProposals(np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32))
    sample = sample_of(
        image, [[1, 0, 3, 2]], extra={"mask": image[..., 0] > 0}, proposals=proposals
    )
    # Twice the sides, 4x8: the image begins at half of the 4 free columns, and ends at the end.
    frame = ZoomOut(low=2.0, fill=7)(sample, "record", Draws(0.0, 0.0, 0.5, 1.0))
    expected = np.full((4, 8, 3), 7)
    expected[2:, 2:6] = image
    np.testing.assert_array_equal(frame.image, expected)
    np.testing.assert_array_equal(frame.boxes, [[3, 2, 5, 4]])
    np.testing.assert_array_equal(frame.proposals.boxes, [[2, 2, 3, 3]])
    assert frame.extra["mask"].sum() == 7
    assert frame.final_size is None


def test_a_final_size_grows_with_the_frame():
    sample = dataclasses.replace(sample_of((2, 4)), final_size=(10, 30))
    frame = ZoomOut(low=2.0)(sample, "record", Draws(0.0, 0.0, 0.0, 0.0))
    assert frame.final_size == (20, 60)


def test_a_frame_is_no_larger_than_memory_allows(monkeypatch):
    monkeypatch.setattr(zoom_out, "MOST_PIXELS", 4 * 8)
    large = ZoomOut(p=1.0, low=4.0)(sample_of((2, 4)), "record", np.random.default_rng(0))
    assert large.image.shape == (4, 8, 3)
    same = ZoomOut(p=1.0)(sample_of((8, 8)), "record", np.random.default_rng(0))
    assert same.image.shape == (8, 8, 3)
