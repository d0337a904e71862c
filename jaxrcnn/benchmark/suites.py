"""The benchmarks, each a few tables."""

import functools
import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax

from jaxrcnn.benchmark import evaluations, inputs, ops
from jaxrcnn.benchmark.agreement import Difference, case_differences, detector_differences
from jaxrcnn.benchmark.augmentations import augmentation_costs
from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.comparison import compare_speed, compare_stages
from jaxrcnn.benchmark.cost import Cost, measure_cost, peak_bytes
from jaxrcnn.benchmark.memory import forget_peak, peak_resident
from jaxrcnn.benchmark.peer import Torchvision
from jaxrcnn.benchmark.programs import Program
from jaxrcnn.benchmark.report import Section, mebibytes, milliseconds, ratio, speeds
from jaxrcnn.benchmark.session import HOUSE, Session
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.stages import StageTable, numbers_of, rows_of, stage_table
from jaxrcnn.benchmark.timing import Runner, Timing, take_turns
from jaxrcnn.config import Config
from jaxrcnn.data.augment import parse
from jaxrcnn.data.records import Dataset
from jaxrcnn.runtime.machine import cores

PROFILED = 5
"""Steps under the profiler."""
AUGMENTED = 4
"""Batches that are made with each augmentation."""

OURS, PEER = HOUSE.name, "torchvision"

Tried = Mapping[str, float | str]
"""Milliseconds of the peer by setting, or why it does not run there."""


class Memory(NamedTuple):
    """The most bytes of training steps.

    The arrays are those of the device, as its allocator counts them. On a CPU none does: ours are
    then those that XLA plans for, torchvision's what became resident since before it had a model.
    """

    arrays: float | None
    resident: float | None  # of the process, all included


def check(session: Session) -> Iterator[Section]:
    """The device's numbers beside the CPU's: of the detector, then of every op."""
    device, settings = jax.local_devices()[0], session.settings
    found = detector_differences(
        settings.config, session.variables, device, build=settings.detector.build
    )
    yield _agreement("check: forward and backward pass compared with the CPU's", *found)
    yield _agreement("check: ops compared with the CPU's", case_differences(session.cases, device))


def train(session: Session) -> Iterator[Section]:
    """The training step: how fast it is, what it costs, and the peer's or the other detector's."""
    settings, name = session.settings, f"train {session.settings.train}"
    if session.other is not None:
        yield from compare_speed(
            name,
            settings.train,
            _two(session, session.training, session.other.training),
            settings.steps,
        )
        return
    side, program = settings.detector.name, session.approximate
    cost = measure_cost(program)
    forget_peak()
    timings = take_turns({side: program.run}, settings.steps)
    ours = Memory(peak_bytes(jax.local_devices()[0]) or cost.memory, peak_resident())
    yield _speed(name, settings.train, timings, {side: ours})
    yield _costs(name, cost, timings[side], settings.peak)
    yield from _beside(session, "train", settings.train, program, ours)


def predict(session: Session) -> Iterator[Section]:
    """The prediction at every shape, as `train` the training step."""
    settings, side = session.settings, session.settings.detector.name
    for shape, program in session.predictions.items():
        name = f"predict {shape}"
        if session.other is not None:
            programs = _two(session, program, session.other.predictions[shape])
            yield from compare_speed(name, shape, programs, settings.steps)
            continue
        cost = measure_cost(program)
        timings = take_turns({side: program.run}, settings.steps)
        yield _speed(name, shape, timings)
        yield _costs(name, cost, timings[side], settings.peak)
        yield from _beside(session, "predict", shape, program)


def stages(session: Session) -> Iterator[Section]:
    """Where the time of a training step and of each prediction goes, or where two differ."""
    if session.other is not None:
        yield from _stages_of_two(session, session.other)
        return
    programs: dict[str, Program] = {f"train {session.settings.train}": session.approximate}
    programs |= {f"predict {shape}": program for shape, program in session.predictions.items()}
    for name, program in programs.items():
        program.run(1)
        yield _stages(name, stage_table(functools.partial(program.run, 1), PROFILED))


def _stages_of_two(session: Session, other: Session) -> Iterator[Section]:
    """The stages in which the detectors differ, in a training step and in each prediction."""
    training = _two(session, session.training, other.training)
    yield compare_stages(f"train {session.settings.train}", training)
    for shape, program in session.predictions.items():
        programs = _two(session, program, other.predictions[shape])
        yield compare_stages(f"predict {shape}", programs)


