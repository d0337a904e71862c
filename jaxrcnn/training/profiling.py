"""A trace of some of a run's steps, in which the programs' work is called by its scopes."""

import gzip
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax

from jaxrcnn.config import Config
from jaxrcnn.training.hlo import Owners, op_names, read_programs
from jaxrcnn.training.hosts import is_first

PERFETTO = "perfetto_trace.json.gz"


class Profiler:
    """Traces the steps of a run that config.profile asks for, into the workdir's folder profile.

    The work of earlier steps is done when the trace begins, and that of its own when it ends. Of
    several processes, the first traces its own work.

    Args:
        config: of the run.
        workdir: its folder.
        say: called once, with where the trace is, or why there is none.
        first_step: steps that were done before, in the run that is resumed.
    """

    def __init__(
        self, config: Config, workdir: pathlib.Path, say: Callable[[str], None], first_step: int
    ) -> None:
        wanted = config.profile
        self._folder, self._say = workdir / "profile", say
        self._start, self._end = wanted.start, wanted.start + wanted.steps
        self._active = False
        if wanted.steps and first_step > wanted.start:
            say(
                f"profile: none, the run goes on from step {first_step}, and profile.start is "
                f"{wanted.start}"
            )

    def begin(self, done: int, state: Any) -> None:
        """Begin the trace if it belongs behind so many steps, which gave the state."""
        if done != self._start or self._start == self._end:
            return
        jax.block_until_ready(state)
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # every call of Python would hold up the steps
        if is_first():
            jax.profiler.start_trace(self._folder, profiler_options=options)
        self._active = True

    def ends(self, done: int) -> bool:
        """Whether the trace ends behind so many steps."""
        return self._active and done == self._end

    def end(self, state: Any) -> None:
        """End the trace, write it and say where it is."""
        jax.block_until_ready(state)
        self.close()
        if not is_first():
            return
        path = max(self._folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
        perfetto = write_perfetto_trace(path)
        self._say(
            f"profile: steps {self._start + 1} to {self._end}; open {perfetto} at "
            f"https://ui.perfetto.dev, or see all of it by: xprof --logdir {self._folder}"
        )

    def close(self) -> None:
        """End the trace, if it was begun: another may begin then."""
        if self._active and is_first():
            jax.profiler.stop_trace()
        self._active = False


def write_perfetto_trace(path: pathlib.Path) -> pathlib.Path:
    """Write a profile for https://ui.perfetto.dev, in the file `PERFETTO` beside it.

    An instruction of a compiled program is called by its scopes and operation, such as
    "jit(train_step)/transpose(jvp(backbone))/Backbone/body/conv1/dot_general", and a step by its
    number; jax's own trace for Perfetto calls the one "fusion.7", and the other "train".

    Args:
        path: an .xplane.pb file.

    Returns:
        The file.
    """
    profile = path.read_bytes()
    program = read_programs(profile)
    names = op_names(program)
    planes = jax.profiler.ProfileData.from_serialized_xspace(profile)
    owners = Owners(planes, program)
    events: list[dict[str, Any]] = []
    for process, plane in enumerate(planes.planes, 1):
        events.append(_title("process_name", plane.name, pid=process))
        for thread, line in enumerate(plane.lines, 1):
            events.append(_title("thread_name", line.name, pid=process, tid=thread))
            for event in line.events:
                statistics = dict(event.stats)
                name = names.get(owners.name(statistics)) or _step_name(event.name, statistics)
                events.append(
                    {
                        "ph": "X",
                        "name": name,
                        "pid": process,
                        "tid": thread,
                        "ts": event.start_ns / 1e3,
                        "dur": event.duration_ns / 1e3,
                        "args": {"event": event.name, **statistics},
                    }
                )
    written = path.with_name(PERFETTO)
    with gzip.open(written, "wt", encoding="utf-8") as file:
        json.dump({"traceEvents": events}, file, default=str)
    return written


def _title(kind: str, name: str, **place: int) -> dict[str, Any]:
    return {"ph": "M", "name": kind, **place, "args": {"name": name}}


def _step_name(name: str, statistics: dict[str, Any]) -> str:
    return f"{name} {statistics['step_num']}" if "step_num" in statistics else name
