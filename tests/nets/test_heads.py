import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import AnchorConfig, BackboneConfig, BoxHeadConfig, ModelConfig, RpnConfig
from jaxrcnn.nets.heads import RpnHead, build_box_head, build_rpn_head

TINY = ModelConfig(
    num_classes=3,
    backbone=BackboneConfig("resnet18", width=8),
    box_head=BoxHeadConfig(channels=16, conv_channels=8, convs=2),
)
POOLED = np.random.default_rng(0).normal(size=(5, 4, 4, 6)).astype(np.float32)


def box_head(**fields):
    return build_box_head(
        dataclasses.replace(TINY, box_head=dataclasses.replace(TINY.box_head, **fields))
    )


def initialise(module, x):
    return jax.jit(module.init)(jax.random.key(0), x)


def test_rpn_head_agrees_with_numpy(numpy_conv):
    rng = np.random.default_rng(0)
    maps = tuple(rng.normal(size=(2, *size, 4)).astype(np.float32) for size in ((5, 4), (3, 2)))
    head = RpnHead(anchors_per_cell=3)
    params = jax.tree.map(
        lambda p: rng.normal(size=p.shape).astype(np.float32),
        jax.eval_shape(head.init, jax.random.key(0), maps)["params"],
    )
    logits, deltas = jax.jit(head.apply)({"params": params}, maps)
    for level, x in enumerate(maps):
        hidden = numpy_conv(x, params["conv"]["kernel"], padding=1) + params["conv"]["bias"]
        hidden = np.maximum(hidden, 0)
        for got, name in ((logits, "cls_logits"), (deltas, "bbox_pred")):
            expected = hidden @ params[name]["kernel"][0, 0] + params[name]["bias"]
            np.testing.assert_allclose(got[level], expected, rtol=1e-3, atol=1e-3)


def test_rpn_head_has_one_logit_and_four_deltas_for_every_anchor_of_a_cell():
    anchors = AnchorConfig(sizes=((32.0, 64.0), (128.0, 256.0)), ratios=(0.5, 1.0, 2.0))
    rpn = RpnConfig(channels=8, convs=2)
    head = build_rpn_head(dataclasses.replace(TINY, anchors=anchors, rpn=rpn))
    maps = (jnp.zeros((2, 4, 3, 5)), jnp.zeros((2, 2, 2, 5)))
    (logits, deltas), variables = jax.eval_shape(head.init_with_output, jax.random.key(0), maps)
    assert [x.shape for x in logits] == [(2, 4, 3, 6), (2, 2, 2, 6)]
    assert [x.shape for x in deltas] == [(2, 4, 3, 24), (2, 2, 2, 24)]
    params = variables["params"]
    assert set(params) == {"conv_0", "conv_1", "cls_logits", "bbox_pred"}
    assert params["conv_1"]["kernel"].shape == (3, 3, 8, 8)


def test_rpn_head_begins_with_deviation_one_hundredth_and_no_bias():
    params = initialise(RpnHead(anchors_per_cell=16), (jnp.zeros((1, 2, 2, 64)),))["params"]
    assert set(params) == {"conv", "cls_logits", "bbox_pred"}
    for layer in params.values():
        np.testing.assert_allclose(np.std(layer["kernel"]), 0.01, rtol=0.1)
        assert not np.any(layer["bias"])


def test_rpn_head_in_bfloat16_answers_in_float32():
    head = RpnHead(3, dtype="bfloat16")
    maps = (jnp.zeros((1, 2, 2, 4), jnp.bfloat16),)
    answers, _ = jax.eval_shape(head.init_with_output, jax.random.key(0), maps)
    assert {x.dtype for x in jax.tree.leaves(answers)} == {jnp.dtype("float32")}


def test_two_fc_agrees_with_numpy():
    head = box_head()
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda p: rng.normal(size=p.shape).astype(np.float32),
        jax.eval_shape(head.init, jax.random.key(0), POOLED)["params"],
    )
    assert set(params) == {"fc6", "fc7", "cls_score", "bbox_pred"}

    def linear(name, x):
        return x @ params[name]["kernel"] + params[name]["bias"]

    hidden = np.maximum(linear("fc6", POOLED.reshape(5, -1)), 0)
    hidden = np.maximum(linear("fc7", hidden), 0)
    logits, deltas = jax.jit(head.apply)({"params": params}, POOLED)
    np.testing.assert_allclose(logits, linear("cls_score", hidden), rtol=1e-3, atol=1e-2)
    # (M, K * 4) -> (M, K, 4)
    expected = linear("bbox_pred", hidden).reshape(5, 3, 4)
    np.testing.assert_allclose(deltas, expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("norm", ["none", "group"])
def test_conv_fc_agrees_with_numpy(numpy_conv, norm):
    head = box_head(name="conv_fc", norm=norm)
    variables = initialise(head, POOLED)
    params = jax.tree.map(np.asarray, variables["params"])
    x = POOLED
    for index in (1, 2):
        conv = params[f"conv{index}"]
        x = numpy_conv(x, conv["kernel"], padding=1)
        assert ("bias" in conv) == (norm == "none")
        if norm == "group":  # 8 channels in 8 groups
            x = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
        x = np.maximum(x, 0)
    x = np.maximum(x.reshape(5, -1) @ params["fc6"]["kernel"], 0)
    logits, _ = jax.jit(head.apply)(variables, POOLED)
    np.testing.assert_allclose(logits, x @ params["cls_score"]["kernel"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 64), ("resnet50", 256)])
