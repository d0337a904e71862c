"""A tiny random model's detections, against `forward_infer` on a batch that is made by hand."""

import copy
import dataclasses
import json
import operator
import pickle
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

import jaxrcnn
import jaxrcnn.model
from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.detector import forward_infer
from jaxrcnn.model import Objects
from jaxrcnn.training.workdir import Classes
from tests.tiny import SIZE, write_model

RNG = np.random.default_rng(5)
LYING, STANDING = (
    RNG.integers(0, 256, (*size, 3), np.uint8) for size in ((48, 64), (64, 48))
)  # of the network's input: these are not resized


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(folder):
    return jaxrcnn.load(str(folder))


@pytest.fixture(scope="module")
def batch():
    """The network's input: the two images, each in the corner of a square."""
    images = np.zeros((2, SIZE, SIZE, 3), np.float32)
    images[0, :48, :64], images[1, :64, :48] = LYING, STANDING
    return images, np.array([[48, 64], [64, 48]], np.int32)


@pytest.fixture(scope="module")
def expected(model, batch):
    """What the pure function finds in it, in the pixels of the two."""
    found = jax.jit(forward_infer, static_argnums=0)(model.detector, model.variables, *batch)
    assert np.asarray(found.valid).sum(1).min() > 4
    return [
        [np.asarray(values)[i, np.asarray(found.valid)[i]] for values in found[:3]] for i in (0, 1)
    ]


def assert_found(objects, expected, scale=1):
    boxes, scores, labels = expected
    assert isinstance(objects, Objects)
    np.testing.assert_allclose(objects.boxes, boxes * scale, atol=1e-3)
    np.testing.assert_allclose(objects.scores, scores, atol=1e-5)
    np.testing.assert_array_equal(objects.labels, labels)
    assert [x.dtype.kind for x in objects] == ["f", "f", "i", "U"]
    assert objects.names.tolist() == [("cat", "dog", "bird")[label - 1] for label in labels]


def test_a_prediction_is_known_by_its_config_and_its_shapes(model, monkeypatch):
    asked = []

    def compile_anew(description, lower):
        asked.append(description)
        return lower().compile()

    monkeypatch.setattr(jaxrcnn.model, "load_or_compile", compile_anew)
    monkeypatch.setattr(jaxrcnn.model, "_COMPILED", {})
    for images in ([LYING], [STANDING], [LYING, STANDING]):
        model.predict(images, score=0)
    assert len(asked) == 2  # of one image and of two
    for number, description in enumerate(asked, 1):
        assert "num_classes=3" in description
        assert f"(({number}, {SIZE}, {SIZE}, 3), 'float32')" in description


def test_a_forks_pieces_are_traced_in_every_process(model, monkeypatch):
    asked = []
    monkeypatch.setattr(jaxrcnn.model, "load_or_compile", lambda *_: asked.append(_))

    def infer(*arguments):
        return forward_infer(*arguments)

    detector = model.detector._replace(infer=infer)
    fork = dataclasses.replace(model, detector=detector)
    assert len(fork.predict([LYING], score=0)) == 1
    assert asked == []


def test_boxes_are_in_pixels_of_each_image_whatever_it_comes_as(model, expected, tmp_path):
    Image.fromarray(STANDING).save(tmp_path / "a.png")
    doubled = LYING.repeat(2, axis=0).repeat(2, axis=1)  # half of it is LYING again, bit for bit
    mixed = [doubled, tmp_path / "a.png", Image.fromarray(LYING), str(tmp_path / "a.png")]
    found = model.predict(mixed, score=0)
    assert len(found) == 4
    assert_found(found[0], expected[0], scale=2)
    assert_found(found[1], expected[1])
    assert_found(found[2], expected[0])
    assert_found(found[3], expected[1])


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_batch_size_changes_nothing(model, expected, batch_size):
    found = model.predict([LYING, STANDING, LYING], score=0, batch_size=batch_size)
    for objects, place in zip(found, (0, 1, 0), strict=True):
        assert_found(objects, expected[place])


def test_objects_below_the_score_are_left_out(model, expected):
    scores = expected[0][1]
    assert scores[3] < scores[2]
    (found,) = model.predict([LYING], score=(scores[2] + scores[3]) / 2)
    assert_found(found, [values[:3] for values in expected[0]])
    (nothing,) = model.predict([LYING], score=1)
    assert [x.shape for x in nothing] == [(0, 4), (0,), (0,), (0,)]