def _two(session: Session, program: Program, other: Program) -> dict[str, Program]:
    """A program of each detector, by the detectors' names."""
    settings = session.settings
    assert settings.other is not None
    return {settings.detector.name: program, settings.other.name: other}


def gate(session: Session) -> Iterator[Section]:
    """The exact training step beside the approximate one."""
    sides = {"approximate": session.approximate.run, "exact": session.exact.run}
    timings = take_turns(sides, session.settings.steps)
    yield _gates(f"train {session.settings.train}: gate", timings)


def detector_ops(session: Session) -> Iterator[Section]:
    """Every op alone; beside torchvision's where it has the same."""
    peer, steps = session.settings.peer, session.settings.steps
    _, height, width = session.settings.predict[-1]
    rows: list[tuple[str, ...]] = [
        ("op", "ms", "half of the calls", *((PEER, "ratio") if peer else ()))
    ]
    numbers = {}
    for case in session.cases:
        sides: dict[str, Runner] = {OURS: case.run}
        if peer is not None and _prepare_op(peer, case, (height, width)):
            sides[PEER] = peer.runner(case.name)
        timings = take_turns(sides, steps)
        numbers[case.name] = {side: timing.numbers() for side, timing in timings.items()}
        row: tuple[str, ...] = (case.name, *milliseconds(timings[OURS]))
        if PEER in timings:
            row += (milliseconds(timings[PEER])[0], ratio(timings[OURS], timings[PEER]))
        elif peer is not None:
            row += ("", "")
        rows.append(row)
    yield Section(f"ops, for an image of {height}x{width}", rows, numbers)


def input_pipeline(session: Session) -> Iterator[Section]:
    """JPEG files to batches, on one core and on all, and whether training waits for them."""
    settings = session.settings
    with inputs.drawn_files() as dataset:
        for decoder in inputs.decoders():
            data = replace(settings.config.data, decoder=decoder)
            yield _input(session, dataset, replace(settings.config, data=data))
        costs = augmentation_costs(dataset, settings.config, AUGMENTED)
        decode = inputs.split_of(dataset, settings.config, rounds=5 * inputs.FILES).decode
        yield _augmentations(costs, decode)


def _input(session: Session, dataset: Dataset, config: Config) -> Section:
    """The same with one decoder."""
    settings = session.settings
    split = inputs.split_of(dataset, config, rounds=5 * inputs.FILES)
    alone = inputs.images_a_second(dataset, config, settings.steps)
    ahead = inputs.images_a_second_ahead(dataset, config, settings.steps)
    waits = inputs.waits_of_training(
        dataset, config, settings.train, settings.steps, settings.detector.build
    )
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
        "ms_of_an_image": split._asdict(),
        "waits": waits._asdict(),
    }
    height, width = inputs.FILE_SIZE
    files = f"JPEG files of {height}x{width} to 800 pixels, mirrored"
    return Section(f"input: {files}, data.decoder={config.data.decoder}", rows, numbers)


def _augmentations(costs: Mapping[str, float], decode: float) -> Section:
    """What an image takes longer with each augmentation, and beside decoding it."""
    rows: list[tuple[str, ...]] = [("augmentation", "ms more", "decodings", "images read")]
    for name, cost in costs.items():
        (call,) = parse((f"{name}()",))
        rows.append((name, f"{cost:.3g}", f"{cost / decode:.2g}", f"{call.images}"))
    return Section("input: augmentations, without reading", rows, {"ms_of_an_image": dict(costs)})


def evaluation(session: Session) -> Iterator[Section]:
    """COCO's numbers from drawn detections, by each library that is installed."""
    del session  # no detector is run
    dataset, found = evaluations.draw_evaluation(evaluations.IMAGES)
    rates = evaluations.evaluation_rates(dataset, found)
    slowest = max(rates.backends.values()) + rates.prepare
    rows: list[tuple[str, ...]] = [("", "s", "images/s", "ratio")]
    rows.append(("detections to COCO's results", f"{rates.prepare:.3g}", "", ""))
    numbers: dict[str, Any] = {"detections": rates.detections, "prepare_seconds": rates.prepare}
    for backend, seconds in rates.backends.items():
        total = rates.prepare + seconds
        speed = len(dataset) / total
        rows.append((backend, f"{seconds:.3g}", f"{speed:.4g}", f"{slowest / total:.2f} x"))
        numbers[backend] = {"seconds": seconds, "images_per_second": speed}
    title = f"eval: {rates.detections} detections on {len(dataset)} images, preparation included"
    yield Section(title, rows, numbers)


