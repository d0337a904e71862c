import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.config import BackboneConfig, NeckConfig
from jaxrcnn.nets.backbone import build_backbone, frozen_modules

TINY = BackboneConfig("resnet18", width=8)
DILATED = dataclasses.replace(TINY, dilated_res5=True)
VGG = BackboneConfig("vgg16", norm="none")
MOBILENET = BackboneConfig("mobilenet_v3_large")
CASES = {
    "fpn": (TINY, "fpn", 4),
    "c4": (TINY, "c4", 1),
    "c5": (TINY, "c5", 1),
    "dc5": (DILATED, "c5", 1),
    "vgg16": (VGG, "c5", 1),
    "mobilenet": (MOBILENET, "fpn", 1),
}
STRIDES = {"fpn": (4, 8, 16, 32, 64), "c4": (16,), "c5": (32,), "dc5": (16,), "vgg16": (16,)}
STRIDES["mobilenet"] = (32, 32, 64)


def make(case, dtype="float32"):
    config, neck, _ = CASES[case]
    return build_backbone(config, NeckConfig(neck, channels=16), dtype)


def shapes(backbone, size):
    init = jax.eval_shape(backbone.init_with_output, jax.random.key(0), jnp.zeros((1, *size, 3)))
    return init[0]


@pytest.mark.parametrize("case", CASES)
def test_maps_have_the_strides_that_the_backbone_tells(case):
    backbone = make(case)
    assert backbone.strides == STRIDES[case]
    assert backbone.roi_levels == CASES[case][2]
    maps = shapes(backbone, (128, 192))
    assert [x.shape[1:3] for x in maps] == [(128 // s, 192 // s) for s in backbone.strides]


def test_an_fpn_takes_sides_that_are_no_multiples_of_the_stride():
    sizes = [x.shape for x in shapes(make("fpn"), (97, 65))]
    assert sizes == [
        (1, 25, 17, 16),
        (1, 13, 9, 16),
        (1, 7, 5, 16),
        (1, 4, 3, 16),
        (1, 2, 2, 16),
    ]


@pytest.mark.parametrize("case", CASES)
def test_equal_configs_make_equal_and_equally_hashed_modules(case):
    assert make(case) == make(case)
    assert hash(make(case)) == hash(make(case))
    assert make(case) != make(case, "bfloat16")


def test_an_equal_module_does_not_retrace():
    traces = []

    @jax.jit(static_argnums=0)
    def stride(backbone, x):
        traces.append(backbone)
        return x * backbone.strides[0]

    assert [stride(make("c4"), 1), stride(make("c4"), 1), stride(make("c5"), 1)] == [16, 16, 32]
    assert len(traces) == 2


def test_extractor_and_pyramid_are_named_body_and_fpn():
    image = jnp.zeros((1, 64, 64, 3))
    variables = jax.eval_shape(make("fpn").init, jax.random.key(0), image)
    assert set(variables["params"]) == {"body", "fpn"}
    assert set(variables["constants"]) == {"body"}
    variables = jax.eval_shape(make("c4").init, jax.random.key(0), image)
    assert set(variables["params"]) == {"body"}


def test_compute_dtype_is_that_of_the_maps_and_not_of_the_parameters():
    maps, variables = jax.eval_shape(
        make("fpn", "bfloat16").init_with_output, jax.random.key(0), jnp.zeros((1, 64, 64, 3))
    )
    assert {x.dtype for x in maps} == {jnp.dtype("bfloat16")}
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("case", ["fpn", "c4", "vgg16", "mobilenet"])
def test_frozen_modules_are_in_the_body(case):
    params = jax.eval_shape(make(case).init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))["params"]
    frozen = frozen_modules(CASES[case][0])
    assert frozen
    # A frozen norm has no parameters.
    assert set(frozen) - {"bn1", "stem_bn"} < set(params["body"])
