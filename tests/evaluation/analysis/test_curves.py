import numpy as np
import pytest

from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.analysis.curves import draw_curves
from jaxrcnn.evaluation.matching import match_detections
from tests.evaluation.boxes_by_chance import by_loops, draw


def at(rows, label, objects, lowest):
    """Precision, recall and F1 by counting."""
    kept = [row for row in rows if row[1] == label and row[2] >= lowest and not row[4]]
    hits = sum(row[3] is not None for row in kept)
    precision = hits / len(kept) if kept else np.nan
    recall = hits / objects if objects else np.nan
    f1 = 2 * hits / (len(kept) + objects) if objects else np.nan
    return precision, recall, f1


def counts_of(dataset):
    ignored = dataset.columns.crowd | dataset.columns.difficult
    return np.bincount(
        dataset.columns.labels[~ignored], minlength=len(dataset.class_names) + 1
    ).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_curves_and_best_thresholds_are_those_of_counting(seed):
    dataset, found = draw(seed, classes=1 + seed)
    curves, rows = draw_curves(match_detections(dataset, found)), by_loops(dataset, found)
    np.testing.assert_allclose(curves.scores, np.arange(101) / 100)
    for label, objects in enumerate(counts_of(dataset)[1:], 1):
        expected = [at(rows, label, objects, lowest) for lowest in curves.scores]
        got = [values[label - 1] for values in (curves.precision, curves.recall, curves.f1)]
        np.testing.assert_allclose(np.array(got).T, expected)
        scores = sorted({row[2] for row in rows if row[1] == label and not row[4]}, reverse=True)
        f1 = [at(rows, label, objects, score)[2] for score in scores]
        best = curves.best[label - 1]
        if not objects or not scores or max(f1) == 0:
            assert best is None
        else:
            score = scores[int(np.argmax(f1))]  # of equal ones the highest
            assert best.score == score
            assert best[1:] == pytest.approx(at(rows, label, objects, score))


def test_a_class_without_objects_has_precision_alone_and_no_best_threshold():
    dataset, found = draw(0)
    more = Dataset("more", dataset.records, (*dataset.class_names, "unseen"))
    found[0] = found[0]._replace(labels=np.full_like(found[0].labels, 4))
    curves = draw_curves(match_detections(more, found))
    assert curves.best[3] is None
    assert np.isnan(curves.recall[3]).all()
    assert np.isnan(curves.f1[3]).all()
    assert curves.precision[3, 0] == 0


def test_without_detections_there_is_no_precision_and_no_best_threshold():
    dataset, _ = draw(0)
    curves = draw_curves(match_detections(dataset, {}))
    assert np.isnan(curves.precision).all()
    assert (curves.recall == 0).all()
    assert curves.best == [None] * 3


def test_the_scores_reach_as_far_as_those_of_the_detections():
    dataset, found = draw(0)
    found[0] = found[0]._replace(scores=found[0].scores * 20 - 5)
    scores = draw_curves(match_detections(dataset, found)).scores
    assert (scores[0], scores[-1]) == (found[0].scores.min(), found[0].scores.max())
