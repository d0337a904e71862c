import numpy as np
from matplotlib.figure import Figure

from jaxrcnn.study import instrument_plots
from tests.study.synthetic import make_diagnostics, make_run, make_study


def test_gradients_have_a_panel_for_each_route():
    run = make_run(diagnostics=make_diagnostics(0))
    figure = Figure()
    instrument_plots.draw_gradients(figure, make_study([run]))
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["route: direct", "route: pooling", "route: targets"]
    direct = figure.axes[0].lines[0].get_xydata()
    wanted = [(row["step"], row["gradient/rpn_box/direct/rpn/box"]) for row in run.diagnostics]
    np.testing.assert_allclose(direct, wanted)


def test_proposals_are_the_means_over_the_runs_that_have_them():
    def row(step, width, **others):
        return {"step": step, "width/0.5": width, **others}

    runs = [
        make_run("exact", 0, diagnostics=(row(1, 10.0), row(50, 20.0, **{"recall/0.5": 0.5}))),
        make_run("exact", 1, diagnostics=(row(1, 14.0), row(50, 30.0))),
    ]
    assert instrument_plots.has_proposals(runs)
    figure = Figure()
    instrument_plots.draw_proposals(figure, make_study(runs))
    recall, positives, width = (axes.lines[0].get_xydata().tolist() for axes in figure.axes)
    assert recall == [[50, 0.5]]
    assert positives == []
    assert width == [[1, 12], [50, 25]]
    assert not instrument_plots.has_proposals(
        [make_run(diagnostics=({"step": 1, "drift/gate": 2.0},))]
    )
