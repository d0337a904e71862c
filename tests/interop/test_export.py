"""The exported program in a process that has jax and no jaxrcnn, beside loader and detector."""

import dataclasses
import functools
import os
import subprocess
import sys
from collections import namedtuple

import jax
import numpy as np
import pytest

from jaxrcnn.data import transforms
from jaxrcnn.data.sample import empty_sample
from jaxrcnn.detector import build, forward_infer
from jaxrcnn.interop.export import (
    Preprocessing,
    export_program,
    find_objects,
    named_weights,
    unnamed_weights,
)
from jaxrcnn.types import Detections
from tests.tiny import MODEL, make_variables

DETECTOR = build(MODEL)
PREPROCESSING = Preprocessing(48, 64, "torchvision")
SIZES = {"lying": [(60, 80), (50, 90)], "upright": [(80, 60)], "both": [(60, 80), (80, 30)]}

RUN = """
import sys
sys.modules["jaxrcnn"] = None  # not to be imported
import jax, numpy as np
program, inputs, out = sys.argv[1:]
program = jax.export.deserialize(bytearray(open(program, "rb").read()))
inputs = np.load(inputs)
weights = {name: inputs[name] for name in inputs.files if "/" in name}
found = program.call(*([weights] if weights else []), inputs["images"], inputs["sizes"])
np.savez(out, **found)
"""


@pytest.fixture(scope="module")
def variables():
    return make_variables(DETECTOR)


def draw_images(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def padded(images):
    """All in one array, and noise around them."""
    height, width = (max(x.shape[axis] for x in images) + 5 for axis in (0, 1))
    array = np.random.default_rng(9).integers(0, 256, (len(images), height, width, 3), np.uint8)
    for place, image in enumerate(images):
        array[place, : image.shape[0], : image.shape[1]] = image
    return array, np.array([image.shape[:2] for image in images], np.int32)


def expected(variables, images):
    """By the loader's resizing and the detector, the boxes taken back by hand."""
    batch = np.zeros((len(images), 64, 64, 3), np.float32)
    sizes = []
    for place, image in enumerate(images):
        size = transforms.resized_size(image.shape[:2], 48, 64, "torchvision")
        sample = dataclasses.replace(empty_sample(*image.shape[:2]), image=image)
        resized = transforms.resize(sample, size, "torchvision").image
        batch[place, : size[0], : size[1]] = resized
        sizes.append(size)
    infer = jax.jit(forward_infer, static_argnums=0)
    found = infer(DETECTOR, variables, batch, np.array(sizes, np.int32))
    factors = [
        [image.shape[1] / size[1], image.shape[0] / size[0]] * 2
        for image, size in zip(images, sizes, strict=True)
    ]
    return found._replace(boxes=found.boxes * np.array(factors)[:, None])


def assert_same(found, wanted):
    np.testing.assert_array_equal(found["valid"], wanted.valid)
    np.testing.assert_array_equal(found["labels"], wanted.labels)
    np.testing.assert_allclose(found["scores"], wanted.scores, atol=1e-4)
    np.testing.assert_allclose(found["boxes"], wanted.boxes, atol=1e-2)
    assert np.asarray(wanted.valid).sum() > 5


@pytest.mark.parametrize("weights_inside", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_process_without_jaxrcnn_finds_the_same(variables, weights_inside, tmp_path):
    program, inputs, out = (tmp_path / name for name in ("program.bin", "in.npz", "out.npz"))
    program.write_bytes(
        export_program(DETECTOR, PREPROCESSING, variables, weights_inside=weights_inside)
    )
    images = draw_images(SIZES["both"])
    array, sizes = padded(images)
    weights = {} if weights_inside else named_weights(variables)
    np.savez(inputs, images=array, sizes=sizes, **weights)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(program), str(inputs), str(out)],
        cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert_same(np.load(out), expected(variables, images))


def test_one_program_is_for_every_platform_number_and_size(variables):
    exported = jax.export.deserialize(bytearray(export_program(DETECTOR, PREPROCESSING, variables)))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert str(exported.in_avals[0].shape) == "(n, h, w, 3)"
    assert {
        name: x.dtype.name for name, x in exported.out_tree.unflatten(exported.out_avals).items()
    }["boxes"] == "float32"


@pytest.mark.parametrize("case", ["lying", pytest.param("upright", marks=pytest.mark.slow)])
def test_it_is_a_function_to_use_in_ones_own_jit(variables, case):
    images = draw_images(SIZES[case])
    array, sizes = padded(images)

    @jax.jit
    def doubled(array, sizes):
        found = find_objects(DETECTOR, PREPROCESSING, variables, array, sizes)
        return found._replace(boxes=2 * found.boxes)

    found = doubled(array, sizes)
    assert_same(found._replace(boxes=found.boxes / 2)._asdict(), expected(variables, images))


@pytest.mark.slow
def test_what_is_found_does_not_depend_on_the_images_beside_it(variables):
    preprocessing = Preprocessing(64, 96, "torchvision")  # a square, and a longer one both ways
    images = draw_images([(60, 80), (80, 30), (50, 50)])
    array, sizes = padded(images)
    run = jax.jit(functools.partial(find_objects, DETECTOR, preprocessing))
    together = run(variables, array, sizes)
    for place in range(3):
        alone = run(variables, array[place : place + 1], sizes[place : place + 1])
        found = jax.tree.map(lambda x, at=place: x[at : at + 1], together)
        assert_same(found._asdict(), alone)


def test_weights_have_names_and_come_back(variables):
    named = named_weights(variables)
    assert "params/box_head/cls_score/kernel" in named
    back = unnamed_weights(named, variables)
    jax.tree.map(np.testing.assert_array_equal, back, variables)


More = namedtuple("More", [*Detections._fields, "sides"])


def infer_more(*arguments):
    """Detections with the sides of their boxes."""
    found = forward_infer(*arguments)
    return More(*found, found.boxes[..., 2:] - found.boxes[..., :2])


def test_a_detector_of_ones_own_may_find_more_than_boxes(variables):
    detector, (array, sizes) = build(MODEL, infer=infer_more), padded(draw_images(SIZES["both"]))
    found = jax.eval_shape(
        lambda *batch: find_objects(detector, PREPROCESSING, variables, *batch), array, sizes
    )
    assert found._fields == More._fields
    assert found.sides.shape == (2, 12, 2)
