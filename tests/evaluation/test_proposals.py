import contextlib
import dataclasses
import io

import numpy as np
import pytest

from jaxrcnn.config import Config, DataConfig, EvalConfig
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.loader import eval_batches
from jaxrcnn.data.proposals import ImageProposals
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.evaluation.proposals import (
    cover,
    cover_objects,
    find_proposals,
    proposal_metrics,
)
from jaxrcnn.types import Proposals

BOX = (10.0, 20.0, 110.0, 120.0)  # 100 x 100: large
OTHER = (300.0, 200.0, 400.0, 300.0)
NOWHERE = (500.0, 400.0, 510.0, 410.0)


def dataset(*images):
    """Images as dicts of make_record's arguments, of classes 1 and 2 in turn."""
    records = []
    for number, image in enumerate(images, 1):
        n = len(image["boxes"])
        labels = [1 + k % 2 for k in range(n)]
        more = {"labels": labels, "annotation_ids": range(n), **image}
        records.append(make_record(number, f"{number}.jpg", "", (480, 640), **more))
    return Dataset("test", tuple(records), ("cat", "dog"), (1, 2))


def proposed(*boxes):
    scores = np.linspace(2, -2, len(boxes), dtype=np.float32)
    return ImageProposals(np.array(boxes, np.float32).reshape(-1, 4), scores)


def values(data, proposals):
    metrics = proposal_metrics(data, proposals)
    assert all(name.startswith("proposals/") for name in metrics)
    assert all(type(value) is float for value in metrics.values())
    return {name.removeprefix("proposals/"): value for name, value in metrics.items()}


def test_objects_of_any_class_that_are_all_proposed_have_recall_one():
    data = dataset({"boxes": [BOX, OTHER]}, {"boxes": [OTHER]})
    found = values(data, {0: proposed(NOWHERE, OTHER, BOX), 1: proposed(OTHER)})
    averages = {"AR@100", "AR@300", "AR@1000", "ARl@1000"}  # none is small or medium
    each = {f"recall@1000_IoU{k}" for k in (50, 55, 60, 65, 70, 75, 80, 85, 90, 95)}
    assert found.keys() == {*averages, *each, "per_image"}
    assert {found[name] for name in averages | each} == {1.0}
    assert found["per_image"] == 2


def test_overlaps_by_hand():
    # 0.78 reaches six thresholds and 0.9 nine; an overlap equal to a threshold reaches it.
    data = dataset({"boxes": [BOX, OTHER]})
    found = values(data, {0: proposed((10, 20, 88, 120), (300, 200, 400, 290))})
    recalls = [found[f"recall@1000_IoU{k}"] for k in range(50, 100, 5)]
    assert recalls == [1] * 6 + [0.5] * 3 + [0]
    assert found["AR@1000"] == pytest.approx((6 + 9) / 20)


def test_recall_is_over_all_objects_not_a_mean_of_images():
    data = dataset({"boxes": [BOX]}, {"boxes": [BOX, OTHER, (0, 0, 40, 40)]})
    assert values(data, {0: proposed(BOX), 1: proposed()})["AR@100"] == pytest.approx(1 / 4)


def test_one_proposal_finds_one_object():
    twins = dataset({"boxes": [BOX, BOX]})
    assert values(twins, {0: proposed(BOX)})["AR@100"] == 0.5
    assert values(twins, {0: proposed(BOX, BOX)})["AR@100"] == 1


def test_the_best_pair_is_taken_out_first_whatever_the_scores():
    # The first proposal overlaps the first object by 0.8 and the second by 0.6, the second
    # proposal only the first object, by 0.9: each object gets one.
    assert cover(np.array([[0.8, 0.9], [0.6, 0.0]])).tolist() == [0.9, 0.6]
    # Greedy: the pair of 0.9 leaves nothing for the second object, though 0.8 and 0.7 are there.
    assert cover(np.array([[0.9, 0.8], [0.7, 0.0]])).tolist() == [0.9, 0.0]
    # Fewer proposals than objects.
    assert cover(np.array([[0.3], [0.5], [0.4]])).tolist() == [0.0, 0.5, 0.0]


def test_cover_changes_nothing_and_takes_empty_sides():
    overlaps = np.array([[0.8, 0.9], [0.6, 0.0]])
    cover(overlaps)
    assert overlaps.tolist() == [[0.8, 0.9], [0.6, 0.0]]
    assert cover(np.zeros((0, 5))).shape == (0,)
    assert cover(np.zeros((2, 0))).tolist() == [0, 0]


