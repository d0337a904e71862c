import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import (
    AlternatingConfig,
    AlternatingStep,
    Config,
    OptimizerConfig,
    TrainConfig,
)
from jaxrcnn.detector import build
from jaxrcnn.training.optimizer import build_optimizer
from jaxrcnn.training.state import TrainState, eval_variables
from jaxrcnn.training.step import eval_step, train_step
from jaxrcnn.types import (
    Array,
    BoxOutput,
    Detections,
    Flow,
    Proposals,
    RoiSamples,
    RpnOutput,
)
from tests.tiny import MODEL, change, make_batch, make_variables

CONFIG = Config(
    model=change(MODEL, backbone={"frozen_stages": 2}),
    train=TrainConfig(
        batch_size=2,
        steps=20,
        optimizer=OptimizerConfig(
            learning_rate=0.02, warmup_steps=4, warmup_factor=0.5, schedule="cosine", ema_decay=0.5
        ),
    ),
)
TRACES = []


@functools.partial(jax.jit, static_argnums=(0, 1))
def step_of(detector, config, state, batch):
    TRACES.append(detector)
    return train_step(detector, config, state, batch)


def train(batches, config=CONFIG):
    """The state before the first step, and states and metrics after each."""
    variables = jax.tree.map(jnp.asarray, make_variables(build(MODEL)))
    params = variables["params"]
    state = TrainState(
        jnp.zeros((), jnp.int32), variables, build_optimizer(config).init(params), params
    )
    states, metrics = [state], []
    for batch in batches:
        # As in a run, where every step builds nothing but calls with an equal config.
        state, row = step_of(build(config.model), config, state, batch)
        states.append(state)
        metrics.append({name: float(x) for name, x in row.items()})
    return jax.device_get(states), metrics


@pytest.fixture(scope="module")
def run():
    TRACES.clear()
    same = train([make_batch()] * 12)
    moving = train([make_batch(seed=seed) for seed in range(3)])
    return same, moving, len(TRACES)


