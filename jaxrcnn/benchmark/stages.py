"""Where a step's time goes: by the stages of `jaxrcnn.detector`, forwards and backwards.

The table is made of the scopes that a program's instructions were traced in, and of a profile that
says when each was at work: nothing is guessed from the names of kernels. Its seconds are those of a
clock, so that the rows add up to a step. Instructions that are at work at once have an equal part
of the time each, however many threads they have; the sum of their durations would be more than the
time that passed. On a CPU, waiting for a thread counts as work.

A program that comes from jax's persistent cache has the scopes of the source that filled the cache:
set JAX_COMPILATION_CACHE_INCLUDE_METADATA_IN_KEY=1 after changing them.
"""

import os
import pathlib
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxrcnn.benchmark.trace import Event, busy_seconds, events_of
from jaxrcnn.curves import clean_axes
from jaxrcnn.training.hlo import Program, op_names, read_programs

STAGES = {
    "clean": ("clean",),
    "draw_keys": ("draw_keys",),
    "normalise": ("normalise",),
    "backbone": ("backbone",),
    "neck": ("backbone", "fpn"),
    "rpn_head": ("rpn_head",),
    "concatenate_levels": ("concatenate_levels",),
    "propose": ("propose",),
    "propose, nms": ("propose", "nms"),
    "sample_rois": ("sample_rois",),
    "gate": ("gate",),
    "pool_rois": ("pool_rois",),
    "box_head": ("box_head",),
    "split_images": ("split_images",),
    "mine_hard_examples": ("mine_hard_examples",),
    "sample_anchors": ("sample_anchors",),
    "rpn_losses": ("rpn_losses",),
    "box_head_losses": ("box_head_losses",),
    "wrong_outputs": ("wrong_outputs",),
    "update": ("update",),
    "metrics": ("metrics",),
    "detect": ("detect",),
    "detect, nms": ("detect", "nms"),
}
"""The rows, and the scopes that all stand in the name of an instruction of a row. Where several
rows fit, the one of most scopes has it: backbone is the backbone without its neck."""

OTHER = "other"
"""The row of instructions in no scope."""

NO_SCOPES = ("while", "body", "cond", "scan", "closed_call", "checkpoint", "shard_map", "core_call")
"""What jax itself writes between the scopes; beside them "branch_0_fun" and its like."""

IDLE = "idle"
"""The row of the time in which the program is not at work: the host prepares or waits."""


class StageTime(NamedTuple):
    """A row of the table, seconds of a step."""

    stage: str
    forward: float
    backward: float

    @property
    def total(self) -> float:
        """Of both directions."""
        return self.forward + self.backward


class Operation(NamedTuple):
    """An instruction's part of a step."""

    stage: str
    instruction: str  # with its program
    op_name: str
    seconds: float


class StageTable(NamedTuple):
    """Where the time of a step went."""

    rows: tuple[StageTime, ...]  # as `STAGES`, then others; those that took time; other and idle
    seconds: float  # a step takes, which the rows add up to
    operations: tuple[Operation, ...]  # from the largest


MOST_OPERATIONS = 40
"""Operations in `numbers_of`."""


def numbers_of(table: StageTable) -> dict[str, Any]:
    """The table and its largest operations for a JSON file, in milliseconds."""
    return {
        "step_ms": 1e3 * table.seconds,
        "stages": {
            row.stage: {"forward_ms": 1e3 * row.forward, "backward_ms": 1e3 * row.backward}
            for row in table.rows
        },
        "operations": [
            {
                "ms": 1e3 * operation.seconds,
                "stage": operation.stage,
                "instruction": operation.instruction,
                "op_name": operation.op_name,
            }
            for operation in table.operations[:MOST_OPERATIONS]
        ],
    }


def table_from(numbers: Mapping[str, Any]) -> StageTable:
    """The table that `numbers_of` wrote, without its operations."""
    rows = tuple(
        StageTime(stage, row["forward_ms"] / 1e3, row["backward_ms"] / 1e3)
        for stage, row in numbers["stages"].items()
    )
    return StageTable(rows, numbers["step_ms"] / 1e3, ())


def stage_table(run: Callable[[], object], steps: int) -> StageTable:
    """Profile steps.

    Args:
        run: makes one, waits for what it gives, and has been called before: nothing is compiled.
        steps: how often to call it.
    """
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # it would hold up the host
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            began = time.perf_counter()
            for _ in range(steps):
                run()
            seconds = time.perf_counter() - began
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        profile = path.read_bytes()
    program = read_programs(profile)
    events = events_of(jax.profiler.ProfileData.from_serialized_xspace(profile), program)
    return tabulate(program, events, seconds, steps)


