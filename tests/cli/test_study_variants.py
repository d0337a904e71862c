"""What a study's options name; whole studies are in tests/study."""

import argparse

import pytest

from jaxrcnn.cli.arguments.study import add_arguments
from jaxrcnn.cli.study_variants import find_variants, split_values
from jaxrcnn.config import ConfigError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.detector import build
from jaxrcnn.study.schemes import SCHEMES
from tests.cli import fork

BASE = load_config("shapes")
OPEN = replace_fields(BASE, {"model.proposals.stop_gradient": False})


def variants(*words, base=BASE):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return find_variants(base, parser.parse_args(["--config", "shapes", *words]))


def configs(*words, base=BASE):
    return {variant.name: variant.config for variant in variants(*words, base=base)}


def test_without_options_all_schemes_are_compared():
    assert configs() == {name: make(BASE) for name, make in SCHEMES.items()}
    assert list(configs("--schemes", "exact")) == ["exact"]


def test_a_named_variant_changes_the_config():
    found = configs(
        *("--variant", "wide", "stop_gradient=False", "roi.op=warp"),
        *("--variant", "plain"),
        *("--variant", "frozen", "train.freeze=('backbone', 'neck')"),
    )
    assert found == {
        "wide": replace_fields(OPEN, {"model.roi.op": "warp"}),
        "plain": BASE,
        "frozen": replace_fields(BASE, {"train.freeze": ("backbone", "neck")}),
    }


def test_named_variants_are_beside_schemes():
    found = configs("--variant", "wide", "stop_gradient=False", "--schemes", "approximate")
    assert found == {"approximate": SCHEMES["approximate"](BASE), "wide": OPEN}


def test_values_are_combined_with_all_others():
    found = configs(
        *("--schemes", "approximate,exact"),
        *("--vary", "train.optimizer.learning_rate=1e-3,.002", "--vary", "roi.op=align,warp"),
    )
    assert list(found) == [
        f"{scheme}, learning_rate={rate}, op={op}"
        for scheme in ("approximate", "exact")
        for rate in ("0.001", "0.002")
        for op in ("align", "warp")
    ]
    assert found["exact, learning_rate=0.002, op=warp"] == replace_fields(
        SCHEMES["exact"](BASE), {"train.optimizer.learning_rate": 0.002, "model.roi.op": "warp"}
    )


def test_values_alone_are_of_the_config_itself():
    found = configs("--vary", "pooling_gradient=0,0.1,1", base=OPEN)
    assert found == {
        f"pooling_gradient={width}": replace_fields(
            OPEN, {"model.proposals.pooling_gradient": float(width)}
        )
        for width in ("0", "0.1", "1")
    }


def test_pieces_are_varied_like_a_field():
    found = variants("--schemes", "exact", "--vary", "pieces=none,tests.cli.fork:build_losses")
    assert [(x.name, x.build) for x in found] == [
        ("exact, pieces=none", build),
        ("exact, pieces=build_losses", fork.build_losses),
    ]
    found = variants("--variant", "mine", "pieces=tests.cli.fork:build", "--variant", "usual")
    assert [(x.name, x.build, x.config) for x in found] == [
        ("mine", fork.build, BASE),
        ("usual", build, BASE),
    ]
    (found,) = variants("--schemes", "exact", "--pieces", "tests.cli.fork:build")
    assert found.build is fork.build


def test_pieces_of_the_same_last_name_are_told_apart():
    given = "pieces=jaxrcnn.detector:build,tests.cli.fork:build"
    assert [x.name for x in variants("--vary", given)] == [
        "pieces=jaxrcnn.detector:build",
        "pieces=tests.cli.fork:build",
    ]


def test_values_in_brackets_and_quotes_are_one():
    assert split_values("1,2") == ["1", "2"]
    assert split_values("(1,2),[3,(4,)],'a,b'") == ["(1,2)", "[3,(4,)]", "a,b"]
    assert split_values("f('a,b'),\"\",'a','b'") == ["f('a,b')", "", "a", "b"]
    assert split_values("") == [""]
    found = configs("--vary", "train.init='one,two',three")
    assert [config.train.init for config in found.values()] == ["one,two", "three"]
    assert list(found) == ["init=one,two", "init=three"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--variant", "a=b"), "--variant a=b: expected a name before FIELD=VALUE"),
        (("--variant", "a", "exact"), "--variant a: got 'exact', expected FIELD=VALUE"),
        (("--variant", "a", "stepz=3"), "--variant a: there is no field stepz; did you"),
        (("--variant", "a", "clip_norm=3"), "--variant a: clip_norm is ambiguous"),
        (("--variant", "a", "seed=3"), "--variant a: seed cannot differ"),
        (
            ("--variant", "a", "log_every=1", "train.log_every=2"),
            "--variant a: train.log_every is given twice",
        ),
        (("--variant", "a", "pieces=none", "pieces=none"), "--variant a: pieces is given twice"),
        (("--vary", "learning_rate"), "--vary learning_rate: expected FIELD=VALUE,VALUE"),
        (("--vary", "learning_rate=a,1"), "learning_rate got 'a', expected float"),
        (("--vary", "roi.op=align,alig"), "roi.op got 'alig', expected one of align, "),
        (("--vary", "train.steps=1,2"), "--vary train.steps: train.steps cannot differ"),
        (("--vary", "pieces=none,nowhere:build"), "there is no module nowhere"),
        (
            ("--vary", "pieces=none", "--pieces", "tests.cli.fork:build"),
            "--pieces cannot be combined with --vary pieces",
        ),
        (("--vary", "log_every=1,1"), "two variants are called 'log_every=1'"),
        (("--vary", "nms_iou=0.5,7", "--variant", "a"), "nms_iou is ambiguous"),
        (("--vary", "proposals.nms_iou=0.5,7"), "nms_iou=7: model.proposals.nms_iou"),
        (
            ("--sweep", "pooling_gradient=0,1", "--vary", "log_every=1,2"),
            "--sweep cannot be combined",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(words, said):
    with pytest.raises(ConfigError) as error:
        variants(*words)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
