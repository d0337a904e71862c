import numpy as np
import pytest

from jaxrcnn.study.summary import (
    Reach,
    default_levels,
    final_values,
    first_reach,
    saving,
    spread,
    summarise,
    time_to,
)
from tests.study.synthetic import diverged_run, make_run, make_study, waiting_run


def test_spread_is_the_sample_standard_deviation():
    values = [0.5, 0.53, 0.59]
    found = spread(values)
    assert found.values == tuple(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values, ddof=1))
    assert spread([0.5]).std is None
    assert spread([]) is None


def test_summaries_are_over_the_seeds_that_finished():
    study = make_study(
        [
            make_run("approximate", 0, (0.1, 0.5), step_seconds=0.5),
            make_run("approximate", 1, (0.1, 0.6), step_seconds=0.7),
            make_run("exact", 0, (0.1, 0.4), step_seconds=0.9),
            diverged_run("exact", 1, aps=(0.9,)),
            waiting_run("exact", 2),
            diverged_run("pooling", 0),
            waiting_run("late", 0),
        ]
    )
    approximate, exact, pooling, late = summarise(study)
    assert approximate.scheme == "approximate"
    assert approximate.final["AP"].values == (0.5, 0.6)
    assert approximate.final["AP75"].mean == pytest.approx(1.1 * 0.55)
    assert approximate.step_seconds == pytest.approx(0.6)
    assert approximate.step_ratio == 1.0
    assert exact.final["AP"].values == (0.4,)
    assert exact.step_ratio == pytest.approx(1.5)
    assert (exact.finished, exact.diverged, exact.waiting) == (1, 1, 1)
    assert pooling.final == {}
    assert pooling.step_seconds == 0.5  # of the run that diverged, since there is no other
    assert (late.final, late.step_seconds, late.step_ratio) == ({}, None, None)


def test_without_approximate_there_is_no_ratio():
    (exact,) = summarise(make_study([make_run("exact")]))
    assert exact.step_seconds == 0.5
    assert exact.step_ratio is None


def test_levels_come_from_the_best_and_the_lowest_scheme():
    study = make_study([make_run("approximate", 0, (0.58,)), make_run("exact", 0, (0.515,))])
    assert default_levels(study) == (0.29, 0.46, 0.51, 0.52)  # .290, .464, .515, .522
    assert default_levels(make_study([make_run(aps=(1.0,))])) == (0.5, 0.8, 0.9, 1.0)
    assert default_levels(make_study([make_run(aps=(0.0,))])) == ()
    assert default_levels(make_study([diverged_run()])) == ()


def test_a_level_is_reached_between_two_evaluations():
    run = make_run(aps=(0.1, 0.3, 0.2, 0.4), step_seconds=2.0)  # every 250 steps of 4 images
    assert first_reach(run, 0.05) == Reach(
        1000, 500, at_first=True
    )  # no earlier than the first evaluation
    assert first_reach(run, 0.1) == Reach(1000, 500, at_first=True)
    found = first_reach(run, 0.25)
    assert found.images == pytest.approx(1750)
    assert found.seconds == pytest.approx(875)
    assert not found.at_first
    assert first_reach(run, 0.3).images == pytest.approx(2000)
    assert first_reach(run, 0.35).images == pytest.approx(3750)
    assert first_reach(run, 0.5) is None
    assert first_reach(make_run(aps=()), 0.1) is None


def test_time_to_a_level_is_the_mean_over_the_seeds_that_reached_it():
    study = make_study(
        [
            make_run("exact", 0, (0.2, 0.4)),
            make_run("exact", 1, (0.4, 0.4)),
            make_run("exact", 2, (0.1, 0.2)),
            diverged_run("exact", 3),
            waiting_run("exact", 4),
            make_run("late", 0, (0.1, 0.2)),
        ]
    )
    exact, late = time_to(study, 0.3)
    assert (exact.scheme, exact.level, exact.reached, exact.started) == ("exact", 0.3, 2, 4)
    assert exact.images == pytest.approx((3000 + 2000) / 2)
    assert exact.seconds == pytest.approx((375 + 250) / 2)
    assert exact.at_first  # seed 1
    assert not late.at_first
    assert (late.images, late.seconds, late.reached, late.started) == (None, None, 0, 1)


def test_the_saving_is_a_share_of_alternatings_whole_run():
    study = make_study(
        [
            make_run("approximate", 0, (0.2, 0.6), step_seconds=1.0),
            make_run("approximate", 1, (0.4, 0.6), step_seconds=1.0),
            make_run("approximate", 2, (0.1, 0.2), step_seconds=1.0),
            make_run("approximate", 3, (0.1, 0.9), step_seconds=1.0),
            make_run("alternating", 0, (0.3, 0.4), step_seconds=0.8),
            make_run("alternating", 1, (0.3, 0.5), step_seconds=1.0),
            make_run("alternating", 2, (0.3, 0.3), step_seconds=0.8),
            diverged_run("alternating", 3),
        ]
    )
    found = saving(study)
    assert found.level == pytest.approx(0.4)
    assert found.pairs == 3  # seed 2 of approximate does not reach it, seed 3 has no pair
    # Seed 0 reaches .4 after 750 of 1000 steps, 750 of 800 s; seed 1 after 500, and 500 of 1000 s.
    assert found.images.values == pytest.approx((0.25, 0.5))
    assert found.seconds.values == pytest.approx((1 - 750 / 800, 0.5))
    assert found.seconds.mean == pytest.approx(np.mean(found.seconds.values))
    assert found.at_first  # seed 1, at its first evaluation
    assert found.reason == ""


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([make_run("approximate")], "no alternating run finished"),
        ([make_run("approximate"), diverged_run("alternating")], "no alternating run finished"),
        (
            [make_run("alternating", aps=(0.0, 0.0)), make_run("approximate")],
            "alternating's mean final AP is 0",
        ),
        ([make_run("alternating"), waiting_run("approximate")], "no approximate run of the same"),
        ([make_run("alternating"), make_run("approximate", 1)], "no approximate run of the same"),
        (
            [make_run("alternating", 0, (0.2, 0.6)), make_run("approximate", 0, (0.2, 0.5))],
            "no approximate run reached alternating's mean final AP, 0.600",
        ),
    ],
)
def test_why_there_is_no_saving(runs, reason):
    found = saving(make_study(runs))
    assert (found.images, found.seconds) == (None, None)
    assert found.reason.startswith(reason)


def test_final_values_are_those_of_finished_runs():
    runs = [make_run("pooling", 0, (0.3, 0.56)), diverged_run("pooling", 1, aps=(0.7,))]
    study = make_study([*runs, waiting_run("pooling", 2)])
    assert final_values(study, "pooling", "AP") == {0: 0.56}
    assert final_values(make_study([make_run(aps=())]), "approximate", "AP") == {}