def test_res5_is_the_backbones_last_stage_averaged_over_the_window(name, channels):
    model = dataclasses.replace(
        TINY,
        backbone=BackboneConfig(name, width=8, frozen_stages=5, dilated_res5=True),
        box_head=BoxHeadConfig("res5"),
    )
    pooled = jnp.zeros((2, 14, 14, channels // 2))
    head = build_box_head(model)

    def run(x):
        variables = head.init(jax.random.key(0), x)
        _, new = head.apply(variables, x, capture_intermediates=True, mutable=["intermediates"])
        return variables["params"], new["intermediates"]

    params, inside = jax.eval_shape(run, pooled)
    blocks = {"layer4_0", "layer4_1"} | ({"layer4_2"} if name == "resnet50" else set())
    assert set(params) == blocks | {"cls_score", "bbox_pred"}
    assert inside["layer4_1"]["__call__"][0].shape == (2, 7, 7, channels)
    assert params["cls_score"]["kernel"].shape == (channels, 4)


def test_res5_is_trained_whatever_the_backbone_freezes():
    model = dataclasses.replace(
        TINY,
        backbone=BackboneConfig("resnet18", width=8, frozen_stages=5),
        box_head=BoxHeadConfig("res5"),
    )
    head, x = build_box_head(model), np.ones((1, 2, 2, 32), np.float32)
    variables = initialise(head, x)

    def loss(params):
        return jnp.sum(head.apply({**variables, "params": params}, x)[0])

    grads = jax.jit(jax.grad(loss))(variables["params"])
    assert np.any(grads["layer4_0"]["conv1"]["kernel"])


def test_class_agnostic_deltas_are_one_for_all_classes():
    logits, deltas = jax.eval_shape(
        box_head(class_agnostic=True).init_with_output, jax.random.key(0), POOLED
    )[0]
    assert logits.shape == (5, 4)
    assert deltas.shape == (5, 1, 4)


def test_predictors_begin_small():
    params = initialise(box_head(channels=256), POOLED)["params"]
    np.testing.assert_allclose(np.std(params["cls_score"]["kernel"]), 0.01, rtol=0.1)
    np.testing.assert_allclose(np.std(params["bbox_pred"]["kernel"]), 0.001, rtol=0.1)
    bound = np.sqrt(3 / POOLED[0].size)
    assert 0.98 * bound < np.max(np.abs(params["fc6"]["kernel"])) <= bound
    assert not any(np.any(layer["bias"]) for layer in params.values())


def test_the_focal_loss_begins_with_scores_of_one_hundredth():
    params = initialise(box_head(class_loss="focal"), POOLED)["params"]
    bias = params["cls_score"]["bias"]
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), np.full(4, 0.01), rtol=1e-5)
    assert not np.any(params["bbox_pred"]["bias"])
    # Nothing else is drawn otherwise, and Detectron2's sigmoid cross-entropy has no such bias.
    for class_loss in ("softmax", "sigmoid"):
        others = initialise(box_head(class_loss=class_loss), POOLED)["params"]
        assert not np.any(others["cls_score"].pop("bias"))
        same = {**params, "cls_score": {"kernel": params["cls_score"]["kernel"]}}
        jax.tree.map(np.testing.assert_array_equal, others, same)


def test_dropout_acts_in_training_only():
    head = box_head(dropout=0.5)
    variables = initialise(head, POOLED)
    apply = jax.jit(head.apply, static_argnames="train")
    kept = jax.jit(box_head().apply)(variables, POOLED)
    assert np.array_equal(apply(variables, POOLED, train=False)[0], kept[0])
    first, again, other = (
        apply(variables, POOLED, train=True, rngs={"dropout": jax.random.key(seed)})[0]
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, kept[0])
    assert not np.allclose(first, other)


def test_training_without_dropout_takes_no_key():
    head = box_head()
    variables = initialise(head, POOLED)
    trained = jax.jit(lambda v: head.apply(v, POOLED, train=True))(variables)
    np.testing.assert_array_equal(trained[0], jax.jit(head.apply)(variables, POOLED)[0])


@pytest.mark.parametrize("name", ["two_fc", "conv_fc"])
def test_bfloat16_is_close_to_float32_and_answers_in_float32(name):
    model = dataclasses.replace(TINY, box_head=dataclasses.replace(TINY.box_head, name=name))
    variables = initialise(build_box_head(model), POOLED)
    exact = jax.jit(build_box_head(model).apply)(variables, POOLED)
    rough_head = build_box_head(dataclasses.replace(model, compute_dtype="bfloat16"))
    rough = jax.jit(rough_head.apply)(variables, POOLED)
    for ours, theirs in zip(rough, exact, strict=True):
        assert ours.dtype == jnp.float32
        assert np.linalg.norm(ours - theirs) < 0.03 * np.linalg.norm(theirs)


def test_heads_of_equal_configs_are_equal_and_hash_equally():
    for build in (build_rpn_head, build_box_head):
        assert build(TINY) == build(dataclasses.replace(TINY))
        assert hash(build(TINY)) == hash(build(dataclasses.replace(TINY)))
        assert build(TINY) != build(dataclasses.replace(TINY, compute_dtype="bfloat16"))
