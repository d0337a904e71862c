"""A run whose programs are plain functions, so that a test can steer it in milliseconds.

A state has one parameter, which each step changes by its batch; the scores of its evaluations are
given, or follow from it.
"""

import contextlib
from dataclasses import replace
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn import run_start, runs, scoring
from jaxrcnn.config import Config, DataConfig, EvalConfig, TrainConfig
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.detector import COLLECTIONS, build
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState
from tests.tiny import MODEL

CONFIG = Config(
    model=MODEL,
    data=DataConfig(root="x", eval_split="val", short_side=32, long_side=48),
    train=TrainConfig(
        batch_size=2,
        steps=8,
        log_every=3,
        eval_every=2,
        checkpoint_every=4,
        keep_checkpoints=1,
        trackers=(),
    ),
    eval=EvalConfig(batch_size=2, images=1),
)


def config_of(**train):
    return replace(CONFIG, train=replace(CONFIG.train, **train))


def dataset_of(images, name="small"):
    """Images of their number's brightness."""

    def read(record):
        return np.full((record.height, record.width, 3), record.image_id, np.uint8)

    records = [
        make_record(number, f"{number}", "", (16, 24), [[2, 2, 8, 8]], [1], [number])
        for number in range(1, images + 1)
    ]
    return Dataset(name, tuple(records), ("a", "b", "c"), (1, 2, 3), read)


def state_of(step, value):
    params = {"params": {"box_head": {"w": jnp.float32(value)}}}
    return TrainState(
        jnp.int32(step), {c: {} for c in COLLECTIONS} | params, {"m": jnp.float32(-value)}, None
    )


def value_of(variables):
    return float(variables["params"]["box_head"]["w"])


class Plain:
    """A function in place of a compiled program."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **options):
        return self.function(*args, **options)

    def is_ready(self, *_, **__):
        return True

    def planned(self, *_, **__):
        return None

    def compile_ahead(self, *_, **__):
        pass

    def forget(self):
        pass


def train_step(state, batch, stage):
    step, value = int(state.step) + 1, value_of(state.variables)
    value = 0.5 * value + float(np.mean(batch.images[:, 0, 0])) + step
    return state_of(step, value), {"loss": np.float32(value), "learning_rate": np.float32(0.1)}


PROGRAMS = Programs(
    create_state=lambda draw=0: state_of(0, 0.0),
    train_step=Plain(train_step),
    eval_step=Plain(None),
    put_batch=lambda batch: batch,
    propose=Plain(None),
    state_shapes=lambda: jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state_of(0, 0.0)
    ),
)


class Judged:
    """What was evaluated: (name of the set, step, the parameter), in order."""

    def __init__(self, scores):
        self.scores, self.calls = scores, []

    def evaluate_state(self, config, programs, state, dataset, workdir, progress, given=None):
        step = int(state.step)
        self.calls.append((dataset.name, step, value_of(state.variables)))
        return {"eval/AP": self.scores.get(step, 0.0), "eval/AP50": 1.0, "eval/loss": 1.0}

    def find(self, predict, dataset, config, proposals=None, share=None):
        predict(mock.Mock(image_weights=np.ones(1), images=np.zeros((1, 4, 4, 3))))
        return scoring.Found({}, {}, ())

    def eval_step(self, variables, batch):
        self.calls.append(("test", None, value_of(variables)))


@contextlib.contextmanager
def scored(scores):
    """Runs inside train as above, and their evaluations score so, by step; others score 0."""
    judged = Judged(scores)
    programs = PROGRAMS._replace(eval_step=Plain(judged.eval_step))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_start, "compile_programs", lambda *_: programs)
        patch.setattr(scoring, "evaluate_state", judged.evaluate_state)
        patch.setattr(scoring, "find", judged.find)
        yield judged


def run(workdir, config=CONFIG, **options):
    """Train on five images, which are several epochs."""
    sets = dataset_of(5), dataset_of(1, "val")
    runs.run(config, workdir, build(config.model), *sets, **options)


def rows_of(workdir):
    """The lines of metrics.jsonl without times."""
    return [
        {name: value for name, value in row.items() if name != "train/images_per_second"}
        for row in MetricsWriter.read(workdir / "metrics.jsonl")
    ]
