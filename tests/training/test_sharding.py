"""Eight virtual devices in processes of their own: a backend's devices are counted at its start."""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training.sharding import compile_programs
from tests.tiny import MODEL

ROOT = pathlib.Path(__file__).parents[2]

TRAIN = """
import sys
import jax
import jax.numpy as jnp
import numpy as np
from jaxrcnn.config import Config, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training.optimizer import build_optimizer
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.state import TrainState
from tests.tiny import MODEL, change, make_batch, make_variables
import tests.conftest

devices, path = int(sys.argv[1]), sys.argv[2]
assert jax.local_device_count() == devices
# All proposals survive and are drawn: rounding must not decide which.
everything = {"samples": 12, "foreground_fraction": 1.0, "foreground_iou": 0.1}
config = Config(
    model=change(
        MODEL,
        backbone={"norm": "batch"},
        proposals={"nms_iou": 1.0, "pre_nms_train": 8},
        box_head=everything,
    ),
    train=TrainConfig(batch_size=8, optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=0)),
)
detector = build(config.model)
programs = compile_programs(detector, config)
variables = jax.tree.map(jnp.asarray, make_variables(detector))
opt_state = build_optimizer(config).init(variables["params"])
state = TrainState(jnp.zeros((), jnp.int32), variables, opt_state, None)
for step in range(5):
    batch = programs.put_batch(make_batch(images=8, seed=step))
    assert len(batch.images.sharding.device_set) == devices
    assert batch.images.addressable_shards[0].data.shape[0] == 8 // devices
    state, metrics = jax.block_until_ready(programs.train_step(state, batch))
    assert metrics["gradient_norm"] > 1e-2
assert jax.tree.leaves(state.variables)[0].is_fully_replicated
leaves = jax.tree_util.tree_leaves_with_path(state.variables)
np.savez(path, **{jax.tree_util.keystr(path, simple=True, separator="."): x for path, x in leaves})
"""


def train_on(devices, path):
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(
        [sys.executable, "-c", TRAIN, str(devices), str(path)],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=300,
    )
    return dict(np.load(path))


@pytest.mark.slow
def test_eight_devices_train_as_one_does_batch_norm_included(tmp_path):
    one, eight = (train_on(n, tmp_path / f"{n}.npz") for n in (1, 8))
    assert one.keys() == eight.keys()
    for name, x in one.items():
        error = np.abs(eight[name] - x).max() / (np.abs(x).max() + 1e-6)
        assert error < 1e-5, f"{name}: {error}"


@pytest.mark.parametrize(("train_batch", "field"), [(8, "train"), (9, "eval")])
def test_a_batch_that_cannot_be_shared_out_is_refused(train_batch, field, monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda: [None] * 3)
    config = Config(model=MODEL, train=TrainConfig(batch_size=train_batch))  # eval.batch_size is 8
    with pytest.raises(ConfigError, match=rf"{field}\.batch_size=8 must be a multiple of 3"):
        compile_programs(build(MODEL), config)
