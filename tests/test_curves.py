import numpy as np
import pytest
from PIL import Image

from jaxrcnn import curves


def rows():
    train = [
        {
            "step": step,
            "train/loss": 4.0 / step,
            "train/loss_rpn_objectness": 1.0 / step,
            "train/loss_rpn_box": 1.0 / step,
            "train/loss_box_class": None if step == 30 else 1.0 / step,
            "train/loss_box_reg": 1.0 / step,
            "train/learning_rate": 0.01,
        }
        for step in range(1, 101)
    ]
    ap = [
        {"step": 50 * k, "eval/AP": 0.2 * k, "eval/AP50": 0.3 * k, "eval/loss": 1.0} for k in (1, 2)
    ]
    return train + ap


def test_curves_are_written_and_not_blank(tmp_path):
    written = curves.plot_curves(rows(), tmp_path / "plots")
    assert written == [tmp_path / "plots" / "losses.png", tmp_path / "plots" / "ap.png"]
    for path in written:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        assert pixels.std() > 5
        assert min(pixels.shape[:2]) > 300


def panels_of(monkeypatch, lines, tmp_path):
    """The labels of the lines in each panel of losses.png, by the panels' titles."""
    from matplotlib.figure import Figure

    seen = {}
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *_, **__: seen.update(
            {
                axes.get_title("left"): [
                    line.get_label()
                    for line in axes.get_lines()
                    if not line.get_label().startswith("_")
                ]
                for axes in figure.axes
            }
        ),
    )
    curves.plot_curves(lines, tmp_path)
    return seen


def test_losses_of_ones_own_are_drawn_under_their_names_and_a_rate_where_there_is_one(
    monkeypatch, tmp_path
):
    losses = {f"train/loss_own_{i:02}": 1.0 for i in range(12)}  # more than there are colours
    house = ("rpn_objectness", "rpn_box", "box_class", "box_reg")
    losses |= {f"train/loss_{name}": 1.0 for name in reversed(house)}
    lines = [{"step": step, **losses, "train/loss": 16.0} for step in (1, 2)]
    names = ["total", *house, *(f"own_{i:02}" for i in range(12))]
    assert panels_of(monkeypatch, lines, tmp_path) == {"losses": names}
    lines[1]["train/learning_rate"] = 0.1
    assert list(panels_of(monkeypatch, lines, tmp_path)) == ["losses", "learning rate"]


def axes_of(monkeypatch, lines, tmp_path):
    """What is said of each panel of the last figure: its title, and the limits of its axes."""
    from matplotlib.figure import Figure

    seen = {}
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *_, **__: seen.update(
            {axes.get_title("left"): (axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}
        ),
    )
    curves.plot_curves(lines, tmp_path)
    return seen


@pytest.mark.parametrize(
    ("best", "title", "top"),
    [
        (0.0, "average precision (the axis ends at 0.02)", 0.02),
        (0.03, "average precision (the axis ends at 0.05)", 0.05),
        (0.1, "average precision (the axis ends at 0.1)", 0.1),
        (0.61, "average precision (the axis ends at 0.8)", 0.8),
        (0.97, "average precision", 1.0),
    ],
)
def test_precision_ends_near_the_best_and_its_axis_is_said(best, title, top, monkeypatch, tmp_path):
    lines = [{"step": 40, "eval/AP": 0.0}, {"step": 90, "eval/AP": best, "eval/AP75": None}]
    lines.append({"step": 100, "train/learning_rate": 0.1})
    assert axes_of(monkeypatch, lines, tmp_path) == {title: ((40, 90), (0, top))}


def test_losses_and_diagnostics_begin_and_end_where_the_data_do(monkeypatch, tmp_path):
    lines = [{"step": step, "train/loss": 1.0, "train/learning_rate": 0.1} for step in (20, 80)]
    lines += [measured(step) for step in (1, 61)]
    seen = axes_of(monkeypatch, lines, tmp_path)
    assert seen["losses"][0] == seen["learning rate"][0] == (20, 80)
    assert seen["recall of proposals"][0] == (1, 61)


