"""The same draws give the peers' pixels, and their boxes to 1e-4."""

import numpy as np
import pytest

from jaxrcnn.data.augment.iou_crop import IouCrop
from jaxrcnn.data.augment.photometric import Photometric
from jaxrcnn.data.augment.rotate90 import turn
from jaxrcnn.data.augment.visible import cover, cut
from jaxrcnn.data.augment.zoom_out import ZoomOut
from jaxrcnn.data.transforms import horizontal_flip, resize, vertical_flip
from tests.data.augment.recorded import digest, image_of, read
from tests.data.augment.settings import setting_of
from tests.data.small import sample_of

TORCHVISION, ALBUMENTATIONS = read("torchvision"), read("albumentations")
(GIVEN,) = TORCHVISION["given"]
KINDS = "iou_crop", "zoom_out", "photometric"
SEEDS = range(len(TORCHVISION["iou_crop"]))
CASES = range(len(ALBUMENTATIONS["cut"]))
LEAST = 0.25
SIZE = 48, 64


def check(sample, case):
    """A sample has the image and the boxes of a record, and ignores what is not in it."""
    real = ~sample.ignore
    boxes = np.reshape(case["boxes"], (-1, 4))
    np.testing.assert_allclose(sample.boxes[real], boxes, rtol=0, atol=1e-4)
    if "places" in case:
        np.testing.assert_array_equal(sample.labels[real] - 1, case["places"])
    if "image" in case:
        assert digest(sample.image) == case["image"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_iou_crop_is_torchvisions(seed):
    sample = sample_of(image_of(24, 32), GIVEN["boxes"])
    crop = IouCrop(setting_of(min_visible=0.0))
    check(crop(sample, "record", np.random.default_rng(seed)), TORCHVISION["iou_crop"][seed])


@pytest.mark.parametrize("seed", SEEDS)
def test_zoom_out_is_torchvisions(seed):
    sample = sample_of(image_of(24, 32), GIVEN["boxes"])
    frame = ZoomOut()(sample, "record", np.random.default_rng(seed))
    check(frame, TORCHVISION["zoom_out"][seed])


@pytest.mark.parametrize("seed", SEEDS)
def test_photometric_distortion_is_torchvisions_to_the_pixel(seed):
    sample = sample_of(image_of(24, 32), GIVEN["boxes"])
    distorted = Photometric()(sample, "record", np.random.default_rng(seed))
    assert digest(distorted.image) == TORCHVISION["photometric"][seed]["image"]
    np.testing.assert_array_equal(distorted.boxes, sample.boxes)


def test_the_records_hold_what_was_done_and_what_was_not():
    untouched = tuple(digest(image_of(24, 32)))
    images = {kind: [tuple(case["image"]) for case in TORCHVISION[kind]] for kind in KINDS}
    assert all(len(set(each)) > 8 for each in images.values())
    assert 0 < images["iou_crop"].count(untouched) < len(SEEDS) / 2
    assert 0 < images["zoom_out"].count(untouched) < len(SEEDS) * 2 / 3
    for kind, cases in ALBUMENTATIONS.items():
        if kind not in ("turn", "horizontal", "vertical"):
            lost = [len(case["before"]) - len(case["places"]) for case in cases]
            assert 0 < sum(lost) < 5 * len(cases)


@pytest.mark.parametrize("case", CASES)
def test_a_cut_keeps_the_boxes_that_albumentations_keeps(case):
    recorded = ALBUMENTATIONS["cut"][case]
    sample = sample_of(image_of(*SIZE), recorded["before"])
    check(cut(sample, recorded["window"], LEAST), recorded)


@pytest.mark.parametrize("case", CASES)
def test_a_cut_that_is_resized_has_the_boxes_of_albumentations(case):
    recorded = ALBUMENTATIONS["zoom"][case]
    sample = sample_of(image_of(*SIZE), recorded["before"])
    check(resize(cut(sample, recorded["window"], LEAST), recorded["size"]), recorded)


@pytest.mark.parametrize("case", CASES)
def test_turns_and_flips_are_albumentations(case):
    for name, change in (
        ("turn", lambda sample: turn(sample, case % 3 + 1)),
        ("horizontal", horizontal_flip),
        ("vertical", vertical_flip),
    ):
        recorded = ALBUMENTATIONS[name][case]
        check(change(sample_of(image_of(*SIZE), recorded["before"])), recorded)


@pytest.mark.parametrize("case", CASES)
def test_covered_boxes_are_albumentations(case):
    recorded = ALBUMENTATIONS["holes"][case]
    sample = sample_of(SIZE, recorded["before"])
    check(cover(sample, np.array(recorded["holes"]), LEAST), recorded)
