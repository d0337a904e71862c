"""python -m jaxrcnn replay WORKDIR/failure"""

import argparse
from collections.abc import Mapping

from jaxrcnn.cli.pieces import find_build
from jaxrcnn.cli.run import note
from jaxrcnn.training.activity import format_duration
from jaxrcnn.training.blame import Origin
from jaxrcnn.training.failure import Failure, describe_devices
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.replay import Replay, remarks


def main(arguments: argparse.Namespace) -> int:
    """Repeat the step of the folder, and print in which operation it stops being finite.

    Raises:
        ConfigError: it is not such a folder, or the run had other pieces.
    """
    replay = Replay(arguments.folder, find_build(arguments.pieces), say=note)
    failure = replay.failure
    images = ", ".join(name for name in failure.images if name)
    print(f"{replay.folder}: step {failure.step}, with the images {images}")
    print(failure.message)
    for line in remarks(failure.batch):
        print(line)
    with Progress(failure.config.train.steps) as progress:
        with progress.activity("repeating the step", "repeated the step"):
            differs = replay.repeat()
        print(describe_repetition(failure, differs), flush=True)
        with progress.activity("running it operation by operation") as activity:
            origin = replay.find()
    print(f"ran it operation by operation in {format_duration(activity.seconds)}")
    print(*describe_origin(failure, origin), sep="\n")
    return 0


def describe_repetition(failure: Failure, differs: Mapping[str, tuple[float, float]]) -> str:
    """Whether the step gave the same numbers as in the run."""
    if not differs:
        return "the step gives the same numbers as in the run, bit for bit"
    here = describe_devices()
    why = f"; the run had {failure.devices}, and here are {here}" if here != failure.devices else ""
    each = ", ".join(f"{name} {was:.9g} -> {now:.9g}" for name, (was, now) in differs.items())
    return f"the results differ from those of the run{why}: {each}"


def describe_origin(failure: Failure, origin: Origin | None) -> list[str]:
    """In which operation the step stops being finite."""
    if origin is None:
        return [
            "run alone, all operations give finite results: the overflow occurs only where "
            "several are compiled into one"
        ]
    if not origin.operation:
        return [f"not finite before the step: {origin.where}, {origin.output}"]
    lines = [f"first operation with a result that is not finite: {origin.operation}"]
    lines.append(f"  at      {origin.where}")
    lines += [f"  in      {origin.scope}"] if origin.scope else []
    lines += [f"  takes   {words}" for words in origin.inputs]
    lines.append(f"  gives   {origin.output}")
    if origin.place:
        image = ""
        if len(origin.place) > 1 and origin.size == len(failure.images):
            image = f", image {failure.images[origin.place[0]] or 'of padding'}"
        lines.append(f"  first   at {list(origin.place)}{image}")
    return lines
