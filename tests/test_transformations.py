"""jax's transformations around the pure functions; most are only traced, not compiled."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jaxrcnn import types
from jaxrcnn.config import Config, HardExampleConfig, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build, forward_infer, forward_propose, forward_train, init
from jaxrcnn.training.knobs import knobs_of
from jaxrcnn.training.optimizer import build_optimizer
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.step import train_step
from tests.slow import slow_but
from tests.tiny import FPN_MODEL, MODEL, change, make_batch, make_variables

ROOT = pathlib.Path(__file__).parents[1]

MODELS = {
    "c4": MODEL,
    "fpn": FPN_MODEL,
    "open gate": change(FPN_MODEL, proposals={"stop_gradient": False}),
    "adaptive": change(FPN_MODEL, roi={"sampling_ratio": 0}),
    **{op: change(MODEL, roi={"op": op}) for op in ("pool", "warp", "crop_resize", "precise")},
    "wide": change(MODEL, backbone={"width": 64}),  # Winograd's convolutions on a CPU
    "batch norm": change(MODEL, backbone={"norm": "batch"}),
    "res5": change(MODEL, box_head={"name": "res5"}),
    "mining": change(MODEL, box_head={"mining": HardExampleConfig(keep=4)}),
    "soft nms": change(MODEL, detections={"soft_nms": "linear"}),
}


def shapes_of(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def traced(model):
    """A detector, and shapes of its variables, a batch and a key."""
    detector = build(model)
    key = jax.eval_shape(lambda: jax.random.key(0))
    variables = jax.eval_shape(lambda key: init(detector, key), key)
    return detector, variables, shapes_of(make_batch()), key


def loss_of(detector, variables, batch, key):
    """The sum of the losses as a function of the parameters."""

    def loss(params):
        losses, _, _ = forward_train(detector, {**variables, "params": params}, batch, key)
        return sum(losses)

    return loss


@pytest.mark.parametrize("name", slow_but(("c4", "open gate", "pool", "soft nms"), MODELS))
def test_shard_map_takes_inference_and_gradients_with_its_default_check(name):
    """The check is of types alone: one device shows as much as eight."""
    detector, variables, batch, key = traced(MODELS[name])
    mesh = jax.make_mesh((1,), ("d",), (jax.sharding.AxisType.Auto,))
    everywhere, shared = PartitionSpec(), PartitionSpec("d")

    def infer(variables, images, sizes):
        return forward_infer(detector, variables, images, sizes)

    mapped = jax.shard_map(
        infer, mesh=mesh, in_specs=(everywhere, shared, shared), out_specs=shared
    )
    found = jax.eval_shape(mapped, variables, batch.images, batch.image_sizes)
    assert found.boxes.shape == (2, 12, 4)

    def gradients(variables, batch, key):
        return jax.grad(loss_of(detector, variables, batch, key))(variables["params"])

    mapped = jax.shard_map(
        gradients, mesh=mesh, in_specs=(everywhere, shared, everywhere), out_specs=everywhere
    )
    assert shapes_of(jax.eval_shape(mapped, variables, batch, key)) == variables["params"]


ON_TWO_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import PartitionSpec as P
import tests.conftest
from jaxrcnn.detector import build, forward_infer, forward_train
from tests.tiny import FPN_MODEL, change, make_batch, make_variables

assert jax.local_device_count() == 2
detector = build(change(FPN_MODEL, backbone={"width": 64}))
variables = jax.tree.map(jnp.asarray, make_variables(detector))
batch, key = jax.tree.map(jnp.asarray, make_batch()), jax.random.key(0)
mesh = jax.make_mesh((2,), ("d",), (jax.sharding.AxisType.Auto,))

def infer(images, sizes):
    return forward_infer(detector, variables, images, sizes)

def gradients(params, batch):
    def loss(params):
        return sum(forward_train(detector, {**variables, "params": params}, batch, key)[0])
    return jax.grad(loss)(params)

mapped = jax.jit(jax.shard_map(infer, mesh=mesh, in_specs=P("d"), out_specs=P("d")))
halves = [jax.tree.map(lambda x: x[i : i + 1], batch) for i in (0, 1)]
found = mapped(batch.images, batch.image_sizes)
for i, half in enumerate(halves):
    alone = jax.jit(infer)(half.images, half.image_sizes)
    np.testing.assert_allclose(found.boxes[i], alone.boxes[0], atol=1e-3)
    np.testing.assert_array_equal(found.valid[i], alone.valid[0])
assert found.valid.sum() > 10
mapped = jax.jit(jax.shard_map(gradients, mesh=mesh, in_specs=(P(), P("d")), out_specs=P()))
of_halves = [jax.jit(gradients)(variables["params"], half) for half in halves]
for x, a, b in zip(*map(jax.tree.leaves, (mapped(variables["params"], batch), *of_halves))):
    np.testing.assert_allclose(x, a + b, atol=1e-4 * float(jnp.abs(a + b).max()) + 1e-9)
"""


