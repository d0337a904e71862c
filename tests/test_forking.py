"""The examples of docs/forking.md and docs/flow.md run as they are, and do what they say."""

import json
import pathlib
import pickle
import sys
import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxrcnn
from jaxrcnn.config import ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import config_differences
from jaxrcnn.data import eval_batches, train_batches
from jaxrcnn.detector import build, forward_train, init
from jaxrcnn.stages.losses import roi_losses
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.types import BoxOutput, Gates, RoiSamples
from tests.contracts import (
    check_backbone,
    check_box_head,
    check_gate,
    check_optimizer,
    check_roi_losses,
    check_roi_op,
    check_sampler,
    check_transform,
)
from tests.forks import FLOW, code_lines, fork_blocks, run_fork
from tests.slow import slow_but
from tests.tiny import MODEL, make_batch, make_variables

ROOT = pathlib.Path(__file__).parents[1]
HEADINGS = {
    "backbone": "A backbone",
    "box_head": "A box head",
    "sampler": "A sampler",
    "roi_op": "A RoI op",
    "gate": "A gradient gate",
    "roi_losses": "A loss",
    "optimizer": "An optimiser",
    "dataset": "A data set",
    "hugging_face": "A Hugging Face data set",
    "augmentation": "An augmentation",
    "loop": "A training loop",
}


