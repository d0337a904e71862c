"""A detector that knows the answers: they must come back in the original images' pixels."""

import dataclasses
import json
from typing import NamedTuple

import numpy as np
import pytest

from jaxrcnn.config import Config, DataConfig, EvalConfig
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.planning import eval_buckets
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.share import Share
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.evaluation.coco import detections_to_coco
from jaxrcnn.evaluation.evaluate import draw_images, find, measure, write_detections
from jaxrcnn.types import Detections, Proposals

CONFIG = Config(
    # Enlarged, so that the pixels of the network's input are not those of the images.
    data=DataConfig(format="shapes", short_side=160, long_side=240),
    eval=EvalConfig(batch_size=4, metric="voc07"),
)


def know_all(batch):
    """The ground truth as detections, the last place of each image an invalid one of NaN."""
    boxes = np.concatenate([batch.boxes, np.full_like(batch.boxes[:, :1], np.nan)], 1)
    labels = np.pad(batch.labels, [(0, 0), (0, 1)], constant_values=9)
    valid = np.pad(batch.box_valid, [(0, 0), (0, 1)])
    losses = {"loss": batch.image_weights.sum()}
    return (
        Detections(boxes, np.where(valid, 0.9, 0.0).astype(np.float32), labels, valid),
        losses,
        None,
    )


@pytest.fixture(scope="module")
def dataset():
    return shapes_dataset(7, 3)  # the last batch is filled up


@pytest.fixture(scope="module")
def found(dataset):
    return find(know_all, dataset, CONFIG)


def test_boxes_come_back_in_pixels_of_the_original_images(dataset, found):
    assert sorted(found.detections) == list(range(7))
    for index, detections in found.detections.items():
        record = dataset.records[index]
        np.testing.assert_allclose(detections.boxes, record.boxes, atol=1e-3)
        np.testing.assert_array_equal(detections.labels, record.labels)


class Masked(NamedTuple):
    """What a fork's detector returns: more fields, in an order of its own."""

    masks: np.ndarray
    valid: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray


def test_a_record_with_other_fields_is_read_by_name(dataset, found):
    def know_masks(batch):
        known, losses, _ = know_all(batch)
        masks = np.full((*known.valid.shape, 2, 2), np.nan)
        return Masked(masks=masks, **known._asdict()), losses, None

    of_masks = find(know_masks, dataset, CONFIG)
    for index, detections in found.detections.items():
        for one, other in zip(detections, of_masks.detections[index], strict=True):
            np.testing.assert_array_equal(one, other)


def test_perfect_detections_are_worth_one(dataset, found):
    metrics = measure(found, dataset, CONFIG).metrics
    assert metrics["eval/AP"] == pytest.approx(1)
    assert metrics["eval/mAP"] == pytest.approx(1)


def test_losses_are_means_over_the_images_that_are_not_padding(found):
    # Every batch says how many real images it holds: by shape, four at most. Each adds its square.
    counts = np.bincount(eval_buckets(shapes_dataset(7, 3), CONFIG).of_record).tolist()
    batches = [n for of in counts for n in (min(of, 4), max(of - 4, 0))]
    assert len(counts) > 1
    assert found.losses["eval/loss"] == pytest.approx(sum(n * n for n in batches) / 7)


def test_files_are_written(dataset, found, tmp_path):
    write_detections(
        tmp_path / "eval" / "detections.json",
        dataset,
        detections_to_coco(dataset, found.detections),
    )
    rows = json.loads((tmp_path / "eval" / "detections.json").read_text())
    assert len(rows) == sum(len(record.boxes) for record in dataset.records)
    assert {"image_id", "category_id", "bbox", "score"} <= rows[0].keys()
    draw_images(tmp_path / "plots" / "detections.png", dataset, found, 3)
    assert (tmp_path / "plots" / "detections.png").stat().st_size > 1000


