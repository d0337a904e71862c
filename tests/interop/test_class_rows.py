"""Rows of classes, matched by name; tests of whole detectors are in test_initial_weights."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxrcnn.interop.class_rows import as_in_weights, drawn_layers, match_rows, with_rows
from jaxrcnn.training.workdir import Classes
from tests.tiny import MODEL, change

THEIRS = Classes(("a", "b"), (1, 2))
AGNOSTIC = change(MODEL, box_head={"class_agnostic": True})
SHAPE = jax.ShapeDtypeStruct


def head(count, first=0.0, boxes=None):
    """Last layers of numbers that tell them apart, for two inputs."""
    columns = {"cls_score": count + 1, "bbox_pred": 4 * (boxes or count)}
    layers = {
        name: {
            "kernel": first + np.arange(2 * n, dtype=np.float32).reshape(2, n),
            "bias": first + np.arange(n, dtype=np.float32),
        }
        for name, n in columns.items()
    }
    return {"params": {"box_head": {**layers, "fc6": {"bias": np.full(3, first)}}}}


@pytest.mark.parametrize(
    ("number", "theirs", "ours", "sources"),
    [
        (2, THEIRS, ("a", "b"), None),
        (2, THEIRS, ("b", "a"), (2, 1)),
        (2, THEIRS, (" b", "c", "d"), (2, 0, 0)),
        (2, THEIRS, ("A", "B"), (0, 0)),
        (2, None, ("a", "b"), None),
        (2, THEIRS, None, None),
        (5, None, ("a", "b"), (0, 0)),
        (5, THEIRS._replace(names=("v", "w", "a", "x", "b")), ("a", "b"), (3, 5)),
    ],
)
def test_classes_are_matched_by_name_and_never_by_place(number, theirs, ours, sources):
    config = dataclasses.replace(MODEL, num_classes=len(ours or (0, 0)))
    rows = match_rows(number, theirs, ours, config, keep=True)
    assert rows.sources == sources
    silent = sources is None and theirs is not None
    assert bool(rows.line) is not silent


def test_many_names_are_cut_short():
    names = tuple(f"k{i}" for i in range(20))
    config = dataclasses.replace(MODEL, num_classes=20)
    rows = match_rows(20, Classes(names, ()), names[::-1], config, keep=True)
    assert "k19, k18, k17, k16, k15, k14 and 14 more kept by name" in rows.line


def test_layers_without_a_common_class_are_drawn():
    config = dataclasses.replace(MODEL, num_classes=2)
    rows = match_rows(2, THEIRS, ("x", "y"), config, keep=True)
    assert drawn_layers(rows, config) == ("box_head/cls_score", "box_head/bbox_pred")
    agnostic = dataclasses.replace(AGNOSTIC, num_classes=2)
    assert drawn_layers(rows, agnostic) == ("box_head/cls_score",)
    kept = match_rows(2, THEIRS, ("x", "b"), config, keep=True)
    assert drawn_layers(kept, config) == ()


def test_rows_move_and_the_rest_stays():
    config = dataclasses.replace(MODEL, num_classes=3)
    rows = match_rows(2, THEIRS, ("x", "b", "y"), config, keep=True)
    like, loaded = head(3, 100.0), head(2)
    shapes = as_in_weights(rows, like, config)["params"]["box_head"]
    assert shapes["cls_score"]["kernel"].shape == (2, 3)
    assert shapes["bbox_pred"]["bias"].shape == (8,)
    assert shapes["fc6"]["bias"] is like["params"]["box_head"]["fc6"]["bias"]
    found = with_rows(rows, loaded, like, config)["params"]["box_head"]
    np.testing.assert_array_equal(found["cls_score"]["bias"], [0, 101, 2, 103])
    np.testing.assert_array_equal(found["cls_score"]["kernel"][1], [3, 105, 5, 107])
    boxes = [*range(100, 104), *range(4, 8), *range(108, 112)]
    np.testing.assert_array_equal(found["bbox_pred"]["bias"], boxes)
    np.testing.assert_array_equal(found["fc6"]["bias"], [0, 0, 0])


def test_class_agnostic_boxes_are_taken_whole():
    config = dataclasses.replace(AGNOSTIC, num_classes=1)
    rows = match_rows(2, THEIRS, ("b",), config, keep=True)
    found = with_rows(rows, head(2, boxes=1), head(1, 100.0), config)["params"]["box_head"]
    np.testing.assert_array_equal(found["cls_score"]["bias"], [0, 2])
    np.testing.assert_array_equal(found["bbox_pred"]["bias"], [0, 1, 2, 3])


def test_shapes_stay_shapes():
    config = dataclasses.replace(MODEL, num_classes=3)
    rows = match_rows(2, THEIRS, ("x", "b", "y"), config, keep=True)
    like = jax.tree.map(lambda x: SHAPE(x.shape, x.dtype), head(3))
    found = with_rows(rows, head(2), like, config)["params"]["box_head"]
    assert found["cls_score"]["kernel"] == SHAPE((2, 4), np.float32)
