import numpy as np
import pytest

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.analysis.stages import stage_recalls
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.matching import match_detections

# One object for each fate, 100 x 100 but for the last, and a crowd.
BOXES = [(200 * i, 0, 200 * i + 100, 100) for i in range(4)] + [(900, 0, 920, 20)]
NAMES = ("cat", "dog", "bird")


@pytest.fixture(scope="module")
def matching():
    records = (
        make_record(1, "a", "", (200, 1000), BOXES, [1, 1, 1, 2, 2], crowd=[0, 0, 0, 0, 1]),
        make_record(2, "b", "", (200, 1000), [(0, 0, 20, 20)], [2]),
    )
    found = {
        0: ImageDetections(
            # At IoU 0.6 the first by its class, the second by another.
            np.array([(0, 0, 100, 60), (200, 0, 300, 60), (400, 0, 440, 100)], np.float32),
            np.array([0.9, 0.1, 0.8], np.float32),
            np.array([1, 2, 1], np.int32),
        )
    }
    return match_detections(Dataset("two", records, NAMES), found)


def test_recall_of_each_stage_and_what_became_of_the_objects(matching):
    # The proposals cover the first at 0.75, the third at 0.5, the second and fourth at less.
    covers = {0: np.array([0.75, 0.4, 0.5, 0.1])}  # the second image has none
    recalls = stage_recalls(matching, covers, NAMES)
    everything = recalls["all"]["all"]
    assert everything.objects == 5
    assert everything.proposals == (2 / 5, 1 / 5)
    assert everything.any_class == (2 / 5, 0)
    assert everything.own_class == (1 / 5, 0)
    assert everything.fates == {
        "found": 1,
        "wrong class": 1,
        "lost by the second stage": 1,
        "lost by the first stage": 2,
    }
    assert recalls["class"]["cat"].proposals == (2 / 3, 1 / 3)
    assert recalls["class"]["dog"].fates["lost by the first stage"] == 2
    assert {name: one.objects for name, one in recalls["size"].items()} == {
        "small": 1,
        "medium": 0,
        "large": 4,
    }


def test_what_has_no_objects_has_no_recall(matching):
    bird = stage_recalls(matching, {}, NAMES)["class"]["bird"]
    assert (bird.objects, bird.proposals, bird.own_class) == (0, (None, None), (None, None))


def test_without_proposals_nobody_says_which_stage_lost_an_object(matching):
    everything = stage_recalls(matching, None, NAMES)["all"]["all"]
    assert everything.proposals == (None, None)
    assert everything.own_class == (1 / 5, 0)
    assert list(everything.fates.values()) == [1, 1, None, None]