def tabulate(program: Program, events: Iterable[Event], seconds: float, steps: int) -> StageTable:
    """The table of so many steps, which took so many seconds together."""
    names = op_names(program)
    operations = [
        Operation(stage_of(names[instruction]), instruction, names[instruction], spent / steps)
        for instruction, spent in busy_seconds(program, events).items()
    ]
    sums: defaultdict[tuple[str, bool], float] = defaultdict(float)
    for operation in operations:
        sums[operation.stage, "transpose(" in operation.op_name] += operation.seconds
    own = sorted({operation.stage for operation in operations} - {*STAGES, OTHER})
    stages = (*STAGES, *own, OTHER)
    rows = [StageTime(stage, sums[stage, False], sums[stage, True]) for stage in stages]
    idle = seconds / steps - sum(row.total for row in rows)
    rows = [row for row in rows if row.total or row.stage == OTHER]
    rows.append(StageTime(IDLE, idle, 0.0))
    operations.sort(key=lambda operation: -operation.seconds)
    return StageTable(tuple(rows), seconds / steps, tuple(operations))


def stage_of(op_name: str) -> str:
    """The row of an operation: of the detector's scopes, or else the first other that it is in."""
    scopes = set(re.split(r"[/();]", op_name))
    fitting = [stage for stage, needed in STAGES.items() if scopes.issuperset(needed)]
    return max(fitting, key=lambda stage: len(STAGES[stage]), default=_own_scope(op_name))


def _own_scope(op_name: str) -> str:
    """The outermost scope in a name such as "jit(train_step)/transpose(jvp(mine))/while/body/add".

    A scope of a fork's own: what it named, or a module that it applied.
    """
    program, *parts = re.split(r"/(?![^(]*\))", op_name.partition(";")[0])
    for part in parts[:-1] if program.startswith("jit(") else ():  # the last is the operation
        scope = part
        while wrapped := re.fullmatch(r"\w+\((.*)\)", scope):
            scope = "" if scope.startswith(("jit(", "pjit(")) else wrapped[1]
        if scope and scope not in NO_SCOPES and not re.fullmatch(r"branch_\d+_fun", scope):
            return scope
    return OTHER


def rows_of(table: StageTable) -> list[tuple[str, ...]]:
    """The table for a terminal, in milliseconds; stages of less than a thousandth are left out."""
    forward, backward = (sum(times) for times in _directions(table.rows))
    return [
        ("ms", " forward", "backward", "   total", "  share"),
        *(
            (
                row.stage,
                *(f"{1e3 * x:8.1f}" for x in (row.forward, row.backward, row.total)),
                f"{100 * row.total / table.seconds:5.1f} %",
            )
            for row in (*_shown(table), StageTime("a step", forward, backward))
        ),
    ]


def plot_stages(table: StageTable, path: str | os.PathLike[str], title: str) -> None:
    """Draw the rows of `rows_of` as bars, the backward pass behind the forward pass.

    Args:
        table: what to draw.
        path: the image, e.g. a .png.
        title: what was measured, and where.
    """
    from matplotlib.figure import Figure

    rows = _shown(table)
    figure = Figure(figsize=(9, 0.9 + 0.3 * len(rows)), dpi=120, layout="constrained")
    axes = figure.subplots()
    stages = [row.stage for row in rows]
    forward, backward = ([1e3 * x for x in times] for times in _directions(rows))
    axes.barh(stages, forward, color="#2185ee", label="forward")
    axes.barh(stages, backward, left=forward, color="#ff7a1a", label="backward")
    for place, row in enumerate(rows):
        axes.annotate(
            f"{1e3 * row.total:.1f} ms, {100 * row.total / table.seconds:.0f} %",
            (1e3 * row.total, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color="#333333",
        )
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2e3 * max(row.total for row in rows))
    axes.set_xlabel(f"ms of {1e3 * table.seconds:.0f} a step", fontsize=9)
    if any(backward):
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    clean_axes(axes, title)
    axes.set_axisbelow(True)
    axes.grid(axis="y", visible=False)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.2)


def _shown(table: StageTable) -> list[StageTime]:
    """The rows that are no less than a thousandth of a step."""
    return [row for row in table.rows if row.total >= table.seconds / 1000]


def _directions(rows: Sequence[StageTime]) -> tuple[list[float], list[float]]:
    """Seconds of rows, forwards and backwards."""
    return [row.forward for row in rows], [row.backward for row in rows]
