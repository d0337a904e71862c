import numpy as np
import pytest
from scipy import stats

from jaxrcnn.study.intervals import image_interval, seed_interval, student_interval

VALUES = (-0.031, 0.012, -0.045, -0.02, 0.004)


def test_the_t_interval_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(0.5, 0.05, (2, 6))
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert student_interval(ours - theirs) == pytest.approx(tuple(expected), abs=1e-12)


def test_the_t_interval_of_two_by_hand():
    # mean .1, standard error .1; the 97.5 % quantile with one degree of freedom is tan(.475 pi)
    expected = (0.1 - 1.2706204736, 0.1 + 1.2706204736)
    assert student_interval((0.0, 0.2)) == pytest.approx(expected, abs=1e-9)


def test_equal_values_have_an_interval_without_width():
    for interval in (student_interval, seed_interval):
        assert interval((0.25, 0.25, 0.25)) == (0.25, 0.25)


@pytest.mark.parametrize("values", [(), (0.3,)])
def test_fewer_than_two_values_have_no_interval(values):
    assert student_interval(values) is None
    assert seed_interval(values) is None
    assert image_interval(np.ones((len(values), 10))) is None


def test_the_bootstrap_over_seeds_is_a_percentile_bootstrap():
    # Of two values, a quarter of the resamples has only the lower one, a quarter only the upper.
    assert seed_interval((-0.1, 0.3)) == (-0.1, 0.3)
    found = stats.bootstrap(
        (VALUES,), np.mean, method="percentile", n_resamples=50_000, rng=np.random.default_rng(7)
    )
    expected = tuple(found.confidence_interval)
    assert seed_interval(VALUES) == pytest.approx(expected, abs=0.001)
    assert seed_interval(VALUES) == seed_interval(VALUES)


def test_resampled_seeds_share_a_resample_of_the_images():
    values = np.random.default_rng(0).normal(size=(3, 400)) + np.array([[0.0], [5.0], [9.0]])
    drawn = np.random.default_rng(0).integers(0, 3, (3, 400))
    means = [np.mean([values[drawn[n, b], b] for n in range(3)]) for b in range(400)]
    assert image_interval(values) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_what_all_seeds_have_in_common_on_an_image_is_no_less_uncertain_with_more_seeds():
    of_images = np.random.default_rng(1).normal(0, 0.1, 20_000)
    low, high = image_interval(np.stack([of_images] * 5))
    assert (low, high) == pytest.approx((-0.196, 0.196), abs=0.01)  # 1.96 standard deviations


def test_resamples_without_objects_are_left_out():
    values = np.tile([[0.1], [0.1]], (1, 4))
    values[:, 1] = np.nan
    assert image_interval(values) == pytest.approx((0.1, 0.1))
    assert image_interval(np.full((2, 4), np.nan)) is None
