import numpy as np
import pytest

from jaxrcnn.evaluation.analysis.calibration import calibrate
from jaxrcnn.evaluation.analysis.curves import draw_curves
from jaxrcnn.evaluation.matching import match_detections
from jaxrcnn.evaluation.report_plots import line_colors, plot_calibration, plot_curves
from tests.evaluation.boxes_by_chance import draw

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def matching():
    return match_detections(*draw(4))


def test_few_classes_have_colours_and_many_none():
    assert line_colors(NAMES) == {"a": "#e63946", "b": "#2185ee", "c": "#ffbe0b"}
    assert line_colors([str(k) for k in range(11)]) == {}


@pytest.mark.parametrize("colors", [line_colors(NAMES), {}], ids=["few", "many"])
def test_each_class_has_a_line_and_their_mean_is_dashed(matching, colors):
    curves = draw_curves(matching)
    panels = plot_curves(curves, colors).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["precision", "recall", "F1"]
    assert {axes.get_xlim() for axes in panels} == {
        (-0.02, 1.02)
    }  # few thresholds have a precision
    for axes, values in zip(panels, curves[1:4], strict=True):
        *lines, mean = axes.lines
        for line, row in zip(lines, values, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), row)
        exist = np.isfinite(values).any(axis=0)
        np.testing.assert_allclose(mean.get_ydata(), np.nanmean(values[:, exist], axis=0))
        assert [line.get_color() for line in lines] == (list(colors.values()) or ["#767f8c"] * 3)


def test_bars_are_the_share_of_hits_and_the_number_of_detections(matching):
    calibration = calibrate(matching)
    upper, lower = plot_calibration(calibration).axes
    heights = [bar.get_height() for bar in upper.patches]
    np.testing.assert_array_equal(heights, np.nan_to_num(calibration.precision))
    assert [bar.get_height() for bar in lower.patches] == calibration.counts.tolist()
    assert [bar.get_x() for bar in upper.patches] == pytest.approx(np.arange(20) / 20)
