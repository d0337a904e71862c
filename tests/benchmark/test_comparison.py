"""Tables of two detectors that are small enough to do by hand."""

import pytest

from jaxrcnn.benchmark.comparison import (
    cost_section,
    mean_table,
    speed_section,
    stage_section,
)
from jaxrcnn.benchmark.cost import Cost
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.stages import StageTable, StageTime
from jaxrcnn.benchmark.timing import Timing

SHAPE = Shape(2, 64, 64)


def test_the_second_is_divided_by_the_first():
    timings = {"a": Timing((1.0, 2.0, 2.0, 4.0)), "b": Timing((0.5, 1.0, 1.0, 3.0))}
    section = speed_section("title", SHAPE, timings)
    assert section.rows[1][:3] == ("a", "1", "2000")
    assert section.rows[2][:3] == ("b", "2", "1000")
    assert section.rows[3] == (
        *("b / a", "2.00 x", "0.50 x"),
        "0.50 .. 0.75 x, faster in every round",
    )
    assert section.numbers["time_ratio"] == 0.5
    assert section.numbers["time_ratio_by_turn"] == [0.5, 0.5, 0.5, 0.75]
    assert section.numbers["b"]["images_per_second"] == 2


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        ((1.0, 2.0, 2.0, 4.1), "no clear difference"),
        ((0.9, 2.1, 2.0, 4.1), "no clear difference"),
        ((1.1, 2.1, 2.1, 4.1), "slower in every round"),
    ],
)
def test_one_turn_that_says_otherwise_leaves_it_open(seconds, verdict):
    timings = {"a": Timing((1.0, 2.0, 2.0, 4.0)), "b": Timing(seconds)}
    assert speed_section("title", SHAPE, timings).rows[-1][-1].endswith(f" x, {verdict}")


def test_costs_are_in_the_units_of_their_rows():
    costs = {
        "a": Cost(traced=1, cold=10, cached=0.5, flops=4e9, moved=0, memory=2**21),
        "b": Cost(traced=2, cold=5, cached=0.5, flops=3e9, moved=1e9, memory=2**20),
    }
    section = cost_section("title", costs)
    assert [tuple(row) for row in section.rows] == [
        ("", "a", "b", "ratio"),
        ("trace, s", "1", "2", "2.00 x"),
        ("compile, s", "10", "5", "0.50 x"),
        ("compile from the persistent cache, s", "0.5", "0.5", "1.00 x"),
        ("arithmetic, GFLOP", "4", "3", "0.75 x"),
        ("moved, GB", "0", "1", ""),
        ("arrays, MiB", "2", "1", "0.50 x"),
    ]
    assert section.numbers["b"]["cold"] == 5


def profile(seconds, **stages):
    rows = tuple(StageTime(name, *times) for name, times in stages.items())
    return StageTable(rows, seconds, ())


PROFILES = {
    "house": [
        profile(1.0, backbone=(0.2, 0.4), pool=(0.1, 0.2), idle=(0.1, 0.0)),
        profile(1.2, backbone=(0.3, 0.5), pool=(0.1, 0.2), idle=(0.1, 0.0)),
    ],
    "fork": [
        profile(0.9, backbone=(0.2, 0.5), pool=(0.05, 0.0), mine=(0.03, 0.0), idle=(0.12, 0.0)),
        profile(1.0, backbone=(0.2, 0.5), pool=(0.07, 0.0), mine=(0.03, 0.0), idle=(0.08, 0.0)),
    ],
}


def test_stages_that_differ_in_every_turn_come_with_the_largest_difference_first():
    section = stage_section("title", PROFILES)
    assert [tuple(row) for row in section.rows] == [
        ("ms", "house", "fork", "difference", "per round"),
        ("pool", "300.0", "60.0", "-240.0", "-250.0 .. -230.0"),
        ("mine", "0.0", "30.0", "+30.0", "+30.0 .. +30.0"),
        # The backbone took longer in one turn and less in the other; so did the host.
        ("all other stages", "800.0", "800.0", "+0.0", ""),
        ("a step", "1100.0", "950.0", "-150.0", ""),
    ]
    by_turn = section.numbers["difference_ms_by_turn"]
    assert by_turn["backbone"] == pytest.approx([-100, 100])
    fork = section.numbers["detectors"]["fork"]
    assert fork["step_ms"] == pytest.approx(950)
    assert fork["stages"]["backbone"] == pytest.approx({"forward_ms": 200, "backward_ms": 500})


def test_a_stage_that_hardly_differs_has_no_row():
    slower = [
        table._replace(rows=(*table.rows, StageTime("mine", 0.004, 0)))
        for table in (PROFILES["house"])
    ]
    section = stage_section("title", {"house": PROFILES["house"], "fork": slower})
    assert [row[0] for row in section.rows] == ["ms", "all other stages", "a step"]
    assert section.rows[1][3] == "+4.0"


def test_a_stage_that_hardly_differs_in_one_turn_has_no_row():
    waits = [
        table._replace(rows=(*table.rows, StageTime("mine", seconds, 0)))
        for table, seconds in zip(PROFILES["house"], (0.004, 0.2), strict=True)
    ]
    section = stage_section("title", {"house": PROFILES["house"], "fork": waits})
    assert [row[0] for row in section.rows] == ["ms", "all other stages", "a step"]


def test_a_stage_of_some_profiles_counts_nothing_in_the_others():
    table = mean_table([profile(1.0, gate=(0.2, 0.4)), profile(3.0)])
    assert table == StageTable((StageTime("gate", 0.1, 0.2),), 2.0, ())
