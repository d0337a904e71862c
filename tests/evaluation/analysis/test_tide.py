import pytest

from jaxrcnn.evaluation.analysis.tide import find_errors, lost_precision
from jaxrcnn.evaluation.matching import match_detections
from tests.evaluation.recorded_tide import CASES, open_case


@pytest.mark.parametrize("name", CASES)
def test_the_lost_precision_is_that_of_tidecv(name):
    matching = match_detections(*open_case(name))
    tide, expected = lost_precision(matching, find_errors(matching)), CASES[name]["tidecv"]
    assert tide.ap == pytest.approx(expected["ap"], abs=1e-9)
    assert tide.lost == pytest.approx(expected["lost"], abs=1e-9)
    assert tide.false_positives == pytest.approx(expected["false_positives"], abs=1e-9)
    assert tide.false_negatives == pytest.approx(expected["false_negatives"], abs=1e-9)
