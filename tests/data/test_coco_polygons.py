import json

import numpy as np
import pytest

from jaxrcnn.data.coco_polygons import without_polygons
from tests.data.mutations import mutated

POLYGONS = [[[1, 2.5, -3, 0]], [[0.25, 10], [100.0, 7, 8]]]
RUNS = {"counts": [1, 2], "size": [3, 4]}


def text(polygons, style):
    return json.dumps({"id": 1, "segmentation": polygons, "bbox": [1, 2, 3, 4]}, **style)


def after(content):
    return json.loads(without_polygons(content))


@pytest.mark.parametrize("polygons", POLYGONS)
@pytest.mark.parametrize("style", [{}, {"indent": 1}, {"separators": (",", ":")}])
def test_polygons_are_left_out(polygons, style):
    content = text(polygons, style)
    assert after(content) == {"id": 1, "segmentation": 0, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    "kept", [RUNS, [], [[]], [[1e30]], [[1], "2"], None, [[[1]]], [1], [[True]]]
)
def test_other_segmentations_stay(kept):
    content = text(kept, {})
    assert without_polygons(content) == content


@pytest.mark.parametrize(
    "wrong", ["01", "1.", ".5", "+1", "1.2.3", "-", "1 2", "1,", "NaN", "\u0661"]
)
def test_what_is_not_json_stays(wrong):
    content = f'{{"segmentation": [[1, {wrong}]]}}'
    assert without_polygons(content) == content


def test_an_integer_that_python_refuses_stays():
    content = text([[1]], {}).replace("[[1]]", f"[[{'9' * 5000}]]")
    assert without_polygons(content) == content


def test_a_text_within_a_string_stays():
    for value in ('"segmentation": [[1]]', '\\"segmentation": [[1]]'):
        content = json.dumps({"a": value, "b": [value]})
        assert without_polygons(content) == content


def test_a_damaged_text_is_valid_after_it_where_it_was_before():
    rng = np.random.default_rng(0)
    content = json.dumps([json.loads(text(polygons, {})) for polygons in POLYGONS]).encode()
    valid = []
    for _ in range(2000):
        damaged = mutated(content, rng).decode("utf-8", "replace")
        valid.append(_is_json(damaged))
        assert _is_json(without_polygons(damaged)) == valid[-1]
    assert set(valid) == {False, True}


def _is_json(content):
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
