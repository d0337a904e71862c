"""Each number against plain gradients, plain updates and numpy, in a run of three steps."""

import dataclasses
import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import (
    AlternatingConfig,
    AlternatingStep,
    Config,
    DeltaGradientConfig,
    DiagnosticsConfig,
    HardExampleConfig,
    OptimizerConfig,
    TrainConfig,
)
from jaxrcnn.detector import apply, build, forward_propose, forward_train
from jaxrcnn.training import diagnostics
from jaxrcnn.training.alternating import proposer_of
from jaxrcnn.training.diagnostics import diagnose
from jaxrcnn.training.knobs import knobs_of, step_key
from jaxrcnn.training.optimizer import build_optimizer
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.step import train_step
from jaxrcnn.types import Gates, Losses
from tests.slow import slow_but
from tests.tiny import FPN_MODEL, MODEL, change, make_batch, make_variables

# All proposals survive and are drawn, so that no discrete choice depends on where they lie.
DRAWN = change(
    MODEL,
    rpn={"box_loss": "smooth_l1"},
    proposals={"nms_iou": 1.0, "pre_nms_train": 8},
    box_head={
        "box_loss": "smooth_l1",
        "samples": 12,
        "foreground_fraction": 1.0,
        "foreground_iou": 0.1,  # so that some of the proposals have regression targets
    },
)
# Closed in these steps, but not for ever; the limit makes the gradient not linear in the losses.
GATE = {
    "stop_gradient": False,
    "pooling_gradient": 0.5,
    "target_gradient": 0.25,
    "open_after": 99,
    "delta_gradient": DeltaGradientConfig(clip_norm=0.02),
}
TRAIN = TrainConfig(
    batch_size=2,
    steps=20,
    diagnostics=DiagnosticsConfig(every=2),
    optimizer=OptimizerConfig(learning_rate=0.02, warmup_steps=0, accumulate=3),
)
CONFIG = Config(model=change(DRAWN, proposals=GATE), train=TRAIN)
DETECTOR = build(CONFIG.model)
PLAIN = dataclasses.replace(
    CONFIG, train=dataclasses.replace(TRAIN, diagnostics=DiagnosticsConfig())
)

PARAMETERS = {
    "backbone/stem": "backbone/body/conv1",
    "backbone/layer1": "backbone/body/layer1_",
    "backbone/layer2": "backbone/body/layer2_",
    "backbone/layer3": "backbone/body/layer3_",
    "rpn/hidden": "rpn_head/conv",
    "rpn/objectness": "rpn_head/cls_logits",
    "rpn/box": "rpn_head/bbox_pred",
    "box_head": "box_head",
}
"""The modules, and how the names of their parameters begin."""

CLOSED, POOLING, TARGETS = Gates(0.0, 0.0), Gates(1.0, 0.0), Gates(0.0, 1.0)
WIDEST = Gates(0.5, 0.25)
KNOBS = knobs_of(CONFIG)
KEY = step_key(CONFIG.seed, 0)
OF = {loss: [float(loss == name) for name in Losses._fields] for loss in Losses._fields}
TRACES = []


@functools.partial(jax.jit, static_argnums=(0, 1))
def step_of(detector, config, state, batch):
    TRACES.append(config)
    return train_step(detector, config, state, batch)


def first_state(config=CONFIG):
    variables = jax.tree.map(jnp.asarray, make_variables(build(MODEL)))
    opt_state = build_optimizer(config).init(variables["params"])
    return TrainState(jnp.zeros((), jnp.int32), variables, opt_state, None)


def numbers_of(metrics):
    prefix = diagnostics.PREFIX
    return {k.removeprefix(prefix): float(x) for k, x in metrics.items() if k.startswith(prefix)}


@pytest.fixture(scope="module")
def run():
    """Metrics of three steps, the state before each, and after the last; and the traces."""
    TRACES.clear()
    with mock.patch.object(diagnostics, "diagnose", side_effect=diagnose) as measured:
        states, rows = [first_state()], []
        for step in range(3):
            state, row = step_of(build(CONFIG.model), CONFIG, states[-1], make_batch(seed=step))
            states.append(state)
            rows.append(row)
    return rows, states, (len(TRACES), measured.call_count)


