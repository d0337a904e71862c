import numpy as np
import pytest

from jaxrcnn.evaluation.analysis.confusion import confusion_matrix
from jaxrcnn.evaluation.matching import match_detections
from tests.evaluation.boxes_by_chance import by_loops, draw


def by_plain_loops(dataset, found, lowest):
    """Greedy by score, whatever the class."""
    classes = len(dataset.class_names)
    matrix = np.zeros((classes + 1, classes + 1), int)
    rows = by_loops(dataset, found, same_class=False, lowest=lowest)
    for number, record in enumerate(dataset.records):
        objects = record.labels[~(record.crowd | record.difficult)].tolist()
        missed = set(range(len(objects)))
        for image, label, _, target, is_ignored in rows:
            if image != number or is_ignored:
                continue
            true = classes if target is None else objects[target] - 1
            missed.discard(target)
            matrix[true, label - 1] += 1
        for target in missed:
            matrix[objects[target] - 1, classes] += 1
    return matrix


@pytest.mark.parametrize("lowest", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_the_matrix_is_that_of_a_plain_loop(seed, lowest):
    dataset, found = draw(seed, classes=1 + seed % 4)
    matrix = confusion_matrix(match_detections(dataset, found), lowest)
    np.testing.assert_array_equal(matrix, by_plain_loops(dataset, found, lowest))
    objects = sum((~record.crowd).sum() for record in dataset.records)
    assert matrix[:-1].sum() == objects > 0


def test_each_class_may_have_a_threshold_of_its_own():
    dataset, found = draw(1, crowds=0)
    matching = match_detections(dataset, found)
    matrix = confusion_matrix(matching, np.array([0.3, 2.0, 0.3]))
    assert matrix[:, 1].sum() == 0
    assert matrix[:, 0].sum() == ((matching.found.label == 1) & (matching.found.score >= 0.3)).sum()


def test_without_detections_everything_is_missed():
    dataset, _ = draw(0, crowds=0)
    matrix = confusion_matrix(match_detections(dataset, {}), 0.5)
    assert matrix[:, :-1].sum() == 0
    np.testing.assert_array_equal(
        matrix[:-1, -1], np.bincount(dataset.columns.labels, minlength=4)[1:]
    )