def test_curves_need_something_to_draw(tmp_path):
    assert curves.plot_curves([], tmp_path) == []
    assert curves.plot_curves([{"step": 1, "eval/AP": 0.5}], tmp_path) == [tmp_path / "ap.png"]
    lost = [{"step": 1, "train/loss": None}]  # a run that was never finite
    assert curves.plot_curves(lost, tmp_path) == [tmp_path / "losses.png"]


def test_plots_open_no_pyplot_figure(tmp_path):
    curves.plot_curves(rows(), tmp_path)
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []


def test_smoothing_is_a_centred_mean_cut_off_at_the_ends():
    values = np.random.default_rng(0).normal(size=100)  # a reach of 2 points on either side
    smooth = curves.smooth(values)
    assert smooth.shape == (100,)
    np.testing.assert_allclose(smooth[0], values[:3].mean())
    np.testing.assert_allclose(smooth[50], values[48:53].mean())
    np.testing.assert_allclose(smooth[-1], values[-3:].mean())
    np.testing.assert_allclose(curves.smooth(values[:10]), values[:10])


def measured(step, **changes):
    """A line of diagnostics, of a run whose pooling route is shut as RoIPool's is."""
    norms = {
        f"gradient/{loss}/{route}/{module}": 0.0 if route == "pooling" else 3.0 / step
        for loss in ("rpn_box", "box_reg")
        for route in ("direct", "pooling", "targets")
        for module in ("backbone/stem", "backbone/layer1", "rpn/box")
    }
    others = ["cosine/closed", "cosine/open", "drift/step", "drift/gate", "recall/0.5"]
    others += [f"width/{q}" for q in ("0", "0.1", "0.5", "0.9", "1")]
    numbers = {**norms, **dict.fromkeys(others, 0.5), **changes}
    return {"step": step, **{f"diagnostics/{name}": x for name, x in numbers.items()}}


def test_diagnostics_are_drawn_where_there_are_some(tmp_path):
    lines = [measured(step) for step in (1, 11, 21)]
    lines.append(measured(31, **{"drift/gate": None, "gradient/rpn_box/direct/rpn/box": None}))
    written = curves.plot_curves([*rows(), *lines], tmp_path)
    assert [path.name for path in written] == ["losses.png", "ap.png", "diagnostics.png"]
    with Image.open(written[-1]) as image:
        pixels = np.array(image.convert("RGB"))
    assert pixels.std() > 5
    assert min(pixels.shape[:2]) > 600
    only = [{"step": 1, "diagnostics/width/0": None, "diagnostics/recall/0.5": 0.5}]
    assert [path.name for path in curves.plot_curves(only, tmp_path)] == ["diagnostics.png"]


def drawn(draw, lines):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    draw(axes, lines)
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_norms_are_over_all_modules_of_the_backbone_and_zeros_are_left_out():
    lines = [measured(1, **{"gradient/box_reg/direct/backbone/stem": 4.0}), measured(3)]
    lines.append(measured(5, **{"gradient/box_reg/direct/backbone/stem": None}))
    got = drawn(curves._draw_backbone, lines)
    losses, routes = ("rpn_box", "box_reg"), ("direct", "targets")
    assert got.keys() == {f"{loss}, {route}" for loss in losses for route in routes}
    assert got["box_reg, direct"] == [[1, 5], [3, pytest.approx(2**0.5)]]
    got = drawn(curves._draw_rpn_box, lines)
    assert got["rpn_box, direct"] == [[1, 3], [3, 1], [5, pytest.approx(0.6)]]


def test_lines_are_those_of_their_names():
    lines = [measured(1, **{"drift/step": 0.25, "cosine/open": -1.0}), measured(2)]
    assert drawn(curves._draw_drift, lines) == {
        "by the step, gate closed": [[1, 0.25], [2, 0.5]],
        "by opening the gate": [[1, 0.5], [2, 0.5]],
    }
    assert drawn(curves._draw_cosines, lines)["gate open"] == [[1, -1], [2, 0.5]]