def test_half_is_the_score_that_is_asked_for(model):
    (found,) = model.predict([LYING], score=0)
    (default,) = model.predict([LYING])
    assert len(default.scores) == (found.scores >= 0.5).sum()


def test_thresholds_and_limits_are_those_asked_for(model, expected, folder):
    _, scores, _ = expected[0]
    threshold = float((scores[4] + scores[5]) / 2)
    few = jaxrcnn.load(folder, score_threshold=threshold, max_detections=3)
    (found,) = few.predict([LYING], score=0)
    assert_found(found, [values[:3] for values in expected[0]])
    assert few.config.model.detections.nms_iou == model.config.model.detections.nms_iou
    with pytest.raises(ConfigError, match=r"model\.num_classes cannot be changed"):
        jaxrcnn.load(folder, num_classes=4)


@pytest.mark.slow
def test_without_jit_it_finds_the_same(model, expected):
    with jax.disable_jit():
        (found,) = model.predict([LYING], score=0)
    assert_found(found, expected[0])


def test_a_model_is_shown_in_one_line(model, folder):
    expected = f"<Model: resnet18 c4, 3 classes (cat, dog, bird), from {str(folder)!r}>"
    assert repr(model) == expected
    many = Classes(tuple("abcdef"), tuple(range(6)))
    other = dataclasses.replace(model, classes=many, step=200, folder=None)
    assert repr(other) == "<Model: resnet18 c4, 6 classes (a, b, c, ...), step 200>"


def test_a_model_is_pickled_by_value_without_its_programs(model, expected):
    model.predict([LYING], score=0)
    assert model.programs is model.programs
    data = pickle.dumps(model)
    assert len(data) < 2 * sum(x.nbytes for x in jax.tree.leaves(model.variables)) + 20_000
    again = pickle.loads(data)
    assert (again.config, again.classes, again.step) == (model.config, model.classes, model.step)
    assert again.detector == model.detector
    assert_found(again.predict([LYING], score=0)[0], expected[0])


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copies_share_the_arrays_and_predict_the_same(model, expected, duplicate):
    again = duplicate(model)
    assert again is not model
    assert all(map(operator.is_, *(jax.tree.leaves(m.variables) for m in (model, again))))
    assert (again.variables is model.variables) == (duplicate is copy.copy)
    assert_found(again.predict([LYING], score=0)[0], expected[0])


def test_with_flip_a_mirrored_image_has_mirrored_detections(model):
    found, mirrored = (
        model.predict([image], score=0, flip=True)[0] for image in (LYING, LYING[:, ::-1])
    )
    plain = model.predict([LYING], score=0)[0]
    assert len(found.scores) > 4
    assert not np.array_equal(found.scores, plain.scores)
    x0, y0, x1, y1 = mirrored.boxes.T
    np.testing.assert_allclose(found.boxes, np.stack([64 - x1, y0, 64 - x0, y1], 1), atol=1e-3)
    np.testing.assert_allclose(found.scores, mirrored.scores, atol=1e-5)
    np.testing.assert_array_equal(found.labels, mirrored.labels)


def test_tiles_that_do_not_overlap_are_images_of_their_own(model):
    left, right = RNG.integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    (found,) = model.predict([np.hstack([left, right])], score=0, tile=SIZE, overlap=0)
    alone = model.predict([left, right], score=0)
    boxes = np.concatenate([alone[0].boxes, alone[1].boxes + np.float32([SIZE, 0, SIZE, 0])])
    scores = np.concatenate([one.scores for one in alone])
    best = np.argsort(-scores, kind="stable")[: model.config.model.detections.max_detections]
    assert {*(boxes[best, 0] >= SIZE)} == {True, False}
    np.testing.assert_allclose(found.boxes, boxes[best], atol=1e-4)
    np.testing.assert_allclose(found.scores, scores[best], atol=1e-5)


@pytest.mark.parametrize("wrong", [{"tile": 8}, {"scales": [0]}, {"overlap": 1}])
def test_views_that_cannot_be_are_one_line(model, wrong):
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))}="):
        model.predict([LYING], **wrong)


def test_no_images_have_no_objects(model):
    assert model.predict([]) == []