@pytest.fixture(scope="module")
def found(run):
    """The numbers of the first step."""
    return numbers_of(run[0][0])


@functools.partial(jax.jit, static_argnums=0)
def plain_gradient(detector, variables, batch, key, factors, gates):
    """Gradients of the weighted losses in all parameters, and the flow."""

    def total(params):
        moved = {**variables, "params": params}
        losses, _, flow = forward_train(detector, moved, batch, key, gates=gates)
        return sum(f * x for f, x in zip(factors, losses, strict=True)), flow

    return jax.grad(total, has_aux=True)(variables["params"])


def first_gradient(factors, gates):
    variables = first_state().variables
    return plain_gradient(DETECTOR, variables, make_batch(), KEY, factors, gates)[0]


def named(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(entry.key for entry in path): np.asarray(x) for path, x in leaves}


def norms(gradients):
    leaves = named(gradients)
    assert all(name.startswith(tuple(PARAMETERS.values())) for name in leaves)
    return {
        module: np.sqrt(sum((x**2).sum() for name, x in leaves.items() if name.startswith(begin)))
        for module, begin in PARAMETERS.items()
    }


def subtract(a, b):
    return jax.tree.map(lambda x, y: np.asarray(x) - np.asarray(y), a, b)


def assert_norms(found, loss, route, expected):
    """Up to the rounding of a difference of gradients as large as the direct one."""
    direct = max(found[f"gradient/{loss}/direct/{module}"] for module in PARAMETERS)
    for module, size in norms(expected).items():
        got = found[f"gradient/{loss}/{route}/{module}"]
        np.testing.assert_allclose(got, size, 2e-4, 2e-6 * direct, err_msg=f"{route} {module}")


@pytest.mark.parametrize("loss", Losses._fields)
def test_direct_norms_are_those_of_the_loss_alone(loss, found):
    expected = first_gradient(OF[loss], CLOSED)
    assert_norms(found, loss, "direct", expected)
    assert found[f"gradient/{loss}/direct/features"] > 0
    second_stage = loss.startswith("box_")
    assert (norms(expected)["rpn/hidden"] == 0) == second_stage


@pytest.mark.parametrize(("route", "gates"), [("pooling", POOLING), ("targets", TARGETS)])
@pytest.mark.parametrize("loss", ["box_class", "box_reg"])
def test_a_routes_norms_are_those_of_a_difference_of_gradients(loss, route, gates, found):
    own = subtract(first_gradient(OF[loss], gates), first_gradient(OF[loss], CLOSED))
    assert_norms(found, loss, route, own)
    flows = (loss, route) != ("box_class", "targets")  # no class depends on a target
    for module in ("rpn/box", "rpn/hidden", "backbone/layer3", "features"):
        assert (found[f"gradient/{loss}/{route}/{module}"] > 0) == flows
    assert found[f"gradient/{loss}/{route}/box_head"] == 0


@pytest.mark.parametrize("loss", ["box_class", "box_reg"])
def test_past_the_gate_the_second_stage_reaches_nothing_of_the_rpn(loss, found):
    for layer in ("hidden", "objectness", "box"):
        assert found[f"gradient/{loss}/direct/rpn/{layer}"] == 0


@jax.jit
def feature_gradient(variables, batch, key, factors, gates):
    """Gradient of the weighted losses in the feature maps, which are an argument here."""

    def with_maps(maps):
        def given(detector, name, variables, *arguments):
            if name == "backbone":
                return maps, variables
            return apply(detector, name, variables, *arguments)

        with mock.patch("jaxrcnn.detector.apply", given):
            losses, _, flow = forward_train(DETECTOR, variables, batch, key, gates=gates)
        return sum(f * x for f, x in zip(factors, losses, strict=True)), flow

    _, _, flow = forward_train(DETECTOR, variables, batch, key, gates=gates)
    return jax.grad(with_maps, has_aux=True)(flow.features)[0]


