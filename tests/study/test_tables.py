import pytest

from jaxrcnn.study.summary import spread
from jaxrcnn.study.tables import (
    Table,
    diverged_table,
    duration,
    glance_table,
    percent,
    plus_minus,
    runs_table,
    saving_table,
    scheme_diagnostics,
    short,
    signed,
    time_tables,
    why_no_times,
)
from tests.study.synthetic import diverged_run, make_run, make_study, waiting_run


def lines(table):
    return [" | ".join(cells) for cells in (table.head, *table.rows)]


def test_numbers_with_their_spread():
    assert plus_minus(spread([0.5, 0.6])) == "0.550 ± 0.071"
    assert plus_minus(spread([0.5])) == "0.500"
    assert plus_minus(None) == "-"
    assert percent(spread([0.25, 0.35])) == "30 ± 7 %"
    assert percent(spread([-0.001])) == "0 %"
    assert percent(None) == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.5, "0.500"),
        (123.4, "123"),
        (1e-7, "1.00e-07"),
        (2e9, "2.00e+09"),
    ],
)
def test_numbers_of_any_size(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.25, "0.2 s"), (9.94, "9.9 s"), (75, "1 min 15 s")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_signs_are_always_shown():
    assert (signed(0.0125), signed(-0.5), signed(None)) == ("+0.013", "-0.500", "-")


def test_the_table_at_a_glance():
    table = glance_table(
        make_study(
            [
                make_run("approximate", 0, (0.1, 0.5)),
                make_run("approximate", 1, (0.1, 0.6)),
                make_run("exact", 0, (0.1, 0.4), step_seconds=0.75),
                diverged_run("exact", 1),
                waiting_run("late", 0),
            ]
        )
    )
    assert lines(table) == [
        "variant | AP | AP50 | AP75 | AR100 | ms per step | relative | finished | diverged",
        "approximate | 0.550 ± 0.071 | 0.770 ± 0.099 | 0.605 ± 0.078 | 0.660 ± 0.085"
        " | 500 | 1.00 | 2 of 2 | 0 of 2",
        "exact | 0.400 | 0.560 | 0.440 | 0.480 | 750 | 1.50 | 1 of 2 | 1 of 2",
        "late | - | - | - | - | - | - | 0 of 1 | -",
    ]


def test_the_recall_of_the_proposals_has_columns_where_it_was_measured():
    runs = [make_run("approximate"), make_run("exact")]
    runs[0].points[-1].scores["recall70"] = 0.625
    found = lines(glance_table(make_study(runs)))
    assert found[0].split(" | ")[4:7] == ["AR100", "recall .7", "ms per step"]
    assert [line.split(" | ")[5] for line in found[1:]] == ["0.625", "-"]


def test_steps_are_relative_to_the_baseline():
    runs = [make_run("approximate", step_seconds=0.5), make_run("exact", step_seconds=0.25)]
    found = lines(glance_table(make_study(runs, baseline="exact")))
    assert [line.split(" | ")[6] for line in found] == ["relative", "2.00", "1.00"]


@pytest.mark.parametrize("schemes", [("approximate",), ("exact", "late")])
def test_without_two_schemes_of_which_one_is_approximate_none_is_compared(schemes):
    table = glance_table(make_study([make_run(scheme) for scheme in schemes]))
    head, *_ = lines(table)
    assert head == "variant | AP | AP50 | AP75 | AR100 | ms per step | finished | diverged"


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        ([diverged_run(), waiting_run()], "No run finished."),
        ([make_run(aps=(0.0,))], "The final AP of every finished run is 0: there is no level to"),
        ([make_run(aps=())], "No finished run has an AP."),
    ],
)
def test_why_there_are_no_levels(runs, why):
    study = make_study(runs)
    assert time_tables(study) is None
    assert why_no_times(study).startswith(why)