def test_one_batch_again_and_again_lowers_the_loss(run):
    (_, metrics), _, _ = run
    losses = [row["loss"] for row in metrics]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_a_gate_that_opens_over_the_run_traces_once():
    gate = {"stop_gradient": False, "open_after": 2, "open_over": 4}
    config = dataclasses.replace(CONFIG, model=change(CONFIG.model, proposals=gate))
    TRACES.clear()
    _, metrics = train([make_batch()] * 8, config)
    assert len(TRACES) == 1
    opened = [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    assert [row["gate_pooling"] for row in metrics] == opened
    assert [row["gate_targets"] for row in metrics] == opened


def test_a_closed_gate_trains_as_one_that_has_not_opened_yet():
    gate = {"stop_gradient": False, "open_after": 99}
    shut = dataclasses.replace(CONFIG, model=change(CONFIG.model, proposals=gate))
    batches = [make_batch(seed=seed) for seed in range(3)]
    (states, _), (others, _) = train(batches), train(batches, shut)
    jax.tree.map(np.testing.assert_array_equal, states[-1], others[-1])


def test_nothing_is_traced_twice(run):
    (_, metrics), _, traces = run
    assert len({row["learning_rate"] for row in metrics}) > 5
    assert traces == 1


def test_the_loss_is_the_sum_of_the_four(run):
    for row in run[0][1]:
        parts = [row[f"loss_{x}"] for x in ("rpn_objectness", "rpn_box", "box_class", "box_reg")]
        assert row["loss"] == pytest.approx(sum(parts), rel=1e-5)
        assert row["gradient_norm"] > 0


def test_frozen_parameters_stay_and_others_move(run):
    (states, _), _, _ = run
    before, after = (states[i].variables["params"] for i in (0, -1))
    for module in before["backbone"]["body"]:
        frozen = module == "conv1" or module.startswith("layer1")
        for x, y in zip(
            jax.tree.leaves(before["backbone"]["body"][module]),
            jax.tree.leaves(after["backbone"]["body"][module]),
            strict=True,
        ):
            assert np.array_equal(x, y) == frozen, module
    for name in ("rpn_head", "box_head"):
        for x, y in zip(jax.tree.leaves(before[name]), jax.tree.leaves(after[name]), strict=True):
            assert not np.array_equal(x, y)


def test_moving_average_has_a_short_memory_at_first(run):
    (states, _), _, _ = run
    kernels = [s.variables["params"]["box_head"]["fc6"]["kernel"] for s in states]
    expected = kernels[0]
    for step, state in enumerate(states[1:]):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * kernels[step + 1]
        average = eval_variables(state)["params"]["box_head"]["fc6"]["kernel"]
        np.testing.assert_allclose(average, expected, 1e-4, 1e-6)
        assert state.step == step + 1


class OwnLosses(NamedTuple):
    rpn_box: Array
    size: Array
    drift: Array


def sum_of_squares(tree):
    return sum(jnp.sum(jnp.square(x)) for x in jax.tree.leaves(tree))


def own_train(detector, variables, batch, key, train=True, gates=None, proposals=None):
    """A training pass of three losses of which every parameter's gradient is plain."""
    params, n = variables["params"], len(batch.images)
    losses = OwnLosses(
        rpn_box=sum_of_squares(params["rpn_head"]),
        size=sum_of_squares(params["box_head"]) / 2,
        drift=3 * sum(jnp.sum(x) for x in jax.tree.leaves(params["backbone"])),
    )
    zeros = jnp.zeros((n, 1))
    box = jnp.zeros((n, 1, 4))
    flow = Flow(
        features=(jnp.zeros((n, 1, 1, 1)),),
        rpn=RpnOutput(zeros, box),
        proposals=Proposals(box, zeros, zeros > 0),
        rois=RoiSamples(box, box, zeros.astype(int), box, zeros, zeros > 0, zeros.astype(int)),
        output=BoxOutput(jnp.zeros((n, 1, 4)), jnp.zeros((n, 1, 3, 4))),
        anchors=jnp.zeros((1, 4)),
        anchor_foreground=zeros > 0,
    )
    return losses, variables, flow


def own_infer(detector, variables, images, image_sizes, proposals=None):
    zeros = jnp.zeros((len(images), 1))
    return Detections(jnp.zeros((len(images), 1, 4)), zeros, zeros.astype(int), zeros > 0)


@pytest.mark.parametrize("stage", ["joint", "rpn"])
def test_every_loss_of_ones_own_is_trained_on_and_logged(stage):
    detector = build(MODEL, train=own_train, infer=own_infer)
    plain = OptimizerConfig(
        learning_rate=0.1, warmup_steps=0, momentum=0.0, weight_decay=0.0, schedule="constant"
    )
    config = dataclasses.replace(
        CONFIG, model=MODEL, train=dataclasses.replace(CONFIG.train, optimizer=plain)
    )
    variables = jax.tree.map(jnp.asarray, make_variables(detector))
    params = variables["params"]
    state = TrainState(jnp.int32(0), variables, build_optimizer(config).init(params), None)
    if stage == "rpn":
        config = dataclasses.replace(
            config,
            train=dataclasses.replace(
                config.train,
                scheme="alternating",
                alternating=AlternatingConfig((AlternatingStep("rpn", steps=20),)),
            ),
        )
    step = jax.jit(train_step, static_argnums=(0, 1), static_argnames="stage")
    state, metrics = step(detector, config, state, make_batch(), stage=stage)
    losses = own_train(detector, variables, make_batch(), None)[0]
    trained = losses if stage == "joint" else losses[:1]
    assert metrics["loss"] == pytest.approx(float(sum(trained)), rel=1e-5)
    named = {name: float(x) for name, x in metrics.items() if name.startswith("loss_")}
    fields = losses._fields[: len(trained)]
    assert named == pytest.approx(
        {f"loss_{x}": float(y) for x, y in zip(fields, trained, strict=True)}, rel=1e-5
    )
    share = {"backbone": 1.0, "rpn_head": 0.8, "box_head": 0.9}
    moved = {"backbone": 0.3, "rpn_head": 0.0, "box_head": 0.0}
    if stage == "rpn":  # whose loss is of the RPN's head alone
        share, moved = {**share, "box_head": 1.0}, {**moved, "backbone": 0.0}
    for part, after in state.variables["params"].items():
        jax.tree.map(
            lambda x, y, part=part: np.testing.assert_allclose(
                y, share[part] * np.asarray(x) - moved[part], rtol=1e-4, atol=1e-6
            ),
            params[part],
            after,
        )


def test_every_loss_of_ones_own_is_measured_in_an_evaluation():
    detector = build(MODEL, train=own_train, infer=own_infer)
    _, losses, _ = eval_step(detector, make_variables(detector), make_batch(), 0)
    assert list(losses) == ["loss", "loss_rpn_box", "loss_size", "loss_drift"]
    assert losses["loss"] == pytest.approx(sum(float(x) for x in list(losses.values())[1:]))


def test_frozen_layers_have_no_gradient_and_stay(run):
    frozen = ("backbone", "rpn/hidden")
    config = dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, freeze=frozen))
    states, metrics = train([make_batch()] * 2, config)
    before, after = states[0].variables["params"], states[-1].variables["params"]
    jax.tree.map(np.testing.assert_array_equal, after["backbone"], before["backbone"])
    conv = [x["rpn_head"]["conv"] for x in (after, before)]
    jax.tree.map(np.testing.assert_array_equal, *conv)
    assert not np.array_equal(
        after["box_head"]["fc6"]["kernel"], before["box_head"]["fc6"]["kernel"]
    )
    assert 0 < metrics[0]["gradient_norm"] < run[0][1][0]["gradient_norm"]
