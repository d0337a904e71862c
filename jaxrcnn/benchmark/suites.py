"""The benchmarks, each a few tables."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax

from jaxrcnn.benchmark import inputs, ops
from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.cost import Cost, measure_cost, peak_bytes
from jaxrcnn.benchmark.memory import forget_peak, peak_resident
from jaxrcnn.benchmark.peer import Torchvision
from jaxrcnn.benchmark.programs import Prediction, Program, Training, draw_variables
from jaxrcnn.benchmark.report import Section, mebibytes, milliseconds, ratio
from jaxrcnn.benchmark.stages import StageTable, rows_of, stage_table
from jaxrcnn.benchmark.timing import Runner, Timing, take_turns
from jaxrcnn.benchmark.workload import Shape
from jaxrcnn.config import Config
from jaxrcnn.detector import Variables
from jaxrcnn.runtime.machine import cores

PROFILED = 5
"""Steps under the profiler."""

OURS, PEER = "jaxrcnn", "torchvision"

Tried = Mapping[str, float | str]
"""Milliseconds of the peer by setting, or why it does not run there."""


class Settings(NamedTuple):
    """What is measured, and how."""

    config: Config
    train: Shape
    predict: tuple[Shape, ...]
    steps: int
    peak: Peak
    peer: Torchvision | None


class Memory(NamedTuple):
    """The most bytes of training steps.

    The arrays are those of the device, as its allocator counts them. On a CPU none does: ours are
    then those that XLA plans for, torchvision's what became resident since before it had a model.
    """

    arrays: float | None
    resident: float | None  # of the process, all included


def train(settings: Settings) -> Iterator[Section]:
    """The training step: what it costs, how fast it is, approximate and exact, and its stages."""
    config, shape, name = settings.config, settings.train, f"train {settings.train}"
    variables = draw_variables(config)
    program = Training(_with_gate(config, shut=True), shape, variables)
    cost = measure_cost(program)
    with _sides(settings, "train", shape, program, variables) as (sides, tried):
        forget_peak()
        if settings.peer is not None:
            settings.peer.memory(name)
        timings = take_turns(sides, settings.steps)
        held = {OURS: Memory(peak_bytes(jax.local_devices()[0]) or cost.memory, peak_resident())}
        if settings.peer is not None:
            held[PEER] = Memory(**settings.peer.memory(name))
    yield _speed(name, shape, timings, held, tried)
    yield from _analysis(settings, name, program, cost, timings)
    exact = Training(_with_gate(config, shut=False), shape, variables)
    exact.run(1)
    yield _gates(name, take_turns({"approximate": program.run, "exact": exact.run}, settings.steps))


def predict(settings: Settings) -> Iterator[Section]:
    """Prediction at every shape: what it costs, how fast it is, and its stages."""
    variables = draw_variables(settings.config)
    for shape in settings.predict:
        name = f"predict {shape}"
        program = Prediction(settings.config, shape, variables)
        cost = measure_cost(program)
        with _sides(settings, "predict", shape, program, variables) as (sides, tried):
            timings = take_turns(sides, settings.steps)
        yield _speed(name, shape, timings, {}, tried)
        yield from _analysis(settings, name, program, cost, timings)


@contextlib.contextmanager
def _sides(
    settings: Settings, kind: str, shape: Shape, program: Program, variables: Variables
) -> Iterator[tuple[dict[str, Runner], Tried]]:
    """Our program and the peer's of the same kind, warm; the peer's is gone afterwards."""
    program.run(1)
    if settings.peer is None:
        yield {OURS: program.run}, {}
        return
    tried = settings.peer.detector(kind, settings.config, shape, variables)
    name = f"{kind} {shape}"
    yield {OURS: program.run, PEER: settings.peer.runner(name)}, tried
    settings.peer.drop(name)


def _analysis(
    settings: Settings, name: str, program: Program, cost: Cost, timings: Mapping[str, Timing]
) -> Iterator[Section]:
    """What a program costs and where its time goes."""
    yield _costs(name, cost, timings[OURS], settings.peak)
    yield _stages(name, stage_table(functools.partial(program.run, 1), PROFILED))


def detector_ops(settings: Settings) -> Iterator[Section]:
    """Every op alone; beside torchvision's where it has the same."""
    _, height, width = settings.predict[-1]
    rows: list[tuple[str, ...]] = [
        ("op", "ms", "half of the calls", *((PEER, "ratio") if settings.peer else ()))
    ]
    numbers = {}
    for case in ops.op_cases(height, width):
        case.run(1)
        sides: dict[str, Runner] = {OURS: case.run}
        if settings.peer is not None and _prepare_op(settings.peer, case, (height, width)):
            sides[PEER] = settings.peer.runner(case.name)
        timings = take_turns(sides, settings.steps)
        numbers[case.name] = {side: timing.numbers() for side, timing in timings.items()}
        row: tuple[str, ...] = (case.name, *milliseconds(timings[OURS]))
        if PEER in timings:
            row += (milliseconds(timings[PEER])[0], ratio(timings[OURS], timings[PEER]))
        elif settings.peer is not None:
            row += ("", "")
        rows.append(row)
    yield Section(f"ops, for an image of {height}x{width}", rows, numbers)


