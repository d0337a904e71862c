import dataclasses

import numpy as np
import pytest
from scipy import stats

from jaxrcnn.study.comparisons import compare, with_comparisons
from tests.study.synthetic import diverged_run, make_run, make_study, waiting_run

BASE, EXACT = (0.5, 0.55, 0.61), (0.4, 0.52, 0.47)


def paired_study(**fields):
    """Three pairs of approximate and exact; pooling diverged once."""
    runs = [make_run("approximate", s, (0.9, ap)) for s, ap in enumerate(BASE)]
    runs += [make_run("exact", s, (0.1, ap)) for s, ap in enumerate(EXACT)]
    runs += [make_run("pooling", 0, (0.3, 0.56)), diverged_run("pooling", 1, aps=(0.7,))]
    return make_study([*runs, waiting_run("pooling", 2)], **fields)


def comparison(study, scheme, measure="AP"):
    (found,) = [one for one in study.comparisons if (one.scheme, one.measure) == (scheme, measure)]
    return found


def test_differences_are_taken_between_final_scores_of_the_same_seed():
    found = comparison(with_comparisons(paired_study()), "exact")
    assert found.seeds == (0, 1, 2)
    assert found.differences == pytest.approx((-0.1, -0.03, -0.14))
    assert found.mean == pytest.approx(-0.09)
    expected = stats.ttest_rel(EXACT, BASE).confidence_interval(0.95)
    assert found.student == pytest.approx(tuple(expected), abs=1e-6)
    assert found.over_seeds == pytest.approx((-0.14, -0.03))
    assert found.over_images is None
    assert found.diverged == 0


def test_seeds_are_paired_whatever_their_order():
    study = paired_study()
    turned = dataclasses.replace(study, runs=study.runs[::-1])
    assert with_comparisons(turned).comparisons == with_comparisons(study).comparisons


def test_diverged_and_waiting_runs_are_in_no_pair_and_one_pair_has_no_interval():
    found = comparison(with_comparisons(paired_study()), "pooling")
    assert (found.seeds, found.differences, found.diverged) == ((0,), (0.06,), 1)
    assert (found.mean, found.student, found.over_seeds) == (0.06, None, None)


def test_a_diverged_run_of_the_baseline_is_counted_too_and_a_seed_only_once():
    runs = [diverged_run(scheme, 0) for scheme in ("approximate", "exact")]
    runs += [diverged_run("approximate", 1), make_run("exact", 1)]
    study = with_comparisons(make_study(runs))
    (found,) = study.comparisons  # without a pair there is nothing to say of other measures
    assert (found.measure, found.seeds, found.mean, found.diverged) == ("AP", (), None, 2)


def test_every_measure_is_compared_where_both_runs_have_it():
    study = paired_study()
    study.runs[0].points[-1].scores["recall70"] = 0.75
    study.runs[3].points[-1].scores["recall70"] = 0.5
    study.runs[4].points[-1].scores["recall70"] = 0.5
    study = with_comparisons(study)
    names = [one.measure for one in study.comparisons if one.scheme == "exact"]
    assert names == ["AP", "AP50", "AP75", "AR100", "recall70"]
    assert comparison(study, "exact", "AR100").mean == pytest.approx(1.2 * -0.09)
    assert comparison(study, "exact", "recall70").differences == (-0.25,)


def test_the_baseline_is_approximate_unless_the_study_says_otherwise():
    found = with_comparisons(paired_study(baseline="exact")).comparisons
    assert {one.scheme for one in found} == {"approximate", "pooling"}
    assert found[0].differences == pytest.approx((0.1, 0.03, 0.14))
    assert with_comparisons(make_study([make_run("exact"), make_run("late")])).comparisons == ()
    assert with_comparisons(make_study([make_run()])).comparisons == ()


def test_the_interval_over_images_is_of_differences_on_the_same_resample():
    shared = np.random.default_rng(0).normal(0, 1, 50)  # of the images: cancels within each pair
    runs = {("approximate", seed): ap + shared for seed, ap in enumerate(BASE)}
    runs |= {("exact", seed): ap + shared for seed, ap in enumerate(EXACT)}
    found = compare(paired_study(), "exact", "AP", runs).over_images
    assert -0.14 - 1e-6 <= found[0] < found[1] <= -0.03 + 1e-6
    del runs["exact", 1]
    assert compare(paired_study(), "exact", "AP", runs).over_images is None
    assert compare(paired_study(), "exact", "AP50", runs).over_images is None
