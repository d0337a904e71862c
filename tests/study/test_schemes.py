"""What each scheme sets, and the table of alternating training at another budget, by hand."""

from dataclasses import replace

import pytest

from jaxrcnn.config import AlternatingConfig, AlternatingStep, Config, TrainConfig
from jaxrcnn.study.schemes import SCHEMES, scaled_steps
from jaxrcnn.training.gates import gates_at
from jaxrcnn.training.knobs import knobs_of
from jaxrcnn.validation import check
from tests.tiny import MODEL, change

STEPS = 40
BASE = Config(
    model=change(MODEL, proposals={"open_after": 3, "pooling_gradient": 0.5}),
    train=TrainConfig(steps=STEPS),
)


@pytest.mark.parametrize(
    ("scheme", "steps", "gates"),
    [
        ("approximate", (0, 39), [(0, 0), (0, 0)]),
        ("exact", (0, 39), [(1, 1), (1, 1)]),
        ("pooling", (0, 39), [(1, 0), (1, 0)]),
        ("targets", (0, 39), [(0, 1), (0, 1)]),
        ("late", (0, 9, 10, 13, 39), [(0, 0), (0, 0), (0.25, 0.25), (1, 1), (1, 1)]),
        ("alternating", (0, 39), [(0, 0), (0, 0)]),
    ],
)
def test_gates_of_each_scheme(scheme, steps, gates):
    config = SCHEMES[scheme](BASE)
    assert [tuple(map(float, gates_at(knobs_of(config), step))) for step in steps] == gates
    assert config.train.scheme == ("alternating" if scheme == "alternating" else "joint")


def test_schemes_differ_in_the_scheme_alone():
    same = {"model": BASE.model, "train": BASE.train}
    for make in SCHEMES.values():
        config = make(BASE)
        proposals = {"proposals": BASE.model.proposals}
        model = replace(config.model, **proposals)
        train = replace(config.train, scheme="joint", alternating=BASE.train.alternating)
        assert replace(config, model=model, train=train) == replace(config, **same) == BASE


def test_alternating_has_the_budget_of_the_others():
    config = SCHEMES["alternating"](BASE)
    assert [step.steps for step in config.train.alternating.steps] == [10, 10, 10, 10]
    kept = replace(BASE.train, alternating=AlternatingConfig(keep_proposals=True))
    assert SCHEMES["alternating"](replace(BASE, train=kept)).train.alternating.keep_proposals


def test_a_table_keeps_its_proportions_and_its_milestones():
    table = (
        AlternatingStep("rpn", steps=100, milestones=(50, 80)),
        AlternatingStep("fast_rcnn", steps=300, milestones=(100,)),
    )
    one, other = scaled_steps(table, 40)
    assert (one.steps, one.milestones) == (10, (5, 8))
    assert (other.steps, other.milestones) == (30, (10,))
    assert other.trains == "fast_rcnn"


def test_a_scaled_table_passes_the_checks():
    steps = (
        AlternatingStep("rpn", steps=5),
        AlternatingStep("fast_rcnn", "frozen", ("box_head",), steps=5),
    )
    optimizer = replace(TrainConfig().optimizer, warmup_steps=0, milestones=())
    base = Config(
        model=replace(Config().model, num_classes=4),
        data=replace(Config().data, format="shapes"),
        train=TrainConfig(steps=8, alternating=AlternatingConfig(steps), optimizer=optimizer),
    )
    check(SCHEMES["alternating"](base))
