import numpy as np

from jaxrcnn.evaluation.analysis.tide import KINDS, Tide
from jaxrcnn.evaluation.report_tables import (
    confusion_cells,
    confusion_table,
    describe_loss,
    error_rows,
    number,
    score_table,
)

DASH = "\N{EN DASH}"


def tide(*lost):
    return Tide(0.5, dict(zip(KINDS, lost, strict=True)), 0.3, None, dict.fromkeys(KINDS, 1234))


def test_a_number_that_does_not_exist_is_a_dash():
    assert [number(x) for x in (0.12345, 1, None, float("nan"))] == ["0.123", "1.000", DASH, DASH]


def test_the_scores_are_in_one_row_and_missing_ones_are_dashes():
    table = score_table({"eval/AP": 0.5, "eval/AP50": 0.7, "eval/AR300": 0.6, "eval/AP_cat": 0.5})
    assert table.head == ("", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large", "AR300")
    assert table.rows == [("all classes", "0.500", "0.700", *[DASH] * 4, "0.600")]


def test_the_largest_losses_are_said_in_a_sentence():
    assert describe_loss(tide(0.1, 0, 0, 0, 0.25, 0)) == (
        "Most AP50 is lost to detections of the background (0.250), then to classification errors "
        "(0.100)."
    )
    assert describe_loss(tide(0, 0.1, 0, 0, 0, 0)) == (
        "Most AP50 is lost to localisation errors (0.100)."
    )
    assert describe_loss(tide(*[0] * 6)) == describe_loss(tide(*[None] * 6)) == ""


def test_each_kind_of_error_has_a_row_then_the_totals():
    rows = error_rows(tide(0.1, 0, 0, 0, 0.2, 0))
    names = ["class and box" if kind == "both" else kind for kind in KINDS]
    assert [row.kind for row in rows] == [*names, "all false positives", "all false negatives"]
    assert [row.lost for row in rows[-2:]] == ["0.300", DASH]
    assert [row.share for row in rows[:6]] == [0.5, 0, 0, 0, 1, 0]
    assert rows[0].count == "1,234"


MATRIX = np.array([[6, 1, 3], [2, 8, 0], [4, 5, 0]])


def test_cells_of_the_matrix_have_their_share_of_the_row():
    rows = confusion_cells(MATRIX, ("cat", "dog"))
    assert [name for name, _ in rows] == ["cat", "dog", "background"]
    assert [tuple(cell) for cell in rows[0][1]] == [
        (6, 0.6, True),
        (1, 0.1, False),
        (3, 0.3, False),
    ]
    assert confusion_cells(np.zeros((22, 22), int), tuple(map(str, range(21)))) is None


def test_the_most_frequent_confusions_come_first_without_the_background():
    table = confusion_table(MATRIX, ("cat", "dog"))
    assert table.rows == [("dog", "cat", "2", "20.0 %"), ("cat", "dog", "1", "10.0 %")]