def test_the_times_to_a_level():
    study = make_study(
        [
            make_run("approximate", 0, (0.2, 0.6)),
            make_run("approximate", 1, (0.2, 0.3)),
            diverged_run("exact", 0),
            waiting_run("late", 0),
        ]
    )
    tables = time_tables(study, (0.2, 0.4))
    assert tables is not None
    assert [lines(table) for table in tables] == [
        [
            "images seen until | AP 0.20 | AP 0.40",
            "approximate | ≤ 2,000 | 3,000 (1 of 2)",
            "exact | never (0 of 1) | never (0 of 1)",
            "late | - | -",
        ],
        [
            "training time until | AP 0.20 | AP 0.40",
            "approximate | ≤ 4 min 10 s | 6 min 15 s (1 of 2)",
            "exact | never (0 of 1) | never (0 of 1)",
            "late | - | -",
        ],
    ]
    chosen = time_tables(study)
    assert chosen is not None
    assert chosen[0].head[1:] == ("AP 0.22", "AP 0.36", "AP 0.40", "AP 0.45")
    assert time_tables(make_study([waiting_run()])) is None


def test_the_saving_stands_beside_the_papers():
    study = make_study([make_run("approximate", 0, (0.2, 0.6)), make_run("alternating", 0, (0.4,))])
    published, measured = saving_table(study).rows
    assert published[1:] == ("25 to 50 %", "-", "-", "close")
    assert measured[1:] == ("25 %", "25 %", "1 of 1", "+0.200")
    early = make_study([make_run("approximate", 0, (0.6, 0.6)), make_run("alternating", 0, (0.4,))])
    assert saving_table(early).rows[1][1:3] == ("≥ 50 %", "≥ 50 %")
    assert saving_table(make_study([make_run()])).rows[1][1:] == ("-", "-", "-", "-")


def test_diverged_runs():
    assert diverged_table(make_study([make_run()])) is None
    table = diverged_table(make_study([make_run(), diverged_run("exact", 2, step=137)]))
    assert table is not None
    ((*cells, message),) = table.rows
    assert cells == ["exact", "2", "137"]
    assert message.startswith("step 137: loss_box_reg is not finite")


def test_every_run_has_a_row():
    study = make_study([make_run(), diverged_run("exact", 1, step=137), waiting_run("late", 2)])
    assert lines(runs_table(study))[1:] == [
        "approximate | 0 | finished | 999 | 0.500 after 999 | 8 min 20 s | 11 min 40 s"
        " | runs/approximate-0",
        "exact | 1 | diverged | 137 | - | 1 min 08 s | 11 min 40 s | runs/exact-1",
        "late | 2 | waiting | 0 | - | - | - | runs/late-2",
    ]


def test_diagnostics_over_the_steps():
    norm = "gradient/box_reg/targets/rpn/box"
    rows = tuple({"step": step, "cosine": 0.5, norm: step / 1000} for step in range(50, 1001, 50))
    study = make_study([make_run("exact", diagnostics=rows), make_run("late")])
    gradients, others = scheme_diagnostics(study, "exact")
    assert gradients is not None
    assert others is not None
    assert gradients.head[0] == "gradient norm"
    assert len(gradients.head) == 9
    assert gradients.head[1] == "step 50"
    assert gradients.head[-1] == "step 1000"
    ((label, first, *_, last),) = gradients.rows
    assert (label, first, last) == ("rpn/box ← box_reg, targets", "0.0500", "1.00")
    assert others.rows == (("cosine", *["0.500"] * 8),)
    assert scheme_diagnostics(study, "late") == (None, None)


def test_a_diagnostic_that_some_rows_lack():
    rows = ({"step": 50, "cosine": 0.5}, {"step": 100, "width/0.5": 20.0})
    _, others = scheme_diagnostics(make_study([make_run(diagnostics=rows)]), "approximate")
    assert others == Table(
        ("diagnostic", "step 50", "step 100"),
        (("cosine", "0.500", "-"), ("width/0.5", "-", "20.0")),
    )
