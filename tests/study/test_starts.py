"""Starts from another study's finished runs."""

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.study.starts import find_start
from jaxrcnn.study.study_io import to_json
from tests.study.synthetic import diverged_run, make_run, make_study, waiting_run


@pytest.fixture
def other(tmp_path):
    """Of two variants, the second with a colon in its name."""
    runs = [
        *(make_run("approximate", seed) for seed in (4, 5)),
        waiting_run("approximate", 6),
        *(make_run("init=a:b", 4, folder="runs/odd-4"), diverged_run("init=a:b", 5)),
    ]
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "study.json").write_text(to_json(make_study(runs)))
    return folder


def test_runs_start_from_the_first_variant_with_their_seed(other):
    start = find_start(str(other))
    assert start.init(4) == str(other / "runs" / "approximate-4")
    assert start.init(5) == str(other / "runs" / "approximate-5")


def test_or_from_the_one_that_is_named(other):
    assert find_start(f"{other}:init=a:b").init(4) == str(other / "runs" / "odd-4")


@pytest.mark.parametrize(("variant", "seed"), [("approximate", 6), ("init=a:b", 5)])
def test_a_run_that_has_not_finished_is_no_start(other, variant, seed):
    start = find_start(f"{other}:{variant}")
    with pytest.raises(ConfigError, match=rf"other:{variant}: .* no finished run with seed {seed}"):
        start.init(seed)


def test_what_is_no_study_or_no_variant_is_refused(other, tmp_path):
    with pytest.raises(ConfigError, match="has no variant 'exact'; it has 'approximate', 'init=a"):
        find_start(f"{other}:exact")
    for text in ("nowhere", "nowhere:exact", str(tmp_path)):
        with pytest.raises(ConfigError, match=r"is not a study's folder: it has no study\.json"):
            find_start(text)
