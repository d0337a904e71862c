"""Variants: their names, which are the same, and the folders of their runs."""

import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.study.variants import (
    SHARED,
    Variant,
    changed,
    check_variants,
    folder_name,
    full_name,
    short_name,
    shown,
    varied_fields,
)
from tests.cli import fork

BASE = Variant("", Config())
OPEN = {"model.proposals.stop_gradient": False}


def test_a_changed_variant_has_the_values_and_the_label():
    exact = changed(BASE, "exact", OPEN)
    found = changed(exact, "pooling_gradient=0.1", {"model.proposals.pooling_gradient": 0.1})
    assert found.name == "exact, pooling_gradient=0.1"
    assert found.config == replace_fields(
        Config(), {**OPEN, "model.proposals.pooling_gradient": 0.1}
    )
    assert (exact.name, BASE.config) == ("exact", Config())


@pytest.mark.parametrize(
    "field", ["seed", "train.steps", "eval.metric", "data.root", "data.eval_split"]
)
def test_what_makes_runs_comparable_cannot_differ(field):
    with pytest.raises(ConfigError, match=rf"^{field} cannot differ .* --config\.{field}$"):
        changed(BASE, "", {field: None})


@pytest.mark.parametrize(
    "field", ["train.optimizer.learning_rate", "data.short_side", "train.init"]
)
def test_the_rest_may_differ(field):
    assert not field.startswith(SHARED)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("learning_rate", "train.optimizer.learning_rate"),
        ("optimizer.clip_norm", "train.optimizer.clip_norm"),
        ("seed", "seed"),
        ("train.scheme", "train.scheme"),
    ],
)
def test_a_field_may_be_named_by_its_end(short, full):
    assert full_name(short) == full


def test_an_end_that_several_fields_have_is_refused():
    with pytest.raises(ConfigError, match=r"delta_gradient\.clip_norm or train.opt"):
        full_name("clip_norm")


def test_a_field_that_there_is_not_has_a_nearest():
    with pytest.raises(ConfigError, match=r"^there is no field stepz; did you mean .*steps\?$"):
        full_name("stepz")
    with pytest.raises(ConfigError, match=r"^there is no field qqqqq$"):
        full_name("qqqqq")


def test_names_are_the_shortest_ends_that_are_clear():
    assert short_name("model.proposals.pooling_gradient") == "pooling_gradient"
    assert short_name("train.optimizer.clip_norm") == "optimizer.clip_norm"
    assert short_name("model.proposals.delta_gradient.clip_norm") == "delta_gradient.clip_norm"
    assert short_name("seed") == "seed"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.002, "0.002"),
        (1 / 512, "0.001953125"),
        (True, "True"),
        ("align", "align"),
        ("", "''"),
        ((1, 2), "(1, 2)"),
    ],
)
def test_values_in_names(value, text):
    assert shown(value) == text


def test_variants_of_the_same_name_are_refused():
    with pytest.raises(ConfigError, match="two variants are called 'exact'"):
        check_variants([changed(BASE, "exact", OPEN), changed(BASE, "exact", {})])
    with pytest.raises(ConfigError, match="two variants are called 'Exact'"):
        check_variants([changed(BASE, "exact", OPEN), changed(BASE, "Exact", {})])


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({}, {}, "leave one of them out$"),
        (OPEN, {**OPEN, "model.proposals.pooling_gradient": 1.0}, "out$"),
        (
            {},
            {"model.proposals.pooling_gradient": 0.5},
            r"pooling_gradient has no effect with a closed gradient gate",
        ),
        (
            {},
            {
                **OPEN,
                "model.proposals.pooling_gradient": 0.0,
                "model.proposals.target_gradient": 0.0,
            },
            "has no effect",
        ),
    ],
)
def test_variants_whose_runs_are_the_same_are_refused(one, other, why):
    with pytest.raises(ConfigError, match=f"'a' and 'b' would train identically.*{why}"):
        check_variants([changed(BASE, "a", one), changed(BASE, "b", other)])


def test_variants_that_differ_are_not():
    check_variants(
        [
            changed(BASE, "a", {}),
            changed(BASE, "b", OPEN),
            changed(BASE, "c", {**OPEN, "model.proposals.pooling_gradient": 0.5}),
            changed(BASE, "d", {"train.init": "DIR"}),
            changed(BASE, "e", {})._replace(build=fork.build),
        ]
    )


def test_the_fields_in_which_variants_differ():
    other = changed(BASE, "faster", {"train.optimizer.learning_rate": 0.5})
    third = changed(BASE, "boxes", {"model.rpn.box_weight": 3.0})
    found = varied_fields([BASE, other, third])
    assert sorted(found) == ["model.rpn.box_weight", "train.optimizer.learning_rate"]
    assert varied_fields([BASE]) == ()


def test_folders_are_as_before_where_names_allow_it():
    assert folder_name("approximate", 3) == "approximate-3"
    assert folder_name("pooling_gradient=0.1", 0) == "pooling_gradient=0.1-0"
    assert folder_name("exact, pooling_gradient=0.1", 0) == "exact+pooling_gradient=0.1-0"


@pytest.mark.parametrize(
    "names",
    [
        ("init=a/b", "init=a:b", "init=a b"),
        ("a, b", "a,b", "a+b"),
        (f"init={'x' * 300}", f"init={'x' * 300}y"),
        ("..", "../..", "é", "ü"),
    ],
)
def test_other_names_have_safe_folders_of_their_own(names):
    folders = [folder_name(name, 7) for name in names]
    assert len(set(folders)) == len(names)
    for folder in folders:
        assert folder.isascii()
        assert not set(folder) & set("/\\:, *?\"<>|'")
        assert len(folder) < 128
        assert folder.endswith("-7")
