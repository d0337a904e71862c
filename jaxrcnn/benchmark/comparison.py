"""Two detectors side by side in one process: is the second one faster, and where?

Both have the same config, batches and seed, and take turns, so that a slow minute of the machine
meets both. What differs from turn to turn says how much of a difference is chance.
"""

import functools
import statistics
from collections.abc import Iterator, Mapping, Sequence

from jaxrcnn.benchmark.cost import Cost, cache_apart, measure_cost
from jaxrcnn.benchmark.programs import Program
from jaxrcnn.benchmark.report import Section, speeds
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.stages import StageTable, StageTime, numbers_of, stage_table
from jaxrcnn.benchmark.timing import TURNS, Timing, ratios_by_turn, take_turns

PROFILED = 2
"""Steps of each turn under the profiler."""

WORTH_A_ROW = 0.005
"""Share of a step; a stage that differs by less in some turn is among the others."""

Programs = Mapping[str, Program]
"""The two by the detectors' names, the first being what the second is compared with."""


def compare_speed(name: str, shape: Shape, programs: Programs, steps: int) -> Iterator[Section]:
    """Steps by the clock, turn by turn; then what each program costs to compile and to keep."""
    first, second = programs
    costs = {first: measure_cost(programs[first])}
    with cache_apart():
        costs[second] = measure_cost(programs[second])
        programs[second].run(1)
    timings = take_turns({side: program.run for side, program in programs.items()}, steps)
    yield speed_section(f"{name}: {second} compared with {first}", shape, timings)
    yield cost_section(f"{name}: cost of {second} compared with {first}", costs)


def compare_stages(name: str, programs: Programs) -> Section:
    """The stages in which the two differ, from profiles that they take in turns."""
    first, second = programs
    programs[first].run(1)
    with cache_apart():
        programs[second].run(1)
    profiles: dict[str, list[StageTable]] = {side: [] for side in programs}
    for _ in range(TURNS):
        for side, program in programs.items():
            run = functools.partial(program.run, 1)
            profiles[side].append(stage_table(run, PROFILED))
    return stage_section(
        f"{name}: stages of {second} compared with {first}, from profiles", profiles
    )


def speed_section(title: str, shape: Shape, timings: Mapping[str, Timing]) -> Section:
    """How fast both are; the last row divides the second's numbers by the first's."""
    first, second = timings
    rows, numbers = speeds(shape, timings)
    ratio = timings[second].median / timings[first].median
    turns = ratios_by_turn(timings[second], timings[first])
    rows.append(
        (
            f"{second} / {first}",
            f"{1 / ratio:.2f} x",
            f"{ratio:.2f} x",
            f"{turns[0]:.2f} .. {turns[-1]:.2f} x, {_verdict(turns)}",
        )
    )
    return Section(title, rows, {**numbers, "time_ratio": ratio, "time_ratio_by_turn": turns})


def _verdict(ratios: Sequence[float]) -> str:
    """What the turns say, from the smallest ratio of times to the largest."""
    if ratios[-1] < 1:
        return "faster in every round"
    if ratios[0] > 1:
        return "slower in every round"
    return "no clear difference"


def cost_section(title: str, costs: Mapping[str, Cost]) -> Section:
    """Compilation, arithmetic and memory of both, and the second's over the first's."""
    one, other = costs.values()
    quantities = (
        ("trace, s", one.traced, other.traced),
        ("compile, s", one.cold, other.cold),
        ("compile from the persistent cache, s", one.cached, other.cached),
        ("arithmetic, GFLOP", one.flops / 1e9, other.flops / 1e9),
        ("moved, GB", one.moved / 1e9, other.moved / 1e9),
        ("arrays, MiB", one.memory / 2**20, other.memory / 2**20),
    )
    rows: list[tuple[str, ...]] = [("", *costs, "ratio")]
    rows += [
        (name, f"{a:.4g}", f"{b:.4g}", f"{b / a:.2f} x" if a else "") for name, a, b in quantities
    ]
    return Section(title, rows, {side: cost._asdict() for side, cost in costs.items()})


def stage_section(title: str, profiles: Mapping[str, Sequence[StageTable]]) -> Section:
    """The stages that take longer with the same detector in every turn, sorted by difference.

    Args:
        title: of the section.
        profiles: of each detector, a table a turn.
    """
    means = {side: mean_table(tables) for side, tables in profiles.items()}
    first, second = means.values()
    names = list(dict.fromkeys(row.stage for table in (first, second) for row in table.rows))
    turns = {name: _differences(name, profiles) for name in names}
    least = WORTH_A_ROW * first.seconds
    differ = [name for name in names if turns[name][0] >= least or turns[name][-1] <= -least]
    differ.sort(key=lambda name: -abs(statistics.mean(turns[name])))
    rows: list[tuple[str, ...]] = [("ms", *means, "difference", "per round")]
    for name in differ:
        times = (_seconds(table, name) for table in means.values())
        spread = f"{1e3 * turns[name][0]:+.1f} .. {1e3 * turns[name][-1]:+.1f}"
        rows.append((name, *_beside(*times), spread))
    rest = [name for name in names if name not in differ]
    others = (sum(_seconds(table, name) for name in rest) for table in means.values())
    rows.append(("all other stages", *_beside(*others), ""))
    rows.append(("a step", *_beside(first.seconds, second.seconds), ""))
    numbers = {
        "detectors": {side: numbers_of(table) for side, table in means.items()},
        "difference_ms_by_turn": {
            name: [1e3 * seconds for seconds in each] for name, each in turns.items()
        },
    }
    return Section(title, rows, numbers)


def mean_table(tables: Sequence[StageTable]) -> StageTable:
    """The mean of several profiles of one program; the operations are those of the last."""
    names = dict.fromkeys(row.stage for table in tables for row in table.rows)
    rows = []
    for name in names:
        same = [row for table in tables for row in table.rows if row.stage == name]
        forward, backward = (
            sum(getattr(row, direction) for row in same) / len(tables)
            for direction in ("forward", "backward")
        )
        rows.append(StageTime(name, forward, backward))
    seconds = statistics.mean(table.seconds for table in tables)
    return StageTable(tuple(rows), seconds, tables[-1].operations)


def _differences(stage: str, profiles: Mapping[str, Sequence[StageTable]]) -> list[float]:
    """Seconds that a stage of the second takes longer, in each turn, from the smallest."""
    turns = zip(*profiles.values(), strict=True)
    return sorted(_seconds(second, stage) - _seconds(first, stage) for first, second in turns)


def _seconds(table: StageTable, stage: str) -> float:
    return next((row.total for row in table.rows if row.stage == stage), 0.0)


def _beside(first: float, second: float) -> tuple[str, str, str]:
    """Seconds of both in milliseconds, and the difference."""
    return f"{1e3 * first:.1f}", f"{1e3 * second:.1f}", f"{1e3 * (second - first):+.1f}"