def test_only_the_best_proposals_up_to_the_limit_count():
    data = dataset({"boxes": [BOX]})
    at = {k: values(data, {0: proposed(*[NOWHERE] * k, BOX)}) for k in (99, 100, 300, 999, 1000)}
    names = ("AR@100", "AR@300", "AR@1000")
    assert [[at[k][name] for name in names] for k in at] == [
        [1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]
    ]  # fmt: skip
    assert [at[k]["recall@1000_IoU50"] for k in (999, 1000)] == [1, 0]
    assert [at[k]["ARl@1000"] for k in (999, 1000)] == [1, 0]


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_crowds_and_difficult_boxes_are_no_objects(flag):
    data = dataset({"boxes": [BOX, OTHER], flag: [False, True]})
    assert values(data, {0: proposed(BOX)})["AR@100"] == 1
    assert values(data, {0: proposed(OTHER)})["AR@100"] == 0


def test_a_crowd_takes_no_proposal_from_an_object():
    data = dataset({"boxes": [BOX, (10, 20, 110, 130)], "crowd": [False, True]})
    assert values(data, {0: proposed((10, 20, 110, 130))})["recall@1000_IoU90"] == 1


def test_sizes_go_by_the_annotated_area_with_borders_on_both_sides():
    boxes = [BOX, OTHER, (0, 0, 50, 50)]
    data = dataset({"boxes": boxes, "area": [32.0**2, 96.0**2, 500.0]})
    found = values(data, {0: proposed(BOX)})
    sizes = [found[f"AR{size}@1000"] for size in "sml"]
    assert sizes == [1 / 2, 1 / 2, 0]  # small: BOX and the last; medium: BOX, OTHER; large: OTHER


def test_images_without_objects_only_count_for_the_number_of_proposals():
    data = dataset({"boxes": []}, {"boxes": [BOX]})
    found = values(data, {0: proposed(BOX, OTHER), 1: proposed(BOX)})
    assert found["AR@100"] == 1
    assert found["per_image"] == 1.5


def test_images_without_proposals_have_their_objects_missed():
    data = dataset({"boxes": [BOX]}, {"boxes": [BOX]})
    assert values(data, {0: proposed(BOX)})["AR@1000"] == 0.5
    assert values(data, {})["AR@1000"] == 0


def test_no_objects_are_no_recall():
    assert values(dataset({"boxes": []}), {0: proposed(BOX)}) == {"per_image": 1}
    assert values(dataset(), {}) == {"per_image": 0}


def cover_by_hand(truth, boxes):
    """The definition in plain Python: sort all pairs, take each whose two are free."""

    def overlap(a, b):
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(width, 0) * max(height, 0)
        area = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
        return shared / (area - shared)

    pairs = [(overlap(g, b), i, j) for i, g in enumerate(truth) for j, b in enumerate(boxes)]
    covered, used = {}, set()
    for value, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        if i not in covered and j not in used:
            covered[i] = value
            used.add(j)
    return [covered.get(i, 0) for i in range(len(truth))]


def test_equals_plain_python_on_crowded_images():
    rng = np.random.default_rng(0)
    images, proposals, covered = [], {}, []
    for index in range(20):
        truth, boxes = (
            np.concatenate([corner, corner + rng.uniform(20, 60, corner.shape)], 1)
            for corner in (rng.uniform(0, 50, (n, 2)) for n in (rng.integers(1, 9), 40))
        )
        data = dataset({"boxes": truth})
        proposals[index] = proposed(*boxes)
        images.append({"boxes": truth})
        exact = data.records[0].boxes.tolist(), proposals[index].boxes.tolist()
        covered += cover_by_hand(*exact)
    found = values(dataset(*images), proposals)
    for percent in range(50, 100, 5):
        expected = np.mean([100 * value >= percent for value in covered])
        assert found[f"recall@1000_IoU{percent}"] == pytest.approx(expected), percent
    assert 0.1 < found["AR@1000"] < 0.9