def test_cosines_are_between_the_gradients_in_the_features(found):
    def maps(factors, gates):
        variables = first_state().variables
        gradients = feature_gradient(variables, make_batch(), KEY, factors, gates)
        return np.concatenate([np.ravel(x) for x in gradients])

    rpn = maps([1.0, 1.0, 0.0, 0.0], CLOSED)
    cosines = []
    for name, gates in (("closed", CLOSED), ("open", WIDEST)):
        second = maps([0.0, 0.0, 1.0, 1.0], gates)
        cosines.append(rpn @ second / np.linalg.norm(rpn) / np.linalg.norm(second))
        np.testing.assert_allclose(found[f"cosine/{name}"], cosines[-1], rtol=1e-4)
    assert abs(cosines[0] - cosines[1]) > 1e-3 * abs(cosines[0])
    alone = np.linalg.norm(maps(OF["rpn_box"], CLOSED))
    np.testing.assert_allclose(found["gradient/rpn_box/direct/features"], alone, rtol=1e-4)


def moved_boxes(config, state, batch, gradients, best):
    """Boxes of some anchors after a plain update, in numpy from the RPN's deltas."""
    once = dataclasses.replace(config.train.optimizer, accumulate=1)
    alone = dataclasses.replace(config, train=dataclasses.replace(config.train, optimizer=once))
    params = state.variables["params"]
    if gradients is not None:
        optimizer = build_optimizer(alone)
        updates, _ = optimizer.update(gradients, optimizer.init(params), params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
    variables = {**state.variables, "params": params}
    flow = plain_gradient(DETECTOR, variables, batch, KEY, [1.0] * 4, CLOSED)[1]
    anchors, boxes = np.asarray(flow.anchors), []
    if best is None:
        best = np.argsort(-np.asarray(flow.rpn.objectness), axis=1, kind="stable")[:, :100]
    for image, index in enumerate(best):
        corner, size = anchors[index, :2], anchors[index, 2:] - anchors[index, :2]
        deltas = np.asarray(flow.rpn.deltas)[image, index]
        middle = corner + size / 2 + deltas[:, :2] * size
        half = size * np.exp(deltas[:, 2:]) / 2
        limit = batch.image_sizes[image, ::-1]
        boxes.append(np.concatenate([middle - half, middle + half], 1).clip(0, [*limit, *limit]))
    return np.array(boxes), best


def test_drift_is_that_of_two_plain_updates(found):
    state, batch = first_state(), make_batch()
    everything = [1.0] * 4
    before, best = moved_boxes(CONFIG, state, batch, None, None)
    closed, opened = (
        moved_boxes(CONFIG, state, batch, first_gradient(everything, gates), best)[0]
        for gates in (CLOSED, WIDEST)
    )
    step, gate = np.abs(before - closed).mean(), np.abs(closed - opened).mean()
    assert min(step, gate) > 1e-4
    np.testing.assert_allclose(found["drift/step"], step, rtol=0.01)
    np.testing.assert_allclose(found["drift/gate"], gate, rtol=0.01)


def test_the_flow_is_that_of_the_step(found):
    variables = first_state().variables
    _, flow = plain_gradient(DETECTOR, variables, make_batch(), KEY, [1.0] * 4, CLOSED)
    boxes, valid = np.asarray(flow.proposals.boxes), np.asarray(flow.proposals.valid)
    widths = (boxes[..., 2] - boxes[..., 0])[valid]
    for q in (0, 0.1, 0.5, 0.9, 1):
        np.testing.assert_allclose(found[f"width/{q:g}"], np.quantile(widths, q), rtol=1e-5)
    positives = np.asarray(flow.rois.valid & (flow.rois.labels > 0)).sum() / 2
    assert found["positives/rois"] == positives > 0
    assert found["positives/anchors"] == np.asarray(flow.anchor_foreground).sum() / 2 > 0


def test_only_the_steps_in_turn_are_measured_and_all_are_one_trace(run):
    rows, _, (traces, measured) = run
    numbers = [numbers_of(row) for row in rows]
    assert traces == measured == 1
    assert np.isnan(list(numbers[1].values())).all()
    for row in (numbers[0], numbers[2]):
        # No RoI of these overlaps an object so much that it belongs to a bin.
        pushes = {name for name in row if name.startswith(("push/", "nearer/"))}
        assert {"push/pooling/0.1", "push/targets/0.5", "nearer/pooling/0.8"} <= pushes
        assert np.isfinite([row[name] for name in row.keys() - pushes]).all()
    assert numbers[0]["width/0.5"] != numbers[2]["width/0.5"]


def test_without_it_the_step_is_the_same_and_has_none_of_it(run):
    rows, states, _ = run
    with mock.patch("jaxrcnn.training.step.diagnostics_at", side_effect=AssertionError):
        state, row = step_of(DETECTOR, PLAIN, first_state(), make_batch())
    assert row.keys() == {k for k in rows[0] if not k.startswith(diagnostics.PREFIX)}
    for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(states[1]), strict=True):
        np.testing.assert_allclose(x, y, 1e-5, 1e-7)


