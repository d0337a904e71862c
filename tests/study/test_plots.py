import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from jaxrcnn.study import looks, plots
from jaxrcnn.study.comparisons import with_comparisons
from tests.study.synthetic import (
    diverged_run,
    full_study,
    make_run,
    make_study,
    waiting_run,
)

CURVES = ["ap.png", "ap_seconds.png", "losses.png"]


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def shows(path, color):
    """Whether some pixels have a colour, to what anti-aliasing leaves of it."""
    wanted = np.array(to_rgb(color)) * 255
    return int((np.abs(pixels(path) - wanted).max(-1) <= 2).sum()) > 10


def test_every_plot_of_a_full_study_shows_every_scheme(tmp_path):
    study = full_study()
    written = plots.plot_study(study, tmp_path / "new")
    assert [path.name for path in written] == [
        *CURVES,
        "final.png",
        "gradients.png",
        "proposals.png",
    ]
    for path in written:
        assert min(pixels(path).shape[:2]) > 300
        for color in looks.scheme_colors(study).values():
            assert shows(path, color), (path.name, color)


def test_a_name_is_no_formula(tmp_path):
    runs = [make_run(name, seed) for name in ("approximate", "$x_{$") for seed in (0, 1)]
    study = with_comparisons(make_study([*runs, diverged_run("$x_{$", 2)]))
    assert len(plots.plot_study(study, tmp_path)) == 5


def test_one_run_has_all_its_plots(tmp_path):
    written = plots.plot_study(make_study([make_run()]), tmp_path)
    assert [path.name for path in written] == [*CURVES, "final.png"]
    assert all(shows(path, looks.COLORS["approximate"]) for path in written)


def test_without_a_finished_run_there_are_crosses(tmp_path):
    study = make_study(
        [diverged_run("exact", 0, aps=(0.1,)), diverged_run("pooling", 0), waiting_run()]
    )
    written = plots.plot_study(study, tmp_path)
    assert [path.name for path in written] == CURVES
    for path in written:
        assert shows(path, looks.COLORS["exact"])
        assert shows(path, looks.COLORS["pooling"])
        assert not shows(path, looks.COLORS["late"])


def test_without_an_evaluation_there_are_losses_only(tmp_path):
    (tmp_path / "ap.png").write_bytes(b"of an earlier study")
    written = plots.plot_study(make_study([diverged_run("exact", 0)]), tmp_path)
    assert [path.name for path in written] == ["losses.png"]
    assert not (tmp_path / "ap.png").exists()


@pytest.mark.parametrize(
    "runs",
    [
        [waiting_run()],
        [diverged_run(losses=(), steps_done=0, train_seconds=0.0)],
        [make_run(aps=(), losses=())],
    ],
)
def test_nothing_to_draw(tmp_path, runs):
    assert plots.plot_study(make_study(runs), tmp_path) == []


@pytest.mark.parametrize("aps", [(0.51, 0.52), (0.0, 0.0)])
def test_axes_of_precision_begin_at_zero(aps):
    study = make_study([make_run(aps=aps), make_run("exact", aps=aps[::-1])])
    final, images = Figure(), Figure()
    plots.draw_final(final, study)
    for axes in final.axes:
        low, high = axes.get_xlim()
        assert low == 0
        assert high > max(max(line.get_xdata()) for line in axes.lines)
    plots.draw_ap_over_images(images, study)
    assert images.axes[0].get_ylim()[0] == 0


def test_a_finished_run_without_a_score_is_not_called_unfinished():
    figure = Figure()
    plots.draw_final(figure, make_study([make_run(), make_run("exact", aps=()), waiting_run()]))
    assert [text.get_text() for text in figure.axes[0].texts if "no" in text.get_text()] == [
        *("no AP", "no finished run"),
    ]


def test_a_run_without_any_precision_still_has_its_plots(tmp_path):
    study = make_study([make_run(aps=(0.0, 0.0)), diverged_run(failure=None)])
    assert len(plots.plot_study(study, tmp_path)) == 4


def test_a_loss_that_explodes_is_drawn_on_a_log_scale(tmp_path):
    losses = ((20, 2.0), (40, 30.0), (60, 4e9))
    figure = Figure()
    plots.draw_losses(figure, make_study([make_run(), diverged_run(losses=losses)]))
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylim()[1] > 4e9


def test_curves_are_means_over_the_finished_runs_with_crosses_for_the_others():
    study = make_study(
        [
            make_run("exact", 0, (0.2, 0.4)),
            make_run("exact", 1, (0.4, 0.5)),
            diverged_run("exact", 2, step=300, aps=(0.1,)),
        ]
    )
    figure = Figure()
    plots.draw_ap_over_images(figure, study)
    lines = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    assert [[2000, 0.3], [4000, 0.45]] in [np.round(line, 6).tolist() for line in lines]
    assert [[600, 0.1], [1200, 0.1]] in lines  # from the last evaluation to the end
    assert [[1200, 0.1]] in lines  # the cross
    assert "step 300" in [text.get_text() for text in figure.axes[0].texts]


def test_a_phase_of_alternating_training_has_a_line_of_its_own():
    run = make_run("alternating", losses=((20, 1.0), (40, 1.0), (60, 5.0)), phase_starts=(0, 40))
    figure = Figure()
    plots.draw_losses(figure, make_study([run]))
    lines = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    assert [[20, 1.0], [40, 1.0]] in lines
    assert [[60, 5.0]] in lines


def test_zeros_and_other_modules_make_no_gradients_plot(tmp_path):
    rows = ({"step": 50, "gradient/box_reg/pooling/rpn/box": 0.0, "cosine": 1.0},)
    rows += ({"step": 50, "gradient/box_reg/direct/neck": 1.0},)
    written = plots.plot_study(make_study([make_run(diagnostics=rows)]), tmp_path)
    assert "gradients.png" not in [path.name for path in written]


def test_names_beside_the_axes_stand_apart():
    places = [0.1, 0.5, 0.52, 0.54, 0.9]
    apart = plots._set_apart(places, 0.1)
    np.testing.assert_allclose(apart, [0.1, 0.42, 0.52, 0.62, 0.9])
    np.testing.assert_allclose(
        plots._set_apart([0.5, 0.5, 0.6], 0.1), [0.43333, 0.53333, 0.63333], atol=1e-4
    )
    assert plots._set_apart([], 0.1) == []


@pytest.mark.parametrize(
    ("seconds", "name", "value"),
    [(599, "seconds", 599), (600, "minutes", 10), (10800, "hours", 3)],
)
def test_units_of_time(seconds, name, value):
    unit = plots.time_unit(seconds)
    assert (unit.name, seconds / unit.seconds) == (name, value)


def test_plots_open_no_pyplot_figure(tmp_path):
    study = make_study([dataclasses.replace(make_run(), losses=())])
    plots.plot_study(study, tmp_path)
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []
