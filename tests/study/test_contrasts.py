import pytest
from scipy import stats

from jaxrcnn.study.comparisons import with_comparisons
from jaxrcnn.study.contrasts import compare_studies
from tests.study.synthetic import diverged_run, make_run, make_study

BASE, EXACT = (0.5, 0.55, 0.61), (0.4, 0.44, 0.49)  # differences of -.1, -.11 and -.12
HEALED = (0.48, 0.54, 0.6)  # of -.02, -.01 and -.01


def study(exact, base=BASE, **fields):
    runs = [make_run("approximate", seed, (ap,)) for seed, ap in enumerate(base)]
    return make_study(
        [*runs, *(make_run("exact", seed, (ap,)) for seed, ap in enumerate(exact))], **fields
    )


def test_every_study_has_a_row_for_each_scheme_but_its_baseline():
    runs = [make_run(name, 0, (ap,)) for name, ap in (("late", 0.3), ("exact", 0.5), ("mnc", 0.6))]
    first, second, third = compare_studies(
        [("a", study(EXACT)), ("b", make_study(runs, baseline="exact"))], "AP"
    )
    assert (first.study, first.baseline, first.comparison.scheme) == ("a", "approximate", "exact")
    assert first.score.mean == pytest.approx(sum(EXACT) / 3)
    assert first.baseline_score.values == BASE
    assert first.comparison.mean == pytest.approx(-0.11)
    assert first.contrast is None
    assert [(row.study, row.baseline) for row in (second, third)] == [("b", "exact")] * 2
    assert second.comparison.mean == pytest.approx(-0.2)
    assert third.comparison.mean == pytest.approx(0.1)


def test_the_measure_can_be_chosen():
    (row,) = compare_studies([("a", study(EXACT))], "AR100")  # 1.2 times the AP of these runs
    assert row.comparison.mean == pytest.approx(1.2 * -0.11)
    assert row.score.mean == pytest.approx(1.2 * sum(EXACT) / 3)
    assert compare_studies([("a", study(EXACT))], "recall70") == ()


def test_intervals_over_images_are_those_of_the_file():
    read = with_comparisons(study(EXACT))
    (one,) = [one for one in read.comparisons if one.measure == "AP"]
    assert compare_studies([("a", read)], "AP")[0].comparison is one


def test_differences_are_compared_with_those_of_the_control_by_seed():
    (row,) = compare_studies([("healed", study(HEALED))], "AP", control=study(EXACT))
    assert row.contrast.seeds == (0, 1, 2)
    assert row.contrast.differences == pytest.approx((0.08, 0.1, 0.11))
    expected = stats.ttest_1samp((0.08, 0.1, 0.11), 0).confidence_interval(0.95)
    assert row.contrast.student == pytest.approx(tuple(expected), abs=1e-6)
    assert row.contrast.undone == pytest.approx(0.29 / 0.33, abs=1e-6)


def test_the_share_undone_is_of_the_seeds_that_both_have():
    control = study(EXACT[:2], base=BASE[:2])
    (row,) = compare_studies([("healed", study(HEALED))], "AP", control=control)
    assert row.contrast.seeds == (0, 1)
    assert row.contrast.undone == pytest.approx(0.18 / 0.21, abs=1e-6)


def test_of_a_gain_a_share_is_undone_too_and_of_nothing_none_is():
    gained = study((0.6, 0.65, 0.71))  # .1 each
    (row,) = compare_studies([("healed", study(HEALED))], "AP", control=gained)
    assert row.contrast.mean == pytest.approx(-0.34 / 3, abs=1e-6)
    assert row.contrast.undone == pytest.approx(3.4 / 3, abs=1e-5)
    (row,) = compare_studies([("healed", study(HEALED))], "AP", control=study(BASE))
    assert row.contrast.undone is None


def test_no_share_is_undone_of_a_difference_that_may_be_nothing():
    uncertain = study((0.4, 0.52, 0.47))  # -.1, -.03 and -.14: t interval from -.228 to .048
    (row,) = compare_studies([("healed", study(HEALED))], "AP", control=uncertain)
    assert row.contrast.mean == pytest.approx(0.23 / 3, abs=1e-6)
    assert row.contrast.undone is None
    one = study(EXACT[:1], base=BASE[:1])  # no interval
    (row,) = compare_studies([("healed", study(HEALED))], "AP", control=one)
    assert row.contrast.undone == pytest.approx(0.8)


def test_of_a_diagnostic_the_mean_over_the_second_half_is_compared():
    def rows(*widths):  # of 1000 steps
        steps = (1, 500, 501, 1000)
        return tuple(
            {"step": step, "width/0.5": width} | ({"drift/gate": 1.0} if step < 500 else {})
            for step, width in zip(steps, widths, strict=True)
        )

    runs = [
        make_run("approximate", 0, diagnostics=rows(90.0, 80.0, 20.0, 24.0)),
        make_run("exact", 0, diagnostics=rows(20.0, 20.0, 50.0, 70.0)),
        diverged_run("exact", 1, diagnostics=rows(20.0, 20.0, 50.0, 70.0)),
    ]
    (row,) = compare_studies([("a", make_study(runs))], "width/0.5")
    assert row.baseline_score.values == (22.0,)
    assert row.score.values == (60.0,)
    assert row.comparison.differences == (38.0,)
    assert compare_studies([("a", make_study(runs[:2]))], "drift/gate") == ()  # measured early only


def test_a_scheme_that_the_control_lacks_has_no_contrast():
    runs = [make_run("approximate"), diverged_run("exact"), make_run("late")]
    (row,) = compare_studies([("a", study(EXACT))], "AP", control=make_study(runs))
    assert row.contrast is None
    (row,) = compare_studies([("a", study(EXACT))], "AP", control=make_study(runs[::2]))
    assert row.contrast is None