def input_pipeline(settings: Settings) -> Iterator[Section]:
    """JPEG files to batches, on one core and on all, and whether training waits for them."""
    config = settings.config
    with inputs.drawn_files() as dataset:
        split = inputs.split_of(dataset, config, rounds=5 * inputs.FILES)
        alone = inputs.images_a_second(dataset, config, settings.steps)
        ahead = inputs.images_a_second_ahead(dataset, config, settings.steps)
        waits = inputs.waits_of_training(dataset, config, settings.train, settings.steps)
    number = cores()
    rows = [
        ("one thread", f"{alone:.4g} images/s"),
        *((f"  {name}", f"{each:.3g} ms") for name, each in split._asdict().items()),
        (f"{number} cores", f"{ahead:.4g} images/s, {ahead / number:.4g} a core"),
        (
            f"train {settings.train}",
            f"{100 * waits.share:.0f} % of {waits.steps} steps wait, {waits.seconds:.2g} s in all",
        ),
    ]
    numbers = {
        "images_per_second_one_thread": alone,
        "images_per_second": ahead,
        "cores": number,
        "ms_of_a_image": split._asdict(),
        "waits": waits._asdict(),
    }
    height, width = inputs.FILE_SIZE
    yield Section(f"input: JPEG files of {height}x{width} to 800 pixels, mirrored", rows, numbers)


def _prepare_op(peer: Torchvision, case: ops.Case, size: tuple[int, int]) -> bool:
    """Prepare torchvision's op of the same kind; False where it has none."""
    if case.name.startswith("nms "):
        peer.nms(case, ops.NMS_IOU)
        return True
    kinds = {
        "align_unaligned forward": "align",
        "align_unaligned to features": "align to features",
    }
    if case.name not in kinds:
        return False
    peer.align(case, kinds[case.name], size, ops.SIDE, ops.SAMPLES)
    return True


def _with_gate(config: Config, shut: bool) -> Config:
    proposals = replace(config.model.proposals, stop_gradient=shut)
    return replace(config, model=replace(config.model, proposals=proposals))


def _speed(
    name: str,
    shape: Shape,
    timings: Mapping[str, Timing],
    held: Mapping[str, Memory],
    tried: Tried,
) -> Section:
    """How fast, and with how much memory."""
    rows: list[tuple[str, ...]] = [("", "images/s", "ms", "half of the steps")]
    numbers: dict[str, Any] = {}
    for side, timing in timings.items():
        speed = shape.images / timing.median
        rows.append((side, f"{speed:.4g}", *milliseconds(timing)))
        numbers[side] = {"images_per_second": speed, **timing.numbers()}
    if PEER in timings:
        rows.append(("ratio", ratio(timings[OURS], timings[PEER]), "", ""))
        rows += map(_trial, tried.items())
        numbers["times_as_fast"] = timings[PEER].median / timings[OURS].median
        numbers[f"{PEER}_tried"] = dict(tried)
    if held:
        rows = _with_memory(rows, held)
        numbers["peak_bytes"] = {side: memory._asdict() for side, memory in held.items()}
    return Section(name, rows, numbers)


def _trial(setting: tuple[str, float | str]) -> tuple[str, ...]:
    """A setting of the peer, tried for a few steps before the fastest was taken."""
    name, took = setting
    ms, about = ("", took[:60]) if isinstance(took, str) else (f"{took:.4g}", "tried")
    return f"{PEER}, {name}", "", ms, about


def _with_memory(rows: list[tuple[str, ...]], held: Mapping[str, Memory]) -> list[tuple[str, ...]]:
    head, *others = rows
    columns = [
        (*row, *(map(mebibytes, held[row[0]]) if row[0] in held else ("", ""))) for row in others
    ]
    return [(*head, "arrays MiB", "resident MiB"), *columns]


def _costs(name: str, cost: Cost, timing: Timing, peak: Peak) -> Section:
    """Compilation, arithmetic and memory of a program."""
    share = cost.utilisation(peak, timing.median)
    floor = cost.floor(peak)
    rows = [
        ("trace", f"{cost.traced:.1f} s"),
        ("compile", f"{cost.cold:.1f} s, from the persistent cache {cost.cached:.1f} s"),
        ("arithmetic", f"{cost.flops / 1e9:.4g} GFLOP, {100 * share:.0f} % of the peak (MFU)"),
        ("moved", f"{cost.moved / 1e9:.3g} GB"),
        ("roofline", f"{1e3 * floor:.4g} ms at least"),
        ("arrays", f"{mebibytes(cost.memory)} MiB: arguments, results and temporary ones"),
    ]
    numbers = {
        **cost._asdict(),
        "roofline_ms": 1e3 * floor,
        "mfu": share,
        "peak_flops": peak.flops,
        "peak_bandwidth": peak.bandwidth,
        "peak_source": peak.source,
    }
    return Section(f"{name}: cost", rows, numbers)


def _stages(name: str, table: StageTable) -> Section:
    """Where a step's time goes."""
    numbers = {
        row.stage: {"forward_ms": 1e3 * row.forward, "backward_ms": 1e3 * row.backward}
        for row in table.rows
    }
    return Section(f"{name}: stages, from a profile", rows_of(table), numbers, table)


def _gates(name: str, timings: dict[str, Timing]) -> Section:
    """The exact step beside the approximate one."""
    exact = timings["exact"].median / timings["approximate"].median
    rows: list[tuple[str, ...]] = [("gate", "ms", "half of the steps")]
    rows += [(side, *milliseconds(timing)) for side, timing in timings.items()]
    rows.append(("exact over approximate", f"{exact:.3f}", ""))
    numbers = {side: timing.numbers() for side, timing in timings.items()}
    return Section(f"{name}: gate", rows, {**numbers, "exact_over_approximate": exact})


SUITES = {"train": train, "predict": predict, "ops": detector_ops, "input": input_pipeline}
"""By the words of --what."""
