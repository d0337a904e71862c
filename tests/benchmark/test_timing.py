import pytest

from jaxrcnn.benchmark.timing import Timing, ratios_by_turn, take_turns, time_calls


def test_median_and_quartiles_by_hand():
    timing = Timing((5.0, 1.0, 2.0, 3.0, 4.0))
    assert timing.median == 3
    assert timing.quartiles == (2, 4)
    assert timing.numbers() == {
        "median_ms": 3000,
        "quartile_low_ms": 2000,
        "quartile_high_ms": 4000,
        "steps": 5,
    }
    assert Timing((7.0,)).quartiles == (7, 7)


def test_sides_take_turns_until_each_has_its_steps():
    asked = []

    def side(name):
        def run(steps):
            asked.append((name, steps))
            return [float(len(asked))] * steps

        return run

    timings = take_turns({"a": side("a"), "b": side("b")}, steps=7, turns=3)
    # The first step of each is not counted.
    assert asked == [("a", 1), ("b", 1), *([("a", 3), ("b", 3)] * 3)]
    assert timings["a"].seconds == (3.0,) * 3 + (5.0,) * 3 + (7.0,) * 3
    assert timings["b"].seconds == (4.0,) * 3 + (6.0,) * 3 + (8.0,) * 3


def test_two_sides_are_compared_turn_by_turn():
    # In the third turn the machine was slow for both.
    one = Timing((2.0, 4.0, 3.0, 8.0, 8.0, 8.0, 40.0, 60.0, 50.0))
    other = Timing((4.0, 16.0, 40.0))
    assert ratios_by_turn(one, other, turns=3) == [0.5, 0.75, 1.25]


@pytest.mark.parametrize(("seconds", "steps"), [(0.1, 20), (1.5, 20), (4.0, 8), (100.0, 4)])
def test_a_slow_side_makes_fewer_steps(seconds, steps):
    timings = take_turns({"slow": lambda number: [seconds] * number}, steps=20, turns=4)
    assert len(timings["slow"].seconds) == steps


def test_a_call_is_timed_until_its_result_is_there(monkeypatch):
    clock = iter([10.0, 11.5, 20.0, 20.25])
    monkeypatch.setattr("jaxrcnn.benchmark.timing.time.perf_counter", lambda: next(clock))
    waited = []
    monkeypatch.setattr("jaxrcnn.benchmark.timing.jax.block_until_ready", waited.append)
    assert time_calls(lambda: "result", 2) == [pytest.approx(1.5), pytest.approx(0.25)]
    assert waited == ["result", "result"]
