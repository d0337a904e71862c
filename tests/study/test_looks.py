from jaxrcnn.study import looks
from tests.study.synthetic import SCHEMES, full_study, make_run, make_study


def test_a_scheme_has_one_colour_in_all_studies():
    everything = looks.scheme_colors(full_study(1))
    assert tuple(everything) == SCHEMES
    assert len(set(everything.values())) == len(SCHEMES)
    some = make_study([make_run("late"), make_run("mine"), make_run("yours"), make_run("exact")])
    colors = looks.scheme_colors(some)
    assert (colors["late"], colors["exact"]) == (everything["late"], everything["exact"])
    assert len(set(colors.values()) | set(everything.values())) == 8
