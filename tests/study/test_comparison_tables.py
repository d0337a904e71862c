import numpy as np
import pytest

from jaxrcnn.study.comparison_tables import (
    differences_table,
    from_to,
    main_tables,
    measures_table,
)
from jaxrcnn.study.comparisons import with_comparisons
from tests.study.synthetic import diverged_run, make_run, make_study, waiting_run


def lines(table):
    return [" | ".join(cells) for cells in (table.head, *table.rows)]


@pytest.fixture
def study():
    runs = [make_run("approximate", seed, (ap,)) for seed, ap in enumerate((0.5, 0.6))]
    runs += [make_run("exact", seed, (ap,)) for seed, ap in enumerate((0.4, 0.46))]
    runs += [make_run("late", 0, (0.52,)), diverged_run("late", 1), waiting_run("targets", 0)]
    return make_study(runs)


def test_both_ends_of_an_interval():
    assert from_to((-0.1, 0.02)) == "-0.100 to +0.020"
    assert from_to(None) == "-"


def test_differences_with_their_intervals(study):
    # Differences of -.1 and -.14: standard deviation .028, standard error .02, t quantile 12.706
    assert lines(differences_table(with_comparisons(study))) == [
        "AP compared with approximate | difference | t interval | bootstrap, seeds | pairs | "
        "diverged",
        "exact | -0.120 ± 0.028 | -0.374 to +0.134 | -0.140 to -0.100 | 2 | 0",
        "late | +0.020 | - | - | 1 | 1",
        "targets | - | - | - | 0 | 0",
    ]


def test_the_interval_over_images_has_a_column_where_there_is_one(study):
    precisions = {("approximate", 0): 0.5, ("approximate", 1): 0.6}
    precisions |= {("exact", 0): 0.25, ("exact", 1): 0.35}
    table = differences_table(
        with_comparisons(study, {run: np.full(9, ap) for run, ap in precisions.items()})
    )
    assert [row.split(" | ")[4] for row in lines(table)] == [
        "bootstrap, seeds and images",
        "-0.250 to -0.250",
        "-",
        "-",
    ]


def test_the_other_measures_have_a_column_each(study):
    for place, recall in ((0, 0.75), (1, 0.75), (2, 0.5), (3, 0.5)):
        study.runs[place].points[-1].scores["recall50"] = recall
    assert lines(measures_table(with_comparisons(study))) == [
        "compared with approximate | AP50 | AP75 | AR100 | recall .5",
        "exact | -0.168 (-0.524 to +0.188) | -0.132 (-0.412 to +0.148) | "
        "-0.144 (-0.449 to +0.161) | -0.250 (-0.250 to -0.250)",
        "late | +0.028 | +0.022 | +0.024 | -",
        "targets | - | - | - | -",
    ]


def test_nothing_is_compared_with_itself(study):
    alone = with_comparisons(make_study([make_run()]))
    assert differences_table(alone) is None
    assert measures_table(alone) is None
    assert "compared" not in main_tables(alone)
    text = main_tables(with_comparisons(study))
    assert text.index("ms per step") < text.index("AP compared with approximate")
