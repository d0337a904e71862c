import pytest

from jaxrcnn.study.gradients import Gradient, diagnostic_names, mean_over_runs, parse_gradient
from tests.study.synthetic import make_run


@pytest.mark.parametrize(
    ("name", "gradient"),
    [
        ("gradient/rpn_box/direct/rpn/box", Gradient("rpn_box", "direct", "rpn/box")),
        ("gradient/box_reg/targets/neck", Gradient("box_reg", "targets", "neck")),
        ("gradient/box_reg/pooling", None),
        ("gradient", None),
        ("cosine", None),
        ("cosine/a/b/c", None),
    ],
)
def test_names_of_gradients(name, gradient):
    assert parse_gradient(name) == gradient


def test_a_diagnostic_is_a_mean_over_the_runs_that_have_it():
    runs = [
        make_run(diagnostics=({"step": 50, "cosine": 0.5}, {"step": 100, "cosine": 0.25})),
        make_run(diagnostics=({"step": 50, "cosine": 0.0, "width_q50": 9.0},)),
    ]
    assert diagnostic_names(runs) == ["cosine", "width_q50"]
    assert mean_over_runs(runs, "cosine") == {50: 0.25, 100: 0.25}
    assert mean_over_runs(runs, "width_q50") == {50: 9.0}
    assert mean_over_runs(runs, "none") == {}
