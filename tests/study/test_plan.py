"""The order of a study's runs, their configs and the data that they are scored on."""

import sys
from dataclasses import replace

import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.datasets import open_datasets, open_test_dataset
from jaxrcnn.study.plan import Plan, check_start, find_baseline, open_sets, units_of
from jaxrcnn.study.starts import Start
from jaxrcnn.study.variants import Variant
from tests.study.test_side_by_side import CONFIG

PLAN = Plan((Variant("a", Config()), Variant("b", Config())), (4, 5), "title", "command")


def test_runs_are_in_the_order_of_their_seeds():
    assert [unit.keys for unit in units_of(PLAN)] == [
        [("a", 4)],
        [("b", 4)],
        [("a", 5)],
        [("b", 5)],
    ]
    together = units_of(PLAN._replace(together=True))
    assert [unit.keys for unit in together] == [[("a", 4), ("b", 4)], [("a", 5), ("b", 5)]]
    assert str(together[0]) == "a; b, seed 4"


def test_a_run_has_its_seed_and_what_it_starts_from():
    variant = PLAN.variants[0]
    assert PLAN.config_of(variant, 5) == replace(Config(), seed=5)
    started = PLAN._replace(start=Start("there", {5: "there/5"}))
    assert started.config_of(variant, 5) == replace_fields(
        Config(), {"seed": 5, "train.init": "there/5"}
    )
    with pytest.raises(ConfigError, match="seed 4"):
        started.config_of(variant, 4)


def test_all_starts_are_looked_for_before_anything_runs():
    check_start(PLAN)
    check_start(PLAN._replace(start=Start("there", {4: "4", 5: "5"})))
    with pytest.raises(ConfigError, match=r"--start there: .* seed 5"):
        check_start(PLAN._replace(start=Start("there", {4: "4"})))
    twice = Variant("c", replace_fields(Config(), {"train.init": "DIR"}))
    with pytest.raises(ConfigError, match=r"train\.init"):
        check_start(PLAN._replace(variants=(twice,), start=Start("there", {4: "4", 5: "5"})))


@pytest.mark.parametrize(
    ("names", "asked", "baseline"),
    [
        (("exact", "approximate"), None, "approximate"),
        (("exact", "late"), None, "exact"),
        (("exact", "approximate"), "exact", "exact"),
    ],
)
def test_the_baseline_is_the_closed_gate_unless_another_is_asked_for(names, asked, baseline):
    variants = [Variant(name, Config()) for name in names]
    assert find_baseline(variants, asked) == baseline
    with pytest.raises(ConfigError, match=r"--baseline none: .* 'exact', "):
        find_baseline(variants, "none")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model.num_classes", 3, r"model\.num_classes is 3, but shapes"),
        ("data.decoder", "fast", r"data\.decoder=fast requires"),
    ],
)
def test_every_variant_can_use_the_data(tmp_path, monkeypatch, field, value, said):
    monkeypatch.setitem(sys.modules, "cv2", None)  # an import of it fails
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    other = Variant("b", replace_fields(CONFIG, {field: value}))
    with pytest.raises(ConfigError, match=said):
        open_sets(Plan((Variant("a", CONFIG), other), (4,), "title", "command"), tmp_path)


@pytest.mark.parametrize("split", ["eval", "test"])
def test_runs_are_scored_on_the_images_of_the_split(tmp_path, split):
    plan = Plan((Variant("a", CONFIG),), (4,), "title", "command", split=split)
    _, scored = open_sets(plan, tmp_path)
    train_set, eval_set = open_datasets(CONFIG)
    test_set = open_test_dataset(CONFIG, train_set.class_names)
    expected, other = (eval_set, test_set) if split == "eval" else (test_set, eval_set)
    boxes = scored.records[0].boxes.tolist()
    assert boxes == expected.records[0].boxes.tolist() != other.records[0].boxes.tolist()