@pytest.mark.slow
def test_curvature_is_a_finite_difference_of_gradients():
    # Of a gate that is closed for ever.
    with jax.enable_x64(True):
        model = dataclasses.replace(DRAWN, compute_dtype="float64")
        train = dataclasses.replace(TRAIN, diagnostics=DiagnosticsConfig(2, curvature=True))
        config, detector = Config(model=model, train=train), build(model)
        opened = build(change(model, proposals={"stop_gradient": False}))
        state = first_state(config)
        rng = np.random.default_rng(0)
        # Where a bias is 0, padding puts a ReLU on its kink.
        params = jax.tree.map(
            lambda x: np.asarray(x) + (x.ndim == 1) * rng.normal(0, 0.01, x.shape),
            state.variables["params"],
        )
        variables = {**state.variables, "params": params}
        batch = make_batch()
        measure = jax.jit(functools.partial(diagnose, detector, config))
        got = measure(state._replace(variables=variables), batch, knobs_of(config))
        second_stage = [0.0, 0.0, 1.0, 1.0]

        def slope(params, gates=POOLING):
            moved = {**variables, "params": params}
            return plain_gradient(opened, moved, batch, KEY, second_stage, gates)[0]

        direct, eps = slope(params, CLOSED), 1e-6
        for name, direction in (("pooling", subtract(slope(params), direct)), ("direct", direct)):
            length = np.sqrt(sum((np.asarray(x) ** 2).sum() for x in jax.tree.leaves(direction)))
            unit = jax.tree.map(lambda x, n=length: np.asarray(x) / n, direction)
            ahead, behind = (
                slope(jax.tree.map(lambda p, d, s=sign: p + s * eps * d, params, unit))
                for sign in (1, -1)
            )
            change_of = jax.tree.leaves(subtract(ahead, behind))
            expected = sum(
                np.vdot(x, y) for x, y in zip(change_of, jax.tree.leaves(unit), strict=True)
            ) / (2 * eps)
            assert abs(expected) > 0.01
            np.testing.assert_allclose(got[f"curvature/{name}"], expected, rtol=1e-4)
            limit = 2 / expected  # of the learning rate
            np.testing.assert_allclose(got[f"overshoot/{name}"], 0.02 / limit, rtol=1e-4)
        for loss in ("box_class", "box_reg"):
            assert got[f"gradient/{loss}/pooling/rpn/box"] > 0