STEP_ON_TWO_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import PartitionSpec as P
import tests.conftest
from jaxrcnn.detector import build
from jaxrcnn.training.step import train_step
from tests.test_transformations import CONFIG, state_of
from tests.tiny import MODEL, make_batch

assert jax.local_device_count() == 2
detector, batch = build(MODEL), jax.tree.map(jnp.asarray, make_batch())
state = state_of(detector)
mesh = jax.make_mesh((2,), ("d",), (jax.sharding.AxisType.Auto,))

def step(state, batch):
    return train_step(detector, CONFIG, state, batch)

def shared_step(state, batch):
    state, metrics = step(state, batch)
    return state, jax.lax.pmean(metrics, "d")

mapped = jax.jit(jax.shard_map(shared_step, mesh=mesh, in_specs=(P(), P("d")), out_specs=P()))
new, metrics = mapped(state, batch)
halves = [jax.tree.map(lambda x: x[i : i + 1], batch) for i in (0, 1)]
alone = [jax.jit(step)(state, half) for half in halves]
np.testing.assert_allclose(metrics["loss"], np.mean([row["loss"] for _, row in alone]), rtol=1e-4)
trees = [x.variables["params"] for x in (state, new, alone[0][0], alone[1][0])]
for before, after, a, b in zip(*map(jax.tree.leaves, trees)):
    scale = float(jnp.abs(after - before).max())
    np.testing.assert_allclose(after - before, a + b - 2 * before, atol=1e-3 * scale + 1e-7)
    assert scale > 0
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [ON_TWO_DEVICES, STEP_ON_TWO_DEVICES], ids=["passes", "step"])
def test_two_devices_find_and_sum_what_one_does(script):
    settings = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=300,
    )


CONFIG = Config(
    model=MODEL,
    train=TrainConfig(
        batch_size=2,
        steps=9,
        # An update in proportion to the gradient: it is summed over devices.
        optimizer=OptimizerConfig(
            learning_rate=0.01, warmup_steps=0, momentum=0.0, weight_decay=0.0
        ),
    ),
)


def rematerialised(*args, **options):
    """`forward_train`, of which the backward pass keeps nothing but the arguments."""
    detector, variables, batch, key, *rest = args

    def run(variables, batch, key):
        return forward_train(detector, variables, batch, key, *rest, **options)

    return jax.checkpoint(run)(variables, batch, key)


def state_of(detector, seed=0):
    variables = jax.tree.map(jnp.asarray, make_variables(detector, seed))
    opt_state = build_optimizer(CONFIG).init(variables["params"])
    return TrainState(jnp.int32(0), variables, opt_state, None)


def stacked(*trees):
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


def seeded(seed):
    return knobs_of(CONFIG)._replace(seed=jnp.uint32(seed))


def over_seeds(states, batch, knobs):
    """A step of several runs at once."""

    def step(state, knobs):
        return train_step(build(MODEL), CONFIG, state, batch, knobs)

    return jax.vmap(step)(states, knobs)


def over_steps(state, batches):
    """Several steps in one program."""
    return jax.lax.scan(lambda s, b: train_step(build(MODEL), CONFIG, s, b), state, batches)


def over_devices(state, batch):
    """A step in a mesh, of which the parameters' gradients are the sum over its devices."""
    mesh = jax.make_mesh((1,), ("d",), (jax.sharding.AxisType.Auto,))

    def step(state, batch):
        state, metrics = train_step(build(MODEL), CONFIG, state, batch)
        return state, jax.lax.pmean(metrics, "d")

    everywhere, shared = PartitionSpec(), PartitionSpec("d")
    return jax.shard_map(step, mesh=mesh, in_specs=(everywhere, shared), out_specs=everywhere)(
        state, batch
    )


def with_checkpoint(state, batch):
    return train_step(build(MODEL, train=rematerialised), CONFIG, state, batch)


def test_a_training_step_can_be_transformed():
    """All that the tests below compile, traced."""
    state, batch = state_of(build(MODEL)), make_batch()
    expected = shapes_of(state)
    new, metrics = jax.eval_shape(
        over_seeds, stacked(state, state), batch, stacked(seeded(0), seeded(1))
    )
    assert metrics["loss"].shape == (2,)
    assert new.variables["params"]["rpn_head"]["conv"]["bias"].shape[0] == 2
    new, metrics = jax.eval_shape(over_steps, state, stacked(batch, batch, batch))
    assert metrics["loss"].shape == (3,)
    assert shapes_of(new) == expected
    for transformed in (over_devices, with_checkpoint):
        new, metrics = jax.eval_shape(transformed, state, batch)
        assert metrics["loss"].shape == ()
        assert shapes_of(new) == expected


