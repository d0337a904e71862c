"""What `test_sharding.py` asks of eight devices, which a process has from its start or not at all.

python -m tests.training.eight_devices CHECK FOLDER
"""

import dataclasses
import pathlib
import sys

import jax
import numpy as np
import optax

from jaxrcnn.config import Config, EvalConfig, MeshConfig, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.evaluation.evaluate import find
from jaxrcnn.training import mesh
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.sharding import compile_programs
from tests.steered import CONFIG, dataset_of
from tests.tiny import MODEL, change, make_batch, make_variables

WITH_BATCH_NORM = change(MODEL, backbone={"norm": "batch"})
# All proposals survive and are drawn: rounding must not decide which.
NOTHING_CHOSEN = change(
    WITH_BATCH_NORM,
    proposals={"nms_iou": 1.0, "pre_nms_train": 8},
    box_head={"samples": 12, "foreground_fraction": 1.0, "foreground_iou": 0.1},
)


def plain_descent(config, start=0):
    """Whose update is the gradient."""
    return optax.sgd(1.0)


def config_of(model, data=0, fsdp=1, **optimizer):
    return Config(
        model=model,
        train=TrainConfig(
            batch_size=8,
            mesh=MeshConfig(data, fsdp),
            optimizer=OptimizerConfig(warmup_steps=0, **optimizer),
        ),
    )


def programs_of(config, devices, *optimizer):
    return compile_programs(
        build(config.model), config, *optimizer, devices=jax.devices()[:devices]
    )


def numpy_of(tree):
    return jax.tree.map(np.asarray, tree)


def largest_difference(tree, other):
    return max(jax.tree.leaves(jax.tree.map(lambda x, y: np.abs(x - y).max(), tree, other)))


def gradients(sides):
    """One step's losses, gradients and batch statistics in float64, by a mesh of such sides."""
    model = dataclasses.replace(WITH_BATCH_NORM, compute_dtype="float64")
    programs = programs_of(config_of(model, *sides), np.prod(sides), plain_descent)
    state = programs.create_state()
    variables = jax.tree.map(
        lambda x, own: jax.device_put(x.astype(np.float64), own.sharding),
        make_variables(build(model)),
        state.variables,
    )
    before = numpy_of(variables["params"])
    batch = programs.put_batch(make_batch(images=8, seed=3))
    assert batch.images.addressable_shards[0].data.shape[0] == 8 // np.prod(sides)
    state, metrics = programs.train_step(state._replace(variables=variables), batch)
    step = jax.tree.map(np.subtract, before, numpy_of(state.variables["params"]))
    losses = {name: np.asarray(x) for name, x in metrics.items() if name.startswith("loss")}
    assert min(losses.values()) > 1e-2, losses
    kernel = state.variables["params"]["rpn_head"]["conv"]["kernel"]
    part = kernel.addressable_shards[0].data.size
    assert part * sides[1] == kernel.size, kernel.sharding
    return losses, step, numpy_of(state.variables["batch_stats"])


def check_one_step(*meshes):
    jax.config.update("jax_enable_x64", True)
    one = gradients((1, 1))
    assert largest_difference(one[1], jax.tree.map(np.zeros_like, one[1])) > 0.1
    for sides in meshes:
        error = largest_difference(one, gradients(sides))
        assert error < 1e-9, f"{sides}: {error}"


def ten_steps(sides):
    config = config_of(NOTHING_CHOSEN, *sides, learning_rate=1e-3)
    programs = programs_of(config, np.prod(sides))
    state, losses = programs.create_state(), []
    for step in range(10):
        batch = programs.put_batch(make_batch(images=8, seed=step))
        state, metrics = jax.block_until_ready(programs.train_step(state, batch))
        losses.append(float(metrics["loss"]))
    return losses, numpy_of(state.variables)


def check_ten_steps():
    losses, variables = ten_steps((1, 1))
    for sides in ((8, 1), (4, 2), (1, 8)):
        others, these = ten_steps(sides)
        np.testing.assert_allclose(others, losses, rtol=1e-5, err_msg=str(sides))
        for one, other in zip(*map(jax.tree.leaves, (variables, these)), strict=True):
            np.testing.assert_allclose(
                other, one, rtol=0, atol=1e-5 * np.abs(one).max() + 1e-7, err_msg=str(sides)
            )


def check_another_mesh(folder):
    """A state that one mesh has saved is the same one on another."""
    saved, gone_on = (programs_of(config_of(MODEL, *sides), 8) for sides in ((1, 8), (8, 1)))
    state = saved.create_state()
    with Checkpoints(folder, 1) as checkpoints:
        checkpoints.save(state)
    with Checkpoints(folder, 1) as checkpoints:
        restored = checkpoints.restore(gone_on.state_shapes())
    kernels = [x.variables["params"]["rpn_head"]["conv"]["kernel"] for x in (state, restored)]
    assert [x.is_fully_replicated for x in kernels] == [False, True]
    jax.tree.map(np.testing.assert_array_equal, numpy_of(state), numpy_of(restored))
    gone_on.train_step(restored, gone_on.put_batch(make_batch(images=8)))


def check_evaluation():
    """Eleven images in batches of eight are eleven, and found as by one device."""
    dataset = dataset_of(11)
    found = []
    for sides in ((1, 1), (4, 2)):
        config = dataclasses.replace(
            CONFIG, train=config_of(MODEL, *sides).train, eval=EvalConfig(batch_size=8)
        )
        programs = programs_of(config, np.prod(sides))
        variables = programs.create_state().variables

        def predict(batch, programs=programs, variables=variables):
            return jax.block_until_ready(programs.eval_step(variables, programs.put_batch(batch)))

        found.append(find(predict, dataset, config))
    one, eight = found
    assert sorted(one.detections) == sorted(eight.detections) == list(range(11))
    assert one.losses == eight.losses or largest_difference(one.losses, eight.losses) < 1e-5
    for place, detections in one.detections.items():
        np.testing.assert_allclose(eight.detections[place].scores, detections.scores, atol=1e-5)


if __name__ == "__main__":
    mesh.LARGE = 256  # so that a small detector has something to divide
    assert len(jax.devices()) == 8
    check, folder = sys.argv[1:]
    if check == "sample":
        check_another_mesh(pathlib.Path(folder))
        check_one_step((4, 2))
    else:
        check_evaluation()
        check_ten_steps()
        check_one_step((8, 1), (1, 8))
    print("checked")
