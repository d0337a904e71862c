"""When the instructions of compiled programs were at work, as a profile says."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from jaxrcnn.training.hlo import Owners, Program, callers


class Event(NamedTuple):
    """An instruction at work."""

    name: str
    start: float  # seconds
    end: float


def events_of(profile: Any, program: Program) -> list[Event]:
    """The events of a program's instructions in a `jax.profiler.ProfileData`."""
    owners = Owners(profile, program)
    planes = {plane.name: plane for plane in profile.planes}
    devices = [plane for name, plane in planes.items() if name.startswith("/device:")]
    on_devices = [event for plane in devices for event, _ in _plane_events(plane, owners)]
    # Beside an accelerator, the host's events of instructions are their launches.
    return on_devices or _until_used(program, _plane_events(planes["/host:CPU"], owners))


def _plane_events(plane: Any, owners: Owners) -> list[tuple[Event, float]]:
    """Of an accelerator's streams, or of a CPU's threads; with each the latest end it can have.

    The event of a CPU's instruction ends when its thread is done with it. Where other threads go on
    with it, an event "end: NAME" of the same number in one of them says when they are done.
    """
    events = [(event, dict(event.stats)) for line in plane.lines for event in line.events]
    ends = {
        (event.name.removeprefix("end: "), statistics.get("_c")): event.end_ns
        for event, statistics in events
        if event.name.startswith("end: ")
    }
    found = []
    for event, statistics in events:
        name = owners.name(statistics)
        if name:
            latest = max(event.end_ns, ends.get((event.name, statistics.get("_p")), 0.0))
            found.append((Event(name, event.start_ns / 1e9, event.end_ns / 1e9), latest / 1e9))
    return found


def _until_used(program: Program, events: Sequence[tuple[Event, float]]) -> list[Event]:
    """The events with their true ends.

    What other threads went on with is done before an instruction begins that uses it. The event
    that says so can come much later: its thread first goes on with what was waiting for it.
    """
    starts: defaultdict[str, list[float]] = defaultdict(list)
    for event, _ in events:
        starts[event.name].append(event.start)
    used_by = _users(program, starts)
    found = []
    for event, latest in events:
        later = [x for name in used_by[event.name] for x in starts[name] if x >= event.end]
        found.append(event._replace(end=min([latest, *later])))
    return found


def _users(program: Program, at_work: Container[str]) -> dict[str, set[str]]:
    """The instructions at work that use one, themselves or through others that take no time."""
    direct: defaultdict[str, set[str]] = defaultdict(set)
    for name, instruction in program.items():
        for operand in instruction.operands:
            direct[operand].add(name)
    found: dict[str, set[str]] = {}
    for name in reversed(list(program)):  # an instruction stands before its users
        users = direct[name]
        through = (found.get(user, set()) for user in users if user not in at_work)
        found[name] = {user for user in users if user in at_work}.union(*through)
    return found


def busy_seconds(program: Program, events: Iterable[Event]) -> dict[str, float]:
    """Seconds of the clock by instruction.

    No moment counts twice. An instruction that calls others (a loop, a branch) has those in which
    none of them is at work. Several at work at once, on a CPU's threads, a GPU's streams or several
    devices, have an equal part of the moment each.
    """
    above = callers(program)
    changes = sorted(
        (when, change, event.name)
        for event in events
        for when, change in ((event.start, 1), (event.end, -1))
    )
    active: Counter[str] = Counter()
    below: Counter[str] = Counter()  # how many of those that it calls are active
    seconds: defaultdict[str, float] = defaultdict(float)
    last = 0.0
    for when, change, name in changes:
        if when > last:
            working = {other: number for other, number in active.items() if not below[other]}
            for other, number in working.items():
                seconds[other] += (when - last) * number / sum(working.values())
            last = when
        active[name] += change
        if not active[name]:
            del active[name]
        for caller in above[name]:
            below[caller] += change
    return dict(seconds)
