"""Every stage, loss, gradient and step beside torchvision 0.29.1, with the same weights."""

import dataclasses
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import OptimizerConfig, TrainConfig
from jaxrcnn.data.batches import make_eval_batch
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.detector import build, forward_train, init
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.of_torchvision import TORCHVISION, name_of
from jaxrcnn.interop.parity import compare
from jaxrcnn.interop.transfer import load, path_of
from jaxrcnn.training.knobs import knobs_of
from jaxrcnn.training.optimizer import build_optimizer
from jaxrcnn.training.state import TrainState
from jaxrcnn.training.step import train_step
from tests.interop import recipe
from tests.slow import slow_but
from tests.tiny import change

DATA = pathlib.Path(__file__).parent / "data"
NAMES = {"v1": "fasterrcnn_resnet50_fpn", "v2": "fasterrcnn_resnet50_fpn_v2"}
CANVAS = (192, 192)
ANCHORS = 3 * (48**2 + 24**2 + 12**2 + 6**2 + 3**2)
PROPOSALS = 60
BOXES = 8  # places for the ground truth of an image, which is appended
LOSSES = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg")


class Case:
    """One model with the recipe's weights, its recorded values, and the batch of two images."""

    def __init__(self, title):
        self.recorded = dict(np.load(DATA / f"parity_{title}.npz"))
        config = find_model(NAMES[title]).config(3)
        model = change(
            config.model,
            backbone={"frozen_stages": 0},
            rpn={"samples": ANCHORS, "foreground_fraction": 1.0},
            proposals={
                "pre_nms_train": 200,
                "post_nms_train": PROPOSALS,
                "pre_nms_test": 200,
                "post_nms_test": PROPOSALS,
            },
            box_head={"samples": PROPOSALS + BOXES, "foreground_fraction": 1.0},
            detections={"max_detections": 40},
        )
        data = dataclasses.replace(config.data, short_side=128, long_side=192)
        self.config = dataclasses.replace(config, model=model, data=data)
        self.detector = build(model)
        shapes = json.loads(str(self.recorded["shapes"]))
        like = jax.eval_shape(lambda key: init(self.detector, key), jax.random.key(0))
        self.variables, _ = load(recipe.state_dict(shapes), TORCHVISION, model, like)
        self.batch, self.scales = self._batch()

    def _batch(self):
        images = [self.recorded[f"image{i}"] for i in range(2)]
        records = tuple(
            make_record(
                i,
                str(i),
                "",
                image.shape[:2],
                self.recorded[f"boxes{i}"],
                self.recorded[f"labels{i}"],
                range(3),
            )
            for i, image in enumerate(images)
        )
        dataset = Dataset(
            "two", records, ("a", "b", "c"), (1, 2, 3), lambda record: images[record.image_id]
        )
        (batch, scales), _ = make_eval_batch(dataset, self.config, CANVAS, [0, 1])
        return batch, scales


@pytest.fixture(scope="module", params=slow_but(("v2",), NAMES))
def case(request):
    return Case(request.param)


def test_inference_is_the_same_stage_by_stage(case):
    recorded = {
        name.removeprefix("inference/"): x
        for name, x in case.recorded.items()
        if name.startswith("inference/")
    }
    np.testing.assert_array_equal(case.batch.image_sizes, recorded["image_sizes"])
    differences = compare(
        case.detector,
        case.variables,
        case.batch.images,
        case.batch.image_sizes,
        case.scales,
        recorded,
    )
    for difference in differences:
        assert difference.is_small, difference
    assert len(recorded["detections0/scores"]) > 5


@functools.partial(jax.jit, static_argnums=0)
def losses_and_gradients(detector, variables, batch):
    """The four losses, and the gradients of their sum and of the second stage's."""
    rest = {name: x for name, x in variables.items() if name != "params"}

    def total(params, factors):
        # Not in training mode: torchvision's norms were recorded with their stored statistics.
        losses, _, _ = forward_train(
            detector, {**rest, "params": params}, batch, jax.random.key(0), train=False
        )
        return jnp.dot(jnp.stack(losses), factors), losses

    gradient = jax.grad(total, has_aux=True)
    factors = jnp.array([[1.0, 1, 1, 1], [0, 0, 1, 1]])
    gradients, losses = jax.lax.map(lambda f: gradient(variables["params"], f), factors)
    norms = jax.tree.map(lambda x: jnp.sqrt((x**2).sum(tuple(range(1, x.ndim)))), gradients)
    return jax.tree.map(lambda x: x[0], losses), norms


@pytest.mark.slow
def test_losses_and_the_norm_of_every_gradient_are_the_same(case):
    losses, norms = losses_and_gradients(case.detector, case.variables, case.batch)
    expected = json.loads(str(case.recorded["losses"]))
    for name, ours in zip(LOSSES, losses, strict=True):
        np.testing.assert_allclose(ours, expected[name], rtol=1e-4, err_msg=name)
    got = {
        name_of(path_of(path), case.config.model): np.asarray(x)
        for path, x in jax.tree_util.tree_leaves_with_path({"params": norms})
    }
    for place, title in enumerate(("all", "second_stage")):
        theirs = json.loads(str(case.recorded[f"gradients/{title}"]))
        assert theirs.keys() == got.keys()
        for name, norm in theirs.items():
            np.testing.assert_allclose(got[name][place], norm, rtol=1e-3, err_msg=name)
        still = {name for name, norm in theirs.items() if norm == 0}
        if title == "all":
            assert not still
        else:  # the stop; and no RoI is so large that it is pooled from a coarse map
            rpn = {name for name in theirs if name.startswith("rpn.")}
            assert rpn <= still
            assert all(".fpn.layer_blocks." in name for name in still - rpn)


@pytest.mark.slow
def test_ten_steps_of_sgd_have_the_same_losses():
    case = Case("v1")
    optimizer = OptimizerConfig(
        learning_rate=1e-5, momentum=0.9, weight_decay=0.0, warmup_steps=0, schedule="constant"
    )
    config = dataclasses.replace(
        case.config, train=TrainConfig(batch_size=2, steps=10, optimizer=optimizer)
    )
    variables = jax.tree.map(jnp.asarray, case.variables)
    state = TrainState(
        jnp.zeros((), jnp.int32),
        variables,
        build_optimizer(config).init(variables["params"]),
        None,
    )
    step = jax.jit(train_step, static_argnums=(0, 1))
    rows = []
    for _ in range(10):
        state, metrics = step(case.detector, config, state, case.batch, knobs_of(config))
        names = ("box_class", "box_reg", "rpn_objectness", "rpn_box")
        rows.append([float(metrics[f"loss_{name}"]) for name in names])
    np.testing.assert_allclose(rows, case.recorded["sgd"], rtol=1e-3)