def test_files_hold_the_ids_that_images_have_in_their_own_file(dataset, found, tmp_path):
    records = tuple(dataclasses.replace(r, source_id=f"no {r.image_id}") for r in dataset.records)
    named = dataclasses.replace(dataset, records=records)
    write_detections(
        tmp_path / "detections.json", named, detections_to_coco(named, found.detections)
    )
    rows = json.loads((tmp_path / "detections.json").read_text())
    assert {row["image_id"] for row in rows} == {f"no {number}" for number in range(1, 8)}


def test_proposals_of_the_detector_are_compared_with_the_objects(dataset):
    def know_some(batch):
        found, losses, _ = know_all(batch)
        valid = batch.box_valid & (np.arange(batch.box_valid.shape[1]) > 0)
        scores = np.zeros(valid.shape, np.float32)
        return found, losses, Proposals(batch.boxes, scores, valid)

    covers = find(know_some, dataset, CONFIG).covers
    assert sorted(covers) == list(range(7))
    for index, cover in covers.items():
        # A box may overlap the first object too, which has no proposal of its own.
        assert cover[1:] == pytest.approx(np.ones(len(dataset.records[index].boxes) - 1), abs=1e-4)
        assert cover[0] < 0.99


def test_a_detector_without_proposals_covers_nothing(found):
    assert found.covers is None


def add_size(sample, record, rng):
    size = np.array(sample.image.shape[:2], np.int32)
    return dataclasses.replace(sample, extra={"size": size})


def test_a_data_set_of_arrays_with_transforms_is_evaluated():
    images = [np.full((*size, 3), 90, np.uint8) for size in ((20, 30), (30, 20), (16, 16))]
    records = tuple(
        make_record(i, f"image {i}", "", image.shape[:2], [[2, 3, 9, 12]] * i, [i] * i)
        for i, image in enumerate(images)
    )
    own = Dataset(
        *("own", records, ("one", "two")),
        reader=lambda record: images[record.image_id],
        transforms=(add_size,),
    )
    sizes = {}

    def predict(batch):
        sizes.update(zip(batch.image_index.tolist(), batch.extra["size"].tolist(), strict=True))
        return know_all(batch)

    found = find(predict, own, CONFIG)
    assert sizes == {0: [20, 30], 1: [30, 20], 2: [16, 16], -1: [0, 0]}
    assert measure(found, own, CONFIG).metrics["eval/AP_two"] == pytest.approx(1)
    np.testing.assert_allclose(found.detections[1].boxes, [[2, 3, 9, 12]], atol=1e-4)


def unreadable(record):
    raise DataError(f"{record.name}: broken")


def test_unreadable_images_are_skipped_and_named_or_raise(dataset):
    broken = dataclasses.replace(dataset, reader=unreadable)
    skipping = dataclasses.replace(CONFIG.data, on_error="skip", max_skipped_share=1.0)
    skip = dataclasses.replace(CONFIG, data=skipping)
    found = find(know_all, broken, skip)
    assert found.detections == {}
    assert len(found.unread) == 7
    few = dataclasses.replace(skip, data=dataclasses.replace(skip.data, max_skipped_share=0.9))
    with pytest.raises(DataError, match=r"7 of 7 images .* data\.max_skipped_share=0\.9"):
        find(know_all, broken, few)
    with pytest.raises(DataError, match="broken"):
        find(know_all, broken, CONFIG)


def test_two_processes_find_together_what_one_finds(dataset, found):
    def images(batch):  # the loss of a whole batch, as a program on all devices has it
        return know_all(batch)[0], {"loss": 2.0}, None

    alone = find(images, dataset, CONFIG)
    parts = []

    def of_the_first(part):
        parts.append(part)
        return [part]

    first = find(images, dataset, CONFIG, None, Share(lambda size: [0, 2], of_the_first))
    assert 0 < len(first.detections) < 7
    both = find(
        images, dataset, CONFIG, None, Share(lambda size: [1, 3], lambda part: [*parts, part])
    )
    assert both.losses == alone.losses == {"eval/loss": 2.0}
    assert list(both.detections) == list(alone.detections)
    for index, detections in alone.detections.items():
        for one, other in zip(detections, both.detections[index], strict=True):
            np.testing.assert_array_equal(one, other)