def start(session: Session) -> Iterator[Section]:
    """What a new user waits for, in processes of their own."""
    from jaxrcnn.benchmark.start import measure_waits  # it needs more than the core packages

    settings = session.settings
    waits = measure_waits(
        settings.config,
        settings.train,
        settings.predict[0],
        session.variables,
        detector=settings.detector,
    )
    rows: list[tuple[str, ...]] = [("seconds until the end of", "cold", "cached")]
    rows += [
        (name, *(f"{statistics.median(each):.3g}" for each in (wait.cold, wait.cached)))
        for name, wait in waits.items()
    ]
    numbers = {name: wait.numbers() for name, wait in waits.items()}
    yield Section("start: from the start of a process, imports included", rows, numbers)


def _beside(
    session: Session, kind: str, shape: Shape, program: Program, ours: Memory | None = None
) -> Iterator[Section]:
    """Our program and the peer's of the same kind, turn by turn; the peer's is gone afterwards."""
    settings = session.settings
    peer = settings.peer
    if peer is None:
        return
    name = f"{kind} {shape}"
    title = f"{name}: compared with {PEER}"
    tried = peer.detector(kind, settings.config, shape, session.variables)
    if not any(isinstance(took, float) for took in tried.values()):
        rows = [("setting", "why it does not run"), *((k, str(x)[:60]) for k, x in tried.items())]
        yield Section(title, rows, {f"{PEER}_tried": dict(tried)})
        return
    held = {}
    if ours is not None:
        peer.memory(name)
    side = settings.detector.name
    timings = take_turns({side: program.run, PEER: peer.runner(name)}, settings.steps)
    if ours is not None:
        held = {side: ours, PEER: Memory(**peer.memory(name))}
    peer.drop(name)
    yield _speed(title, shape, timings, held, tried)


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


def _agreement(
    title: str, first: list[Difference], by_default: list[Difference] | None = None
) -> Section:
    """Differences as shares of the largest value; a second column for the device's own default."""
    head = ("", "largest value", "largest difference", "relative")
    rows: list[tuple[str, ...]] = [head if by_default is None else (*head, "at default precision")]
    numbers: dict[str, Any] = {}
    for place, each in enumerate(first):
        row = (each.name, f"{each.largest:.4g}", f"{each.error:.2g}", f"{each.relative:.1e}")
        numbers[each.name] = {"largest": _finite(each.largest), "error": _finite(each.error)}
        if by_default is not None:
            row += (f"{by_default[place].relative:.1e}",)
            error = by_default[place].error
            numbers[each.name]["error_at_default_precision"] = _finite(error)
        rows.append(row)
    return Section(title, rows, numbers)


def _finite(number: float) -> float | None:
    """The number for a JSON file, which has no word for those that are not finite."""
    return number if math.isfinite(number) else None


def _speed(
    name: str,
    shape: Shape,
    timings: Mapping[str, Timing],
    held: Mapping[str, Memory] | None = None,
    tried: Tried | None = None,
) -> Section:
    """How fast, and with how much memory."""
    rows, numbers = speeds(shape, timings)
    if tried:
        (ours,) = (timing for side, timing in timings.items() if side != PEER)
        rows.append(("ratio", ratio(ours, timings[PEER]), "", ""))
        rows += map(_trial, tried.items())
        numbers["times_as_fast"] = timings[PEER].median / ours.median
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
    return Section(f"{name}: stages, from a profile", rows_of(table), numbers_of(table))


def _gates(title: str, timings: dict[str, Timing]) -> Section:
    """The exact step beside the approximate one."""
    exact = timings["exact"].median / timings["approximate"].median
    rows: list[tuple[str, ...]] = [("gate", "ms", "half of the steps")]
    rows += [(side, *milliseconds(timing)) for side, timing in timings.items()]
    rows.append(("exact over approximate", f"{exact:.3f}", ""))
    numbers = {side: timing.numbers() for side, timing in timings.items()}
    return Section(title, rows, {**numbers, "exact_over_approximate": exact})


SUITES = {
    "check": check,
    "train": train,
    "predict": predict,
    "stages": stages,
    "gate": gate,
    "ops": detector_ops,
    "input": input_pipeline,
    "eval": evaluation,
    "start": start,
}
"""By the words of --what, in the order in which they are measured."""