TWICE = {
    "align_unaligned": change(FPN_MODEL, backbone={"norm": "group", "width": 32}),
    "crop_resize": change(MODEL, box_head={"name": "res5", "mining": HardExampleConfig(keep=4)}),
    "warp": change(MODEL, box_head={"name": "conv_fc", "dropout": 0.5, "box_loss": "ciou"}),
    "precise": change(MODEL, proposals={"delta_gradient": DeltaGradientConfig(1, 1, True, True)}),
    "align": dataclasses.replace(MODEL, compute_dtype="bfloat16"),
    "pool": change(MODEL, backbone={"norm": "batch"}, rpn={"box_loss": "giou"}),
}


@pytest.mark.parametrize("op", slow_but(("align",), TWICE))
def test_everything_differentiates_twice(op):
    """No compilation: a rule of differentiation that is not there is missed in the trace."""
    model = change(TWICE[op], roi={"op": op})
    train = dataclasses.replace(TRAIN, diagnostics=DiagnosticsConfig(2, curvature=True))
    config, detector = Config(model=model, train=train), build(model)
    variables = make_variables(detector)
    opt_state = build_optimizer(config).init(variables["params"])
    state = TrainState(jnp.zeros((), jnp.int32), variables, opt_state, None)
    shapes = jax.eval_shape(
        functools.partial(diagnose, detector, config), state, make_batch(), KNOBS
    )
    for name in ("curvature", "overshoot"):
        assert {f"{name}/pooling", f"{name}/direct"} <= shapes.keys()
    assert all(x.shape == () and x.dtype == jnp.float32 for x in shapes.values())


def alternating(stage):
    steps = (AlternatingStep("rpn", steps=1), AlternatingStep("fast_rcnn", steps=1))
    train = dataclasses.replace(
        TRAIN, scheme="alternating", alternating=AlternatingConfig(steps), steps=2
    )
    config = Config(model=DRAWN, train=train)
    state = first_state()
    other = jax.tree.map(jnp.asarray, make_variables(build(MODEL), seed=1))
    variables = {**state.variables, "proposer": proposer_of(other)}
    measure = functools.partial(diagnose, build(DRAWN), config, stage=stage)
    return measure, state._replace(variables=variables)


STAGES = {
    "rpn": (("rpn_objectness", "rpn_box"), ("backbone", "rpn"), "anchors"),
    "fast_rcnn": (("box_class", "box_reg"), ("backbone", "box_head"), "rois"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_of_alternating_training_has_its_own_losses_alone(stage):
    losses, parts, positives = STAGES[stage]
    measure, state = alternating(stage)
    names = jax.eval_shape(measure, state, make_batch(), KNOBS).keys()
    modules = [module for module in PARAMETERS if module.startswith(parts)]
    assert names == {
        *(f"gradient/{loss}/direct/{x}" for loss in losses for x in (*modules, "features")),
        *(f"width/{q:g}" for q in (0, 0.1, 0.5, 0.9, 1)),
        *("recall/0.5", "recall/0.7", f"positives/{positives}"),
    }


@pytest.mark.slow
def test_fast_rcnn_is_measured_on_the_proposals_of_the_other_network():
    measure, state = alternating("fast_rcnn")
    batch, knobs = make_batch(), KNOBS._replace(seed=np.uint32(3))
    key = step_key(3, 0)
    got = jax.jit(measure)(state, batch, knobs)

    @jax.jit
    def plain(variables, batch, key):
        proposals = forward_propose(
            build(DRAWN), variables, batch.images, batch.image_sizes, train=True
        )

        def loss(params):
            moved = {**variables, "params": params}
            return forward_train(build(DRAWN), moved, batch, key, proposals=proposals)[0].box_class

        widths = proposals.boxes[..., 2] - proposals.boxes[..., 0]
        return jax.grad(loss)(variables["params"]), jnp.where(proposals.valid, widths, 0).max()

    gradients, widest = plain(state.variables, batch, key)
    expected = norms(gradients)
    for module in ("backbone/stem", "backbone/layer3", "box_head"):
        np.testing.assert_allclose(
            got[f"gradient/box_class/direct/{module}"], expected[module], rtol=1e-4
        )
    np.testing.assert_allclose(got["width/1"], widest, rtol=1e-6)