def test_every_fork_is_short():
    lines = {heading: code_lines(block) for heading, block in fork_blocks().items()}
    assert lines.keys() >= set(HEADINGS.values())
    assert max(lines[heading] for heading in HEADINGS.values()) <= 40
    assert lines[HEADINGS["hugging_face"]] <= 15
    assert max(code_lines(block) for block in fork_blocks(FLOW).values()) <= 40


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a block as a script beside train.py would run; once for all tests."""
    modules = {}

    def run(name):
        if name not in modules:
            modules[name] = run_fork(HEADINGS[name], tmp_path_factory.mktemp("fork"))
        return modules[name]

    return run


STEPS = (
    *("backbone", "box_head", "sampler", "roi_op", "gate", "roi_losses", "optimizer"),
    "augmentation",
)


@pytest.mark.parametrize("name", slow_but(("backbone",), STEPS))
def test_the_fork_takes_a_step(name, run):
    fork = run(name)
    assert int(fork.state.step) == 1
    assert np.isfinite(fork.metrics["loss"])
    assert fork.metrics["gradient_norm"] > 0


def test_the_backbone_is_in_use_and_keeps_the_contract(run):
    fork = run("backbone")
    assert fork.detector.backbone == fork.ConvNet()
    assert set(fork.state.variables["params"]["backbone"]) == {f"Conv_{i}" for i in range(4)}
    check_backbone(fork.ConvNet(), channels=32)


@pytest.mark.slow
def test_the_box_head_is_in_use_and_keeps_the_contract(run):
    fork = run("box_head")
    assert fork.detector.box_head == fork.OneLayer(4)
    params = fork.state.variables["params"]["box_head"]
    assert {name: x["kernel"].shape for name, x in params.items()} == {
        "Dense_0": (16, 32),
        "Dense_1": (32, 5),
        "Dense_2": (32, 16),
    }
    check_box_head(fork.OneLayer(4), num_classes=4)


@pytest.mark.slow
def test_the_saved_box_head_is_loaded_with_its_build_and_not_without(run):
    fork = run("box_head")
    folder = pathlib.Path(fork.__file__).parent / "own_head"
    assert fork.model.detector == fork.detector
    assert 0 < len(fork.found[0].scores) <= fork.config.model.detections.max_detections
    trained = jax.tree.map(np.asarray, fork.state.variables)
    jax.tree.map(np.testing.assert_array_equal, fork.model.variables, trained)
    name = f"{fork.__name__}.OneLayer"
    assert json.loads((folder / "pieces.json").read_text())["box_head"]["name"] == name
    with pytest.raises(ConfigError, match=f"box_head {name}"):
        jaxrcnn.load(folder)


@pytest.mark.slow
def test_the_sampler_is_in_use_and_keeps_the_contract(run):
    fork = run("sampler")
    assert fork.detector.roi_sampler is fork.hardest_first
    check_sampler(fork.hardest_first)


def test_the_sampler_takes_the_background_of_most_overlap(run):
    label = np.array([0, 1, 0, -1, 0, 1], np.int32)
    overlap = np.array([0.1, 0.9, 0.4, 0.6, 0.2, 0.8], np.float32)
    sampler, key = run("sampler").hardest_first, jax.random.key(0)
    index, valid = jax.jit(sampler, static_argnums=(3, 4))(key, label, overlap, 3, 0.5)
    assert valid.all()
    assert index[0] in (1, 5)
    assert index[1:].tolist() == [2, 4]


@pytest.mark.slow
def test_the_roi_op_is_in_use_and_keeps_the_contract(run):
    fork = run("roi_op")
    assert fork.detector.roi_op is fork.bin_centres
    check_roi_op(fork.bin_centres)


def test_the_roi_op_reads_the_bin_centres_of_a_ramp(run):
    ramp = np.arange(8, dtype=np.float32)[None, :, None].repeat(8, 0)  # (8, 8, 1), its own x
    box = np.array([[8, 8, 24, 24]], np.float32)  # 2 to 6 on the map; bins are centred at 3 and 5
    pooled = run("roi_op").bin_centres([ramp], [4], box, np.zeros(1, np.int32), 2, 1)
    np.testing.assert_allclose(pooled[0, :, :, 0], [[2.5, 4.5], [2.5, 4.5]])


def rois_of(labels, valid):
    """RoIs with the labels (N, S), of 10 pixels each, whose objects are 2 pixels to the right."""
    boxes = np.tile(np.array([5, 5, 15, 15], np.float32), (*np.shape(labels), 1))
    return RoiSamples(
        boxes=jnp.asarray(boxes),
        references=jnp.asarray(boxes),
        labels=jnp.asarray(labels, jnp.int32),
        matched_boxes=jnp.asarray(boxes + np.array([2, 0, 2, 0], np.float32)),
        weights=jnp.ones(np.shape(labels)),
        valid=jnp.asarray(valid),
        matched=jnp.zeros(np.shape(labels), jnp.int32),
    )


ROIS = rois_of([[2, 0, 1]], [[True, True, False]])


@pytest.mark.slow
def test_the_gate_is_open_for_objects_alone(run):
    fork = run("gate")
    assert fork.detector.gate is fork.objects_only
    assert fork.metrics["gate_pooling"] == 1
    check_gate(fork.objects_only)

    def total(rois, gates):
        gated = fork.objects_only(ROIS._replace(**rois), fork.config.model.proposals, gates)
        return jnp.sum(gated.boxes) + jnp.sum(gated.references)

    fields = {"boxes": ROIS.boxes, "references": ROIS.references}
    gradient = jax.grad(total)(fields, Gates(0.25, 1.0))
    np.testing.assert_array_equal(gradient["boxes"][0, :, 0], [0.25, 0, 0.25])
    np.testing.assert_array_equal(gradient["references"][0, :, 0], [1, 0, 1])


@pytest.mark.slow
def test_the_loss_is_cross_entropy_and_one_less_the_probability(run):
    fork = run("roi_losses")
    assert fork.detector.roi_losses is fork.poly_losses
    check_roi_losses(fork.poly_losses)
    logits = np.array([[[0.5, -1.0, 2.0], [0.0, 1.0, 0.0], [9.0, 9.0, 9.0]]], np.float32)
    output = BoxOutput(jnp.asarray(logits), jnp.zeros((1, 3, 2, 4)))
    weight, config = np.array([0.5], np.float32), fork.config.model.box_head
    box_class, box_reg = fork.poly_losses(output, ROIS, weight, config)
    p = np.exp(logits[0, [0, 1], [2, 0]]) / np.exp(logits[0, :2]).sum(1)
    np.testing.assert_allclose(box_class, [[*(0.5 * (1 - p - np.log(p))), 0]], rtol=1e-6)
    np.testing.assert_array_equal(box_reg, roi_losses(output, ROIS, weight, config)[1])


@pytest.mark.slow
def test_the_optimizer_says_its_rate_and_leaves_the_neck(run):
    fork = run("optimizer")
    assert fork.metrics["learning_rate"] == pytest.approx(1e-6)
    before = init(build(fork.config.model), jax.random.fold_in(jax.random.key(0), 0))["params"]
    after = jax.tree.map(np.asarray, fork.state.variables["params"])
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a) - b).max(), before, after)
    assert max(jax.tree.leaves(moved["backbone"]["fpn"])) == 0
    for part in (moved["backbone"]["body"], moved["rpn_head"], moved["box_head"]):
        # A step of Lion is the sign of a gradient, and a hundredth of the weight.
        assert 0.9e-6 < max(jax.tree.leaves(part)) < 1.1e-6
    check_optimizer(fork.lion, fork.config)


@pytest.mark.slow
def test_the_data_set_arrives_in_the_batches_and_a_run_trains_on_it(run):
    fork = run("dataset")
    folder = pathlib.Path(fork.__file__).parent / "own_run"
    rows = MetricsWriter.read(folder / "metrics.jsonl")
    assert [row["step"] for row in rows if "train/loss" in row] == [1, 2, 3, 4]
    assert all("eval/AP" in row for row in rows if "eval/loss" in row)
    assert jaxrcnn.load(folder).classes.names == ("cat", "dog")
    stream = train_batches(fork.train_set, fork.config)
    batches = [next(stream) for _ in range(2)]
    stream.close()
    found = {}
    for batch in batches:
        for i, index in enumerate(batch.image_index):
            found[int(index)] = batch.labels[i][batch.box_valid[i]].tolist()
            sides = batch.boxes[i, :, 2:] - batch.boxes[i, :, :2]
            if index == 0:  # 96 x 128 pixels become 48 x 64
                np.testing.assert_allclose(sides[0], [16, 32], atol=1e-4)
    assert found.items() <= {0: [1], 1: [2, 1], 2: []}.items()
    assert len(found) >= 2


def tenfold(*arguments):
    return tuple(10 * x for x in roi_losses(*arguments))


def test_a_loss_in_place_of_another_is_compiled_anew():
    """What is static under jit is the detector, so that no program outlives a replaced part."""
    detector = build(MODEL)
    arguments = make_variables(detector), make_batch(), jax.random.key(0)
    traced = jax.jit(forward_train, static_argnums=0)
    own, _, _ = traced(detector, *arguments)
    other, _, _ = traced(build(MODEL, roi_losses=tenfold), *arguments)
    again, _, _ = traced(build(MODEL), *arguments)
    np.testing.assert_allclose(other[2:], 10 * np.array(own[2:]), rtol=1e-5)
    np.testing.assert_array_equal(other[:2], own[:2])
    np.testing.assert_array_equal(again, own)


class Rows(list):
    """As a data set of the package `datasets`, version 5: rows by their place, and features."""

    class _Labels(NamedTuple):
        names: list

    class _Categories(NamedTuple):
        feature: object

    features = {"objects": {"category": _Categories(_Labels(["cat", "dog"]))}}  # noqa: RUF012


ROWS = Rows(
    [
        {
            "image": Image.new("RGB", (64, 48), "red"),
            "objects": {"bbox": [[2.0, 4.0, 10.0, 20.0], [0, 0, 64, 48]], "category": [1, 0]},
        },
        {"image": Image.new("L", (32, 64), 7), "objects": {"bbox": [], "category": []}},
    ]
)


def test_a_data_set_of_hugging_face_is_read(run, monkeypatch):
    """The package is not installed here: what stands in for it has the same interface."""
    package = types.ModuleType("datasets")
    package.load_dataset = lambda name, split: {("mine", "train"): ROWS}[name, split]
    monkeypatch.setitem(sys.modules, "datasets", package)
    dataset = run("hugging_face").open_split("mine", "train")
    assert dataset.class_names == ("cat", "dog")
    assert dataset.summary().startswith("mine: 2 images, 2 boxes (0 to ignore), 2 classes")
    first, second = dataset.records
    np.testing.assert_array_equal(first.boxes, [[2, 4, 12, 24], [0, 0, 64, 48]])
    assert (first.labels.tolist(), second.labels.tolist()) == ([2, 1], [])
    assert (first.height, first.width, second.height, second.width) == (48, 64, 64, 32)
    np.testing.assert_array_equal(dataset.read_image(0)[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(dataset.read_image(1), np.full((64, 32, 3), 7, np.uint8))


def test_the_loop_trains_the_heads_and_what_it_saves_is_loaded(run):
    loop = run("loop")
    before = init(loop.detector, jax.random.key(0))["params"]
    saved = jaxrcnn.load(pathlib.Path(loop.__file__).parent / "own")
    jax.tree.map(np.testing.assert_array_equal, saved.variables, loop.variables)
    for part, trained in (("backbone", False), ("rpn_head", True), ("box_head", True)):
        changed = jax.tree.map(
            lambda a, b: bool((np.asarray(a) != b).any()),
            before[part],
            saved.variables["params"][part],
        )
        assert all(x == trained for x in jax.tree.leaves(changed)), part
    assert loop.number == loop.config.train.steps - 1
    assert np.isfinite(loop.loss)
    assert saved.classes.names == loop.dataset.class_names


def test_the_config_changes_two_fields_of_the_default_one(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(fork_blocks()["A config"])
    base, mine = load_config(ROOT / "configs" / "shapes.py"), load_config(path)
    names = [line.split()[0] for line in config_differences(base, mine)]
    assert names == ["model.neck.norm", "train.steps"]
    assert (mine.model.neck.norm, mine.train.steps) == ("group", 2000)


@pytest.mark.slow
def test_the_flow_can_be_looked_into(tmp_path):
    page = run_fork("Look into a training pass", tmp_path, FLOW)
    assert page.foreground.any()
    boxes = np.take_along_axis(page.batch.boxes, np.asarray(page.rois.matched)[..., None], 1)
    same = np.asarray(page.rois.matched_boxes) == boxes
    assert same[np.asarray(page.foreground)].all()
    sides = np.sqrt(np.prod(boxes[..., 2:] - boxes[..., :2], -1))
    np.testing.assert_allclose(page.side, sides, rtol=1e-5)


@pytest.mark.slow
def test_a_loss_of_ones_own_is_part_of_the_total_and_logged(tmp_path):
    metrics = run_fork("Losses of your own", tmp_path, FLOW).metrics
    parts = [float(x) for name, x in metrics.items() if name.startswith("loss_")]
    assert len(parts) == 5
    assert metrics["loss"] == pytest.approx(sum(parts), rel=1e-5)
    # At first all five answers are as likely: the entropy is ln 5.
    assert metrics["loss_entropy"] == pytest.approx(-0.01 * np.log(5), rel=0.02)


@pytest.mark.slow
def test_a_loop_with_the_librarys_step_ends_with_detections(tmp_path):
    page = run_fork("A loop with the library's step", tmp_path, FLOW)
    assert int(page.state.step) == page.config.train.steps
    assert np.isfinite(page.losses["loss"])
    assert page.detections.boxes.shape == (2, 10, 4)


def test_gradients_are_scaled_by_row(tmp_path):
    page = run_fork("Gradients and names", tmp_path, FLOW)
    np.testing.assert_array_equal(page.gradient, [[3, 3], [0, 0], [-1.5, -1.5]])


@pytest.mark.slow
def test_the_augmentation_cuts_images_and_their_boxes_in_training_alone(run, monkeypatch):
    fork = run("augmentation")
    monkeypatch.setitem(sys.modules, fork.__name__, fork)  # as a script's or an imported module
    check_transform(fork.random_crop)
    whole, cut = fork.dataset.read_sample(0), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cut.append(fork.random_crop(whole, fork.dataset.records[0], rng))
    height = len(whole.image)
    assert all(height // 2 <= len(sample.image) <= height for sample in cut)
    assert len({sample.image.shape for sample in cut}) > 10
    assert any(len(sample.boxes) < len(whole.boxes) for sample in cut)
    assert any(len(sample.boxes) > 0 for sample in cut)
    batches = eval_batches(fork.dataset, fork.config)
    batch, _ = next(batches)
    batches.close()
    assert batch.box_valid.sum() == sum(len(fork.dataset.records[i].boxes) for i in (0, 1))
    assert pickle.dumps(fork.dataset)
