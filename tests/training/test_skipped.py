"""What a log says of steps whose updates were left out."""

import numpy as np

from jaxrcnn.training.skipped import (
    describe_skipped,
    describe_stop,
    means_of,
    number_skipped,
    stopping_step,
)

FINE = {"origin_place": -1, "origin_image": -1}
BAD = {"origin_place": 7, "origin_image": -1}


def rows_of(*counts):
    """Rows with losses 1, 2, ..., or NaN where the count is above 0; steps from 11 on."""
    return [
        (
            11 + k,
            {
                "loss": np.nan if count else np.float32(1 + k),
                "learning_rate": np.float32(0.1 * k),
                "skipped": np.int32(count),
                **(BAD if count else FINE),
            },
        )
        for k, count in enumerate(counts)
    ]


def test_means_are_of_the_steps_that_were_made():
    rows = [row for _, row in rows_of(0, 1, 0, 0, 1)]
    assert number_skipped(rows) == 2
    means = means_of(rows)
    assert means.keys() == {"loss", "learning_rate"}
    assert means["loss"] == (1 + 3 + 4) / 3
    assert means["learning_rate"] == np.float32(0.1 * 3)
    assert np.isnan(means_of(rows, with_skipped=True)["loss"])
    assert means_of([row for _, row in rows_of(1, 2)]) == {}


def test_the_run_stops_with_the_first_row_that_reaches_the_limit():
    assert stopping_step(rows_of(0, 1, 2, 3, 3), 3).step == 14
    assert stopping_step(rows_of(0, 1, 2), 3) is None
    assert describe_stop(stopping_step(rows_of(0, 1), 1), str).startswith(
        "step 12: loss is not finite (first seen in the backbone's gradient). Its update was not "
    )
    assert ", the last of 3 such steps in a row. Its" in describe_stop(
        stopping_step(rows_of(1, 2, 3), 3), str
    )


def test_a_step_whose_update_alone_is_not_finite_says_so():
    row = {"loss": np.float32(1), "skipped": 1, "origin_place": 11, "origin_image": -1}
    assert describe_stop(stopping_step([(4, row)], 1), str).startswith(
        "step 4: the update is not finite (first seen in the updated parameters)."
    )


def test_three_steps_are_described_and_the_others_counted():
    assert describe_skipped(rows_of(0, 0), str) == []
    lines = describe_skipped(rows_of(0, 1, 2, 0, 1, 2, 3), str)
    told = "loss is not finite (first seen in the backbone's gradient); its update was left out"
    assert lines == [
        *(f"step {step}: {told}" for step in (12, 13, 15)),
        "2 more updates were left out until step 17",
    ]