def test_the_pure_function_is_used_in_ones_own_jit(model, batch, expected):
    @jax.jit
    def share_of_the_best(variables, images, image_sizes):
        found = forward_infer(model.detector, variables, images, image_sizes)
        sides = found.boxes[:, 0, 2:] - found.boxes[:, 0, :2]
        return sides.prod(axis=1) / image_sizes.prod(axis=1)

    shares = share_of_the_best(model.variables, *batch)
    best = np.array([boxes[0] for boxes, _, _ in expected])
    by_hand = (best[:, 2] - best[:, 0]) * (best[:, 3] - best[:, 1]) / (48 * 64)
    np.testing.assert_allclose(shares, by_hand, rtol=1e-4)


@pytest.mark.parametrize("score", [50, -1, 1.01, float("nan"), "0.5", None, True])
def test_a_score_that_is_none_is_one_line(model, score):
    with pytest.raises(ConfigError) as caught:
        model.predict([LYING], score=score)
    assert str(caught.value) == f"score={score!r} must be a number from 0 to 1, or 'best'"


def test_the_best_score_of_each_class_is_that_of_the_last_evaluation(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    model = jaxrcnn.load(tmp_path / "model")
    with pytest.raises(ConfigError, match="has no analysis"):
        model.predict([LYING], score="best")
    (everything,) = model.predict([LYING], score=0)
    lowest = [float(np.median(everything.scores[everything.labels == k])) for k in (1, 2)]
    rows = {"cat": {"threshold": lowest[0]}, "dog": {"threshold": lowest[1]}}
    content = {"step": 0, "classes": {**rows, "bird": {"threshold": 1.0}}}
    (tmp_path / "model" / "eval").mkdir()
    (tmp_path / "model" / "eval" / "analysis.json").write_text(json.dumps(content))
    (best,) = model.predict([LYING], score="best")
    kept = everything.scores >= np.array([*lowest, 1.0])[everything.labels - 1]
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(best.boxes, everything.boxes[kept])
    content["step"] = 7
    (tmp_path / "model" / "eval" / "analysis.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="are those of step 7"):
        model.predict([LYING], score="best")
    with pytest.raises(ConfigError, match="loaded from its folder"):
        dataclasses.replace(model, folder=None).predict([LYING], score="best")


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, 2.0, "2", None, True])
def test_a_batch_size_that_is_none_is_one_line(model, batch_size):
    with pytest.raises(ConfigError) as caught:
        model.predict([], batch_size=batch_size)
    assert str(caught.value) == f"batch_size={batch_size!r} must be a whole number from 1"


def test_numbers_of_numpy_are_numbers(model):
    (found,) = model.predict([LYING], score=np.float32(0), batch_size=np.int64(1))
    assert len(found.scores) > 0


@pytest.mark.parametrize("bad", ["none.png", "torn.jpg"])
def test_a_image_that_cannot_be_read_is_an_error_that_names_it(model, tmp_path, bad):
    Image.fromarray(LYING).save(tmp_path / "a.png")
    Image.fromarray(LYING).save(tmp_path / "torn.jpg")
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "torn.jpg").read_bytes()[:-500])
    with pytest.raises(DataError, match=bad):
        model.predict([tmp_path / "a.png", tmp_path / bad])


def test_a_folder_without_a_model_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=rf"{tmp_path} is not .* config\.json"):
        jaxrcnn.load(tmp_path)
    write_model(tmp_path / "m")
    (tmp_path / "m" / "classes.json").write_text('{"names": ["cat"], "ids": [2]}')
    with pytest.raises(
        ConfigError, match=r"classes\.json has 1 names, and model\.num_classes is 3"
    ):
        jaxrcnn.load(tmp_path / "m")
    (tmp_path / "m" / "classes.json").unlink()
    with pytest.raises(ConfigError, match=r"classes\.json"):
        jaxrcnn.load(tmp_path / "m")


@pytest.mark.slow
@pytest.mark.parametrize("canvas", ["ladder", "exact"])
def test_an_image_has_the_same_detections_alone_and_in_any_company(folder, canvas):
    model = jaxrcnn.load(folder, short_side=64, long_side=96, canvas=canvas)
    sizes = [(60, 80), (80, 60), (50, 50), (30, 90), (60, 80)]
    images = [RNG.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    alone = [model.predict([image], score=0)[0] for image in images]
    for found in (
        model.predict(images, score=0),
        model.predict(images, score=0, batch_size=1),
        model.predict(images[::-1], score=0, batch_size=2)[::-1],
    ):
        for one, other in zip(alone, found, strict=True):
            np.testing.assert_allclose(other.boxes, one.boxes, atol=1e-3)
            np.testing.assert_allclose(other.scores, one.scores, atol=1e-5)
            np.testing.assert_array_equal(other.labels, one.labels)
