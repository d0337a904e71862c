"""Alternating training: what each phase carries on, trains, freezes and begins anew."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import (
    AlternatingConfig,
    AlternatingStep,
    Config,
    ConfigError,
    DataConfig,
    OptimizerConfig,
    TrainConfig,
)
from jaxrcnn.detector import build, forward_infer, forward_propose, forward_train
from jaxrcnn.training import alternating
from jaxrcnn.training.alternating import (
    check_restarts,
    describe_phases,
    finished,
    has_proposer,
    phase_start,
    stage_of,
    start_phase,
    takes_given,
    trains_backbone,
)
from jaxrcnn.training.knobs import step_key
from jaxrcnn.training.optimizer import build_optimizer, learning_rate
from jaxrcnn.training.state import TrainState, create_state
from jaxrcnn.training.step import train_step
from jaxrcnn.types import Proposals
from tests.tiny import MODEL, make_batch, make_variables

STEPS = (
    AlternatingStep("rpn", "pretrained", (), 3, (2,)),
    AlternatingStep("fast_rcnn", "pretrained", (), 2),
    AlternatingStep("rpn", "frozen", ("rpn_head",), 3),
    AlternatingStep("fast_rcnn", "frozen", ("box_head/cls_score", "box_head/bbox_pred"), 2),
)
BOUNDARIES = (0, 3, 5, 8, 10)


def config_of(steps=STEPS, **optimizer):
    fields = {"learning_rate": 0.1, "warmup_steps": 0, "weight_decay": 0.1, "ema_decay": 0.5}
    return Config(
        model=MODEL,
        train=TrainConfig(
            scheme="alternating",
            alternating=AlternatingConfig(steps),
            steps=sum(step.steps for step in steps),
            batch_size=2,
            optimizer=OptimizerConfig(**{**fields, **optimizer}),
        ),
    )


CONFIG = config_of()
TRACES = []


@functools.partial(jax.jit, static_argnums=(0, 1, 4))
def step_of(detector, config, state, batch, stage):
    TRACES.append(stage)
    return train_step(detector, config, state, batch, stage=stage)


def first_state(seed=0):
    """As create_state makes it, but sooner."""
    variables = jax.tree.map(jnp.asarray, make_variables(build(MODEL), seed))
    variables["proposer"] = alternating.proposer_of(variables)
    params = variables["params"]
    opt_state = build_optimizer(CONFIG).init(params)
    return TrainState(jnp.zeros((), jnp.int32), variables, opt_state, params)


def drawn_state(number):
    return first_state(seed=100 + number)


@pytest.fixture(scope="module")
def run():
    """The state at the begin and at the end of every phase, and the metrics of every step."""
    TRACES.clear()
    state, begins, ends, metrics = first_state(), [], [], []
    for step in range(10):
        if alternating.begins_phase(CONFIG, step):
            ends.append(jax.device_get(state))
            state = start_phase(CONFIG, state, first_state, drawn_state)
        if step in BOUNDARIES:
            begins.append(jax.device_get(state))
        stage = stage_of(CONFIG, step)
        state, row = step_of(build(MODEL), CONFIG, state, make_batch(seed=step), stage)
        metrics.append({name: float(x) for name, x in row.items()})
    return begins, [*ends, jax.device_get(state)], metrics


def same(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def params_of(state):
    return state.variables["params"]


def test_phases_by_hand():
    stages = [stage_of(CONFIG, step) for step in range(10)]
    assert stages == ["rpn"] * 3 + ["fast_rcnn"] * 2 + ["rpn"] * 3 + ["fast_rcnn"] * 2
    starts = jax.jit(jax.vmap(lambda step: phase_start(CONFIG, step)))(jnp.arange(10))
    np.testing.assert_array_equal(starts, [0, 0, 0, 3, 3, 5, 5, 5, 8, 8])
    trained = jax.jit(jax.vmap(lambda step: trains_backbone(CONFIG, step)))(jnp.arange(10))
    np.testing.assert_array_equal(trained, [True] * 5 + [False] * 5)
    begins = [step for step in range(11) if alternating.begins_phase(CONFIG, step)]
    assert begins == [3, 5, 8]
    joint = Config()
    assert stage_of(joint, 7) == "joint"
    assert phase_start(joint, jnp.int32(7)) == 0
    assert not alternating.begins_phase(joint, 7)


def test_every_phase_has_its_own_schedule():
    config = config_of(warmup_steps=1, warmup_factor=0.5)
    got = jax.jit(jax.vmap(lambda step: learning_rate(config, step)))(jnp.arange(10))
    expected = [0.05, 0.1, 0.01, 0.05, 0.1, 0.05, 0.1, 0.1, 0.05, 0.1]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_the_learning_rate_of_the_updates_is_the_logged_one(run):
    _, _, metrics = run
    np.testing.assert_allclose(
        [row["learning_rate"] for row in metrics], [0.1, 0.1, 0.01, *[0.1] * 7], rtol=1e-6
    )


def test_two_programs_serve_the_four_phases(run):
    assert sorted(TRACES[:2]) == ["fast_rcnn", "rpn"]
    assert len(TRACES) == 2


def test_only_the_losses_of_the_phase_are_there(run):
    _, _, metrics = run
    for step, row in enumerate(metrics):
        names = {name for name in row if name.startswith("loss_")}
        wanted = {"rpn": ("rpn_objectness", "rpn_box"), "fast_rcnn": ("box_class", "box_reg")}
        assert names == {f"loss_{name}" for name in wanted[stage_of(CONFIG, step)]}
        assert row["loss"] == pytest.approx(sum(row[name] for name in names), rel=1e-6)


@pytest.mark.parametrize(
    ("phase", "trained"),
    [
        (0, {"backbone", "rpn_head"}),
        (1, {"backbone", "box_head"}),
        (2, {"rpn_head"}),
        (3, {"box_head"}),
    ],
)
def test_what_is_not_trained_stays_bit_for_bit_decay_included(run, phase, trained):
    begins, ends, _ = run
    before, after = params_of(begins[phase]), params_of(ends[phase])
    moved = {part for part in before if not same(before[part], after[part])}
    assert moved == trained
    assert same(begins[phase].variables["proposer"], ends[phase].variables["proposer"])


def test_a_phase_ends_in_its_average_and_begins_as_the_table_says(run):
    begins, ends, _ = run
    first, drawn = params_of(first_state()), params_of(drawn_state(2))
    # 2: the backbone is the first one again; the heads go on.
    assert same(params_of(begins[1])["backbone"], first["backbone"])
    assert same(params_of(begins[1])["rpn_head"], ends[0].average["rpn_head"])
    assert same(params_of(begins[1])["box_head"], first["box_head"])
    # 3: the backbone of step 2, and an RPN head re-initialised.
    assert same(params_of(begins[2])["backbone"], ends[1].average["backbone"])
    assert same(params_of(begins[2])["rpn_head"], drawn["rpn_head"])
    # 4: the box head of step 2 but for its last layers.
    head, drawn = params_of(begins[3])["box_head"], params_of(drawn_state(3))["box_head"]
    for layer in head:
        source = ends[2].average["box_head"] if layer in ("fc6", "fc7") else drawn
        assert same(head[layer], source[layer]), layer
    for begin in begins[1:]:
        assert same(begin.average, params_of(begin))
        assert all((np.asarray(x) == 0).all() for x in jax.tree.leaves(begin.opt_state))


def test_proposals_are_those_of_the_last_rpn_step(run):
    begins, ends, _ = run
    for begin, end in ((begins[1], ends[0]), (begins[2], ends[0]), (begins[3], ends[2])):
        for part in ("backbone", "rpn_head"):
            assert same(begin.variables["proposer"]["params"][part], end.average[part])


def spoil(state, *parts, value=np.nan):
    params = {
        name: jax.tree.map(lambda x: jnp.full_like(x, value), tree) if name in parts else tree
        for name, tree in params_of(state).items()
    }
    return state._replace(variables={**state.variables, "params": params})


def test_fast_rcnn_sees_nothing_of_its_own_rpn(run):
    begins, _, _ = run
    batch = make_batch(seed=3)
    clean, _ = step_of(build(MODEL), CONFIG, begins[1], batch, "fast_rcnn")
    other, metrics = step_of(build(MODEL), CONFIG, spoil(begins[1], "rpn_head"), batch, "fast_rcnn")
    assert np.isfinite(float(metrics["loss"]))
    for part in ("backbone", "box_head"):
        assert same(params_of(clean)[part], params_of(other)[part])
    source = begins[1].variables["proposer"]
    flat = jax.tree.map(jnp.zeros_like, source)
    variables = {**begins[1].variables, "proposer": flat}
    moved, _ = step_of(
        build(MODEL), CONFIG, begins[1]._replace(variables=variables), batch, "fast_rcnn"
    )
    assert not same(params_of(clean)["box_head"], params_of(moved)["box_head"])


def test_the_rpn_sees_nothing_of_the_box_head(run):
    begins, _, _ = run
    batch = make_batch(seed=0)
    clean, _ = step_of(build(MODEL), CONFIG, begins[0], batch, "rpn")
    other, metrics = step_of(build(MODEL), CONFIG, spoil(begins[0], "box_head"), batch, "rpn")
    assert np.isfinite(float(metrics["gradient_norm"]))
    for part in ("backbone", "rpn_head"):
        assert same(params_of(clean)[part], params_of(other)[part])


def test_after_the_last_phase_one_network_finds_what_the_two_find(run):
    _, ends, _ = run
    batch, detector = make_batch(seed=5), build(MODEL)
    both = {**ends[3].variables, "params": ends[3].average}
    one = finished(CONFIG, both, 10)
    assert "proposer" not in one
    infer = jax.jit(forward_infer, static_argnums=0)
    found = [infer(detector, v, batch.images, batch.image_sizes) for v in (both, one)]
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-5, 1e-5), *found)
    assert found[0].valid.any()
    # In the second phase the two differ, and the box head's boxes are on the other's proposals.
    two = {**ends[1].variables, "params": ends[1].average}
    assert "proposer" in finished(CONFIG, two, 5)
    assert "proposer" not in finished(CONFIG, two, 3)  # an RPN proposes itself
    propose = jax.jit(forward_propose, static_argnums=0)
    own, other = (
        propose(detector, v, batch.images, batch.image_sizes).boxes
        for v in ({**two, "proposer": two}, two)
    )
    assert not np.allclose(own, other)


ALONE = dataclasses.replace(
    config_of((AlternatingStep("fast_rcnn", steps=3),), ema_decay=0.0),
    data=DataConfig(train_proposals="t.npz", eval_proposals="e.npz"),
)


def test_fast_rcnn_takes_the_proposals_that_its_batch_brings():
    detector, batch = build(MODEL), make_batch(seed=4)
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 24, (2, 8, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + rng.uniform(8, 24, (2, 8, 2))], 2, dtype=np.float32)
    boxes[:, :2] = batch.boxes[:, :2] + 1  # next to the objects
    valid = np.tile(np.arange(8) < 6, (2, 1))
    given = Proposals(boxes, np.zeros((2, 8), np.float32), valid)
    padding = np.where(valid, 0, np.nan).astype(np.float32)
    dirty = Proposals(boxes + padding[..., None], given.scores + padding, valid)

    variables = jax.tree.map(jnp.asarray, make_variables(detector))
    opt_state = build_optimizer(ALONE).init(variables["params"])
    state = TrainState(jnp.zeros((), jnp.int32), variables, opt_state, None)
    brought = batch._replace(proposals=dirty)
    after, metrics = step_of(detector, ALONE, state, brought, "fast_rcnn")
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.variables))

    @jax.jit
    def expected(variables, batch, given):
        losses, _, flow = forward_train(detector, variables, batch, step_key(0, 0), proposals=given)
        return losses, flow.rois

    losses, rois = expected(variables, batch, given)
    for name in ("box_class", "box_reg"):
        assert float(metrics[f"loss_{name}"]) == pytest.approx(float(getattr(losses, name)), 1e-5)
    assert losses.box_reg > 0
    for i in range(2):
        drawn = {tuple(box) for box in np.asarray(rois.boxes[i])[np.asarray(rois.valid[i])]}
        known = np.concatenate([boxes[i, :6], batch.boxes[i, :2]])
        assert drawn <= {tuple(box) for box in known}

    other, _ = step_of(detector, ALONE, spoil(state, "rpn_head"), brought, "fast_rcnn")
    for part in ("backbone", "box_head"):
        assert same(params_of(after)[part], params_of(other)[part])
        assert not same(params_of(after)[part], params_of(state)[part])


def table_of(*stages):
    return config_of(tuple(AlternatingStep(stage, steps=2) for stage in stages))


@pytest.mark.parametrize(
    ("stages", "given", "proposer"),
    [
        (("rpn",), (), False),
        (("rpn", "rpn"), (), False),
        (("rpn", "fast_rcnn"), (), True),
        (("fast_rcnn",), (0, 1), False),
        (("fast_rcnn", "fast_rcnn"), (0, 1, 2, 3), False),
        (("fast_rcnn", "rpn"), (0, 1), False),
        (("fast_rcnn", "rpn", "rpn", "fast_rcnn"), (0, 1), True),
    ],
)
def test_given_proposals_serve_until_an_rpn_is_trained(stages, given, proposer):
    config = table_of(*stages)
    steps = range(config.train.steps)
    assert [step for step in steps if takes_given(config, step)] == list(given)
    assert has_proposer(config) == proposer
    shapes = jax.eval_shape(lambda: create_state(build(MODEL), config))
    assert ("proposer" in shapes.variables) == proposer
    assert not takes_given(Config(), 0)
    assert not has_proposer(Config())


def test_without_fast_rcnn_after_it_an_rpn_leaves_no_proposer():
    state = first_state()
    own = {name: x for name, x in state.variables.items() if name != "proposer"}
    state = state._replace(step=jnp.int32(2), variables=own)
    begun = start_phase(table_of("rpn", "rpn"), state, lambda: state, lambda _: state)
    assert "proposer" not in begun.variables


def test_joint_variables_are_as_they_are():
    variables = make_variables(build(MODEL))
    assert finished(Config(), variables, 7) is variables


def test_the_table_by_hand():
    lines = describe_phases(CONFIG)
    assert lines[0].split("  ")[0] == "step"
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[1:]]
    assert rows == [
        ["1", "RPN", "pretrained", "-", "-", "1 to 3", "2"],
        ["2", "Fast R-CNN", "pretrained", "-", "step 1", "4 to 5", "-"],
        ["3", "RPN", "frozen", "rpn_head", "-", "6 to 8", "-"],
        [
            "4",
            "Fast R-CNN",
            "frozen",
            "box_head/cls_score, box_head/bbox_pred",
            "step 3",
            "9 to 10",
            "-",
        ],
    ]
    assert describe_phases(Config()) == []
    given = dataclasses.replace(table_of("fast_rcnn", "rpn", "fast_rcnn"), data=ALONE.data)
    sources = [re.split("  +", line)[4] for line in describe_phases(given)]
    assert sources == ["proposals of", "t.npz", "-", "step 2"]


@pytest.mark.parametrize(
    ("part", "said"),
    [("box_head/fc9", "box_head has"), ("neck", "the detector has backbone, box_head, rpn_head")],
)
def test_a_part_that_is_not_there_cannot_restart(part, said):
    steps = (dataclasses.replace(STEPS[0], restart=(part,)), *STEPS[1:])
    with pytest.raises(ConfigError, match=f"no {part} to restart; {said}"):
        check_restarts(config_of(steps), make_variables(build(MODEL)))
    check_restarts(CONFIG, make_variables(build(MODEL)))
