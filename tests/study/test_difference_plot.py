import numpy as np
from matplotlib.figure import Figure

from jaxrcnn.study import looks, plots
from jaxrcnn.study.comparisons import with_comparisons
from jaxrcnn.study.difference_plot import draw_differences, has_differences
from tests.study.synthetic import diverged_run, full_study, make_run, make_study
from tests.study.test_plots import shows


def drawn(study):
    """The axes, and the points of each line by its label of the vertical axis."""
    figure = Figure()
    draw_differences(figure, study)
    (axes,) = figure.axes
    return axes, [line.get_xydata().tolist() for line in axes.lines]


def compared(baselines, others, precisions=None):
    runs = [make_run("approximate", seed, (ap,)) for seed, ap in enumerate(baselines)]
    runs += [make_run("exact", seed, (ap,)) for seed, ap in enumerate(others)]
    return with_comparisons(make_study(runs), precisions or {})


def test_a_scheme_has_its_pairs_its_interval_and_its_mean():
    study = compared((0.5, 0.5, 0.5), (0.4, 0.25, 0.4))
    axes, (pairs, interval, mean, zero) = drawn(study)
    assert [x for x, _ in zero] == [0, 0]
    assert np.allclose([x for x, _ in pairs], (-0.1, -0.25, -0.1))
    assert np.allclose([x for x, _ in interval], study.comparisons[0].student)
    assert np.allclose(mean, [[-0.15, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["exact"]
    assert axes.texts[0].get_text() == "-0.150 (-0.365 to +0.065)"


def test_the_interval_over_images_is_a_line_of_its_own():
    precisions = {("approximate", 0): 0.5, ("approximate", 1): 0.5}
    precisions |= {("exact", 0): 0.25, ("exact", 1): 0.25}
    arrays = {run: np.full(5, ap) for run, ap in precisions.items()}
    _, found = drawn(compared((0.5, 0.5), (0.4, 0.3), arrays))
    assert [x for x, _ in found[2]] == [-0.25, -0.25]


def test_one_pair_has_no_interval_and_none_is_said():
    _, (pairs, mean, _) = drawn(compared((0.5,), (0.375,)))
    assert np.allclose([*pairs, *mean], [[-0.125, -0.2], [-0.125, 0]])
    runs = [make_run("approximate"), diverged_run("exact"), make_run("late")]
    axes, _ = drawn(with_comparisons(make_study(runs)))
    assert axes.texts[0].get_text() == "no pair of finished runs"


def test_the_axis_ends_where_no_difference_can_be():
    axes, _ = drawn(compared((0.5, 0.5), (0.1, 0.9)))  # a t interval of -3.6 to 3.6
    assert axes.get_xlim() == (-1, 1)


def test_it_is_drawn_where_there_is_a_pair(tmp_path):
    study = with_comparisons(full_study())
    path = tmp_path / "differences.png"
    assert path in plots.plot_study(study, tmp_path)
    for scheme, color in looks.scheme_colors(study).items():
        assert shows(path, color) == (scheme != "approximate")
    assert not has_differences(full_study())
    assert not has_differences(compared((0.5,), ()))