@pytest.fixture(scope="module")
def plain():
    """A step as it is, with a seed."""
    step = jax.jit(train_step, static_argnums=(0, 1))

    def run(state, batch, seed=0):
        return step(build(MODEL), CONFIG, state, batch, seeded(seed))

    return run


def assert_close(one, other):
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_step_over_seeds_is_that_of_each(plain):
    states = [state_of(build(MODEL), seed) for seed in (0, 1)]
    new, metrics = jax.jit(over_seeds)(
        stacked(*states), make_batch(), stacked(seeded(0), seeded(1))
    )
    for i, state in enumerate(states):
        got = jax.tree.map(lambda x, i=i: x[i], (new, metrics))
        assert_close(got, plain(state, make_batch(), seed=i))


@pytest.mark.slow
def test_steps_in_a_scan_are_those_of_a_loop(plain):
    batches = [make_batch(seed=seed) for seed in range(3)]
    state, losses = state_of(build(MODEL)), []
    for batch in batches:
        state, metrics = plain(state, batch)
        losses.append(metrics["loss"])
    new, metrics = jax.jit(over_steps)(state_of(build(MODEL)), stacked(*batches))
    assert_close(new, state)
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("transformed", [over_devices, with_checkpoint])
def test_a_transformed_step_is_the_plain_one(transformed, plain):
    state = state_of(build(MODEL))
    assert_close(jax.jit(transformed)(state, make_batch()), plain(state, make_batch()))


def test_any_sides_will_do():
    detector, variables, batch, _ = traced(FPN_MODEL)
    images = jax.ShapeDtypeStruct((2, 50, 71, 3), jnp.uint8)
    for function in (forward_infer, forward_propose):
        found = jax.eval_shape(
            lambda *a, f=function: f(detector, *a), variables, images, batch.image_sizes
        )
        assert found.boxes.shape[0] == 2


def test_variables_without_a_collection_are_one_line():
    detector, variables, batch, _ = traced(MODEL)
    with pytest.raises(
        ValueError, match=r"^variables has params; it needs params, constants, batch"
    ):
        jax.eval_shape(
            lambda *a: forward_infer(detector, *a),
            *({"params": variables["params"]}, batch.images, batch.image_sizes),
        )


def test_records_are_written_by_jax_export():
    def echo(batch, proposals):
        rois = types.RoiSamples(*[batch.boxes] * 7)
        output = types.BoxOutput(batch.boxes, batch.boxes)
        rpn = types.RpnOutput(batch.labels, batch.boxes)
        flow = types.Flow((batch.images,), rpn, proposals, rois, output, batch.boxes, batch.labels)
        losses, gates = types.Losses(*[batch.labels] * 4), types.Gates(batch.labels, batch.labels)
        found = types.Detections(batch.boxes, batch.labels, batch.labels, batch.box_valid)
        return flow, losses, gates, found, TrainState(batch.labels, {}, (), None)

    batch = make_batch()
    proposals = types.Proposals(batch.boxes, batch.box_weights, batch.box_valid)
    written = jax.export.export(jax.jit(echo))(batch, proposals).serialize()
    flow, losses, gates, found, state = jax.export.deserialize(written).call(batch, proposals)
    kinds = [type(x) for x in (flow, flow.rois, flow.rpn, losses, gates, found, state)]
    assert kinds == [
        *(types.Flow, types.RoiSamples, types.RpnOutput, types.Losses, types.Gates),
        *(types.Detections, TrainState),
    ]
    np.testing.assert_array_equal(found.boxes, batch.boxes)


@pytest.mark.parametrize("name", slow_but(("wide",), ("wide", "fpn", "pool", "soft nms")))
def test_jax_export_takes_any_number_of_images(name):
    detector, variables, batch, _ = traced(MODELS[name])
    (n,) = jax.export.symbolic_shape("n")
    images = jax.ShapeDtypeStruct((n, *batch.images.shape[1:]), jnp.uint8)
    sizes = jax.ShapeDtypeStruct((n, 2), jnp.int32)
    infer = jax.jit(lambda *arguments: forward_infer(detector, *arguments))
    exported = jax.export.export(infer)(variables, images, sizes)
    assert str(exported.out_avals[0].shape) == "(n, 12, 4)"
    assert exported.serialize()


def test_forward_mode_is_refused_by_jax_and_over_reverse_it_is_not():
    detector, *arguments = traced(MODEL)

    def straight(variables, batch, key):
        params = (variables["params"],)
        return jax.jvp(loss_of(detector, variables, batch, key), params, params)

    def over_reverse(variables, batch, key):
        params = (variables["params"],)
        return jax.jvp(jax.grad(loss_of(detector, variables, batch, key)), params, params)[1]

    with pytest.raises(TypeError, match="forward-mode"):
        jax.jit(straight).lower(*arguments)
    product = jax.eval_shape(over_reverse, *arguments)
    assert shapes_of(product) == arguments[0]["params"]
