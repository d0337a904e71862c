"""The compiled programs in a profile: in which scope was each instruction traced?

A profile holds the programs that ran, in a plane whose content `jax.profiler.ProfileData` does not
show. They are read from the file's bytes: protocol buffers, whose fields have numbers that never
change (xplane.proto, hlo.proto and xla_data.proto of XLA).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Instruction(NamedTuple):
    """One of a compiled program."""

    computation: str  # that it stands in
    op_name: str  # as "jit(f)/transpose(jvp(backbone))/conv1/dot_general"; "" where XLA gives none
    operands: tuple[str, ...]
    calls: tuple[str, ...]  # computations


Program = Mapping[str, Instruction]
"""Instructions by name, those of a computation in order, its root last.

Names begin with the module and its number, as in "jit_train_step(3)/fusion.7", so that the programs
of a profile are one.
"""


def read_programs(profile: bytes) -> Program:
    """All programs of an .xplane.pb file."""
    program: dict[str, Instruction] = {}
    for plane in map(_fields, _fields(memoryview(profile))[1]):  # XSpace.planes
        if _text(plane, 2) != "/host:metadata":  # XPlane.name
            continue
        for entry in map(_fields, plane[4]):  # XPlane.event_metadata
            metadata = _fields(entry[2][0])
            for statistic in map(_fields, metadata[5]):  # XEventMetadata.stats
                for proto in statistic[6]:  # XStat.bytes_value
                    module = _fields(_fields(proto)[1][0])  # HloProto.hlo_module
                    program |= _program(module, prefix=_text(metadata, 2) + "/")
    return program


def _program(module: "_Message", prefix: str) -> Program:
    computations = [_fields(x) for x in module[3]]  # HloModuleProto.computations
    called = {x[5][0]: prefix + _text(x, 1) for x in computations}  # HloComputationProto.id, .name
    placed = [(called[x[5][0]], _fields(y)) for x in computations for y in x[2]]  # .instructions
    names = {x[35][0]: prefix + _text(x, 1) for _, x in placed}  # HloInstructionProto.id, .name
    program = {}
    for computation, instruction in placed:
        op_name = "".join(_text(_fields(x), 2) for x in instruction[7])  # OpMetadata.op_name
        program[names[instruction[35][0]]] = Instruction(
            computation,
            # A parameter is called as an argument, such as "state.step", and that is no scope.
            op_name if "/" in op_name else "",
            tuple(names[x] for x in _integers(instruction[36])),  # .operand_ids
            tuple(called[x] for x in _integers(instruction[38])),  # .called_computation_ids
        )
    return program


_Message = Mapping[int, list[Any]]
"""A decoded message: an integer or the bytes of every value of a field."""


def _fields(message: memoryview) -> _Message:
    fields: defaultdict[int, list[Any]] = defaultdict(list)
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(message, place)
        else:
            size, place = _varint(message, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
            value, place = message[place : place + size], place + size
        fields[number].append(value)
    return fields


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The integer at a place, seven bits in a byte, and the place behind it."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _text(message: _Message, number: int) -> str:
    """A field that is text, empty where it is left out."""
    return bytes(message[number][0]).decode() if message[number] else ""


def _integers(values: Iterable[Any]) -> list[int]:
    """A field of many integers, which lie packed in bytes."""
    found = []
    for packed in values:
        place = 0
        while place < len(packed):
            value, place = _varint(packed, place)
            found.append(value)
    return found


class Owners:
    """Which instruction an event of a profile is of.

    A program from jax's persistent cache runs under the number that it had when it was compiled,
    which may be another's now. So the program of a number's events is the one of their module's
    name that has the most of their instructions; of several, that of the number.

    Args:
        profile: a `jax.profiler.ProfileData`.
        program: all of its programs, as `read_programs` gives them.
    """

    def __init__(self, profile: Any, program: Program) -> None:
        self._program = program
        seen: defaultdict[tuple[Any, Any], set[str]] = defaultdict(set)
        for plane in profile.planes:
            for line in plane.lines:
                for event in line.events:
                    statistics = dict(event.stats)
                    if "hlo_op" in statistics:
                        seen[_number(statistics)].add(statistics["hlo_op"])
        titles = {name.split("/")[0] for name in program}
        self._titles = {
            (module, number): max(
                (title for title in titles if title.startswith(f"{module}(")),
                key=lambda title: (
                    sum(f"{title}/{name}" in program for name in names),
                    title == f"{module}({number})",
                ),
                default="",
            )
            for (module, number), names in seen.items()
        }

    def name(self, statistics: Mapping[str, Any]) -> str:
        """The instruction of an event with these statistics; empty where it is of none."""
        title = self._titles.get(_number(statistics))
        name = f"{title}/{statistics.get('hlo_op')}"
        return name if name in self._program else ""


def _number(statistics: Mapping[str, Any]) -> tuple[Any, Any]:
    return statistics.get("hlo_module"), statistics.get("program_id")


def callers(program: Program) -> dict[str, frozenset[str]]:
    """The instructions that call an instruction's computation, themselves or through others."""
    direct: defaultdict[str, set[str]] = defaultdict(set)
    for name, instruction in program.items():
        for computation in instruction.calls:
            direct[computation].add(name)
    found: dict[str, frozenset[str]] = {}

    def of(computation: str) -> frozenset[str]:
        if computation not in found:
            above = [of(program[caller].computation) for caller in direct[computation]]
            found[computation] = frozenset(direct[computation]).union(*above)
        return found[computation]

    return {name: of(instruction.computation) for name, instruction in program.items()}


def op_names(program: Program) -> dict[str, str]:
    """Every instruction's scopes and operation; what XLA leaves without takes those of a relative.

    The first that has some: what it calls, what uses it last (a copy is kept for that), what it
    uses, what calls it.
    """
    names = {name: instruction.op_name for name, instruction in program.items()}
    inside: defaultdict[str, list[str]] = defaultdict(list)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for name, instruction in reversed(list(program.items())):  # the last first
        inside[instruction.computation].append(name)
        for operand in instruction.operands:
            users[operand].append(name)
    above = callers(program)
    relatives: Sequence[Callable[[str], Iterable[str]]] = (
        lambda name: (callee for called in program[name].calls for callee in inside[called]),
        lambda name: users[name],
        lambda name: program[name].operands,
        lambda name: above[name],
    )
    for related in relatives:
        _spread(names, related)
    return names


def _spread(names: dict[str, str], related: Callable[[str], Iterable[str]]) -> None:
    """Give names to those without, from relative to relative, until no more can be had."""
    unnamed = [name for name in reversed(names) if not names[name]]
    while unnamed:
        for name in unnamed:
            names[name] = next((names[x] for x in related(name) if names[x]), "")
        still = [name for name in unnamed if not names[name]]
        if len(still) == len(unnamed):
            return
        unnamed = still