def test_equals_pycocotools_where_no_proposal_has_the_choice_between_two_objects():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(1)
    images, proposals, truth, results = [], {}, [], []
    for index in range(6):
        # A grid of objects that lie apart, and proposals around each of them.
        corner = np.stack(np.meshgrid([0.0, 150.0, 300.0], [0.0, 150.0, 300.0]), -1).reshape(-1, 2)
        boxes = np.concatenate([corner, corner + rng.integers(20, 110, (9, 2))], 1)
        crowd = rng.random(9) < 0.2
        near = np.repeat(boxes, 40, 0) + rng.normal(0, 8, (360, 4)).round(3)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        near = rng.permutation(near)
        images.append({"boxes": boxes, "crowd": crowd})
        proposals[index] = proposed(*near)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        sides = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes.tolist()]
        for k in range(9):
            truth.append({
                "id": len(truth) + 1, "image_id": index + 1, "category_id": 1 + k % 2,
                "bbox": sides[k], "area": area[k], "iscrowd": int(crowd[k]),
            })  # fmt: skip
        for (x0, y0, x1, y1), score in zip(near.tolist(), proposals[index].scores, strict=True):
            box = [x0, y0, x1 - x0, y1 - y0]
            results.append(
                {"image_id": index + 1, "category_id": 1, "bbox": box, "score": float(score)}
            )
    coco = COCO()
    coco.dataset = {
        "images": [{"id": index + 1} for index in range(6)],
        "categories": [{"id": 1}, {"id": 2}],
        "annotations": truth,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.params.useCats = 0
        evaluation.params.maxDets = [100, 300, 1000]
        evaluation.evaluate()
        evaluation.accumulate()
    recall = evaluation.eval["recall"][:, 0]  # (T, areas, limits)
    found = values(dataset(*images), proposals)
    names = ("AR@100", "AR@300", "AR@1000")
    assert [found[name] for name in names] == pytest.approx(recall[:, 0].mean(0))
    assert [found[f"AR{size}@1000"] for size in "sml"] == pytest.approx(recall[:, 1:, 2].mean(0))
    each = [found[f"recall@1000_IoU{k}"] for k in range(50, 100, 5)]
    assert each == pytest.approx(recall[:, 0, 2])
    assert 0.1 < found["AR@100"] < found["AR@300"] < found["AR@1000"] < 0.9


CONFIG = Config(
    # Enlarged, so that the pixels of the network's input are not those of the images.
    data=DataConfig(format="shapes", short_side=160, long_side=240),
    eval=EvalConfig(batch_size=4),
)


def know_all(batch):
    """The ground truth as proposals, the last place of each image an invalid one of NaN."""
    boxes = np.concatenate([batch.boxes, np.full_like(batch.boxes[:, :1], np.nan)], 1)
    valid = np.pad(batch.box_valid, [(0, 0), (0, 1)])
    return Proposals(boxes, np.where(valid, 3.0, -np.inf).astype(np.float32), valid)


def test_proposals_come_back_in_pixels_of_the_original_images():
    data = shapes_dataset(7, 3)  # the last batch is filled up
    found = find_proposals(know_all, data, CONFIG)
    assert sorted(found.proposals) == list(range(7))
    for index, (boxes, scores) in found.proposals.items():
        np.testing.assert_allclose(boxes, data.records[index].boxes, atol=1e-3)
        assert scores.tolist() == [3.0] * len(boxes)
    assert values(data, found.proposals)["AR@100"] == 1


def test_the_objects_of_a_batch_are_covered_in_pixels_of_the_original_images():
    records = (
        make_record(1, "a", "", (80, 120), [(0, 0, 40, 40), (60, 0, 100, 40)], [1, 1]),
        make_record(2, "b", "", (80, 120), [(0, 0, 9, 9), (0, 0, 80, 40)], [1, 2], crowd=[1, 0]),
    )
    data = Dataset(
        "two", records, ("cat", "dog"), reader=lambda _: np.zeros((80, 120, 3), np.uint8)
    )

    def propose(batch):  # half of each object, and one more that is not valid
        boxes = batch.boxes.copy()
        boxes[..., 3] = (boxes[..., 1] + boxes[..., 3]) / 2
        boxes = np.concatenate([boxes, batch.boxes], 1)
        valid = np.concatenate([batch.box_valid, np.zeros_like(batch.box_valid)], 1)
        return Proposals(boxes, np.zeros(boxes.shape[:2], np.float32), valid)

    covers = {}
    for batch, _ in eval_batches(data, CONFIG):
        covers |= cover_objects(batch, propose(batch), data)
    assert sorted(covers) == [0, 1]
    np.testing.assert_allclose(covers[0], [0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(covers[1], [0.5], atol=1e-6)


def unreadable(record):
    raise DataError(f"{record.name}: broken")


def test_unreadable_images_are_skipped_and_named_or_raise():
    broken = dataclasses.replace(shapes_dataset(7, 3), reader=unreadable)
    skip = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, on_error="skip"))
    found = find_proposals(know_all, broken, skip)
    assert found.proposals == {}
    assert len(found.unread) == 7
    with pytest.raises(DataError, match="broken"):
        find_proposals(know_all, broken, CONFIG)
