import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxrcnn.study.contrast_tables import contrast_table, draw_contrasts, plot_contrasts
from jaxrcnn.study.contrasts import compare_studies
from jaxrcnn.study.looks import COLORS
from tests.study.synthetic import make_run, make_study
from tests.study.test_contrasts import EXACT, HEALED, study
from tests.study.test_plots import shows

LOST = (  # means and sample deviations by hand from BASE and EXACT
    *("exact", "0.443 ± 0.045", "approximate", "0.553 ± 0.055"),
    *("-0.110 ± 0.010", "-0.135 to -0.085", "3", "0"),
)


def test_a_row_has_both_scores_and_their_difference():
    table = contrast_table(compare_studies([("a", study(EXACT))], "AP"), "AP")
    assert table.head[:5] == ("study", "variant", "AP", "baseline", "its AP")
    assert table.rows == (("a", *LOST),)


def test_with_a_control_it_has_what_was_undone():
    lost, healed = study(EXACT), study(HEALED)
    rows = compare_studies([("a", healed), ("b", lost)], "AP", control=lost)
    table = contrast_table(rows, "AP", "lost")
    assert table.head[-3:] == ("minus that of lost", "t interval", "undone")
    assert table.rows[0][-3:] == ("+0.097", "+0.059 to +0.135", "88 %")
    assert table.rows[1] == ("b", *LOST, "+0.000", "+0.000 to +0.000", "0 %")
    other = make_study([make_run("approximate"), make_run("late")])
    table = contrast_table(compare_studies([("a", lost)], "AP", control=other), "AP", "lost")
    assert table.rows[0][-3:] == ("-", "-", "-")


def drawn(studies, measure="AP"):
    figure = Figure()
    draw_contrasts(figure, compare_studies(studies, measure), measure)
    (axes,) = figure.axes
    return axes


def test_each_study_is_drawn_below_its_name():
    axes = drawn([("$a$", study(EXACT)), ("b", study(HEALED))])
    names = {text.get_text(): text.xy[1] for text in axes.texts}
    heights = axes.get_yticks()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["exact", "exact"]
    assert names[r"\$a\$"] < heights[0] < names["b"] < heights[1]  # the axis points downwards
    assert axes.get_ylim()[0] > heights[1]
    assert axes.get_ylim()[1] < names[r"\$a\$"]
    means = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "o"][1::2]
    assert np.allclose(means, [[-0.11, heights[0]], [-0.04 / 3, heights[1]]], atol=1e-6)
    assert axes.get_xlabel() == "AP minus AP of approximate, same seed"


def test_baselines_that_differ_are_not_named():
    other = make_study([make_run("late"), make_run("exact", aps=(0.4,))], baseline="late")
    axes = drawn([("a", study(EXACT)), ("b", other)], "AP50")
    assert axes.get_xlabel() == "AP50 minus AP50 of the study's baseline, same seed"


def test_the_plot_is_written_to_a_file_whose_folder_is_made(tmp_path):
    rows = compare_studies([("a", study(EXACT))], "AP")
    plot_contrasts(rows, "AP", tmp_path / "new" / "forest.png")
    assert shows(tmp_path / "new" / "forest.png", COLORS["exact"])
    with pytest.raises(ValueError, match="foo"):
        plot_contrasts(rows, "AP", tmp_path / "forest.foo")
