"""Where a state comes from: config, software, machine and data. WORKDIR/origin.json says it.

It holds what is of use to repeat a run, and no names of people, machines or folders.
"""

import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxrcnn import __version__
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import config_to_json
from jaxrcnn.opening import read_json
from jaxrcnn.runtime.machine import cores, processor_name, processors
from jaxrcnn.training.history import Change
from jaxrcnn.training.revision import find_revision
from jaxrcnn.writing import replace_text

FILE = "origin.json"

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
VECTOR_UNITS = (
    *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile"),
    *("asimd", "sve", "sve2"),
)
"""What XLA compiles for where a CPU has it, as Linux calls it."""
SETTINGS = (
    *("jax_default_prng_impl", "jax_threefry_partitionable", "jax_default_matmul_precision"),
    *("jax_enable_x64", "jax_disable_most_optimizations"),
)
"""Settings of jax that change draws or numbers."""

Origin = Mapping[str, Any]
"""What origin.json holds: groups of fields, which are plain values."""

NAMES = {
    "settings.XLA_FLAGS": "XLA_FLAGS",
    "machine.platform": "the platform",
    "machine.device_kind": "the kind of device",
    "machine.devices": "the number of devices",
    "machine.processes": "the number of processes",
    "machine.processor": "the processor",
    "machine.cores": "the number of CPU cores",
    "machine.vector_units": "the CPU's vector units",
    "code.revision": "the project's git revision",
}
"""What a line calls a field; others by the last part of their names."""

CPU_ONLY = ("machine.processor", "machine.cores", "machine.vector_units")
"""Fields that the numbers depend on only where a CPU computes them."""


ROUNDING = (
    "batches and random draws stay the same, but results may differ in the last digits, since sums "
    "are computed in another order"
)
ANYTHING = "results may differ from those of a run without this change"


def describe_origin(config: Config, data: Mapping[str, Any]) -> dict[str, Any]:
    """Where the states come from that this process makes.

    Args:
        config: of the run.
        data: what there is to say of its data sets.
    """
    device = jax.devices()[0]
    return {
        "config": {"sha256": hashlib.sha256(config_to_json(config).encode()).hexdigest()},
        "code": {"revision": _revision()},
        "versions": {
            "python": platform.python_version(),
            "jaxrcnn": __version__,
            **dict(map(_version, PACKAGES)),
        },
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "platform": device.platform,
            "device_kind": device.device_kind,
            "devices": jax.device_count(),
            "processes": jax.process_count(),
            "processor": processor_name(),
            "cores": cores(),
            "vector_units": _vector_units(processors()),
        },
        "settings": {
            "XLA_FLAGS": _without_paths(os.environ.get("XLA_FLAGS", "")),
            **{name: jax.config.values.get(name) for name in SETTINGS},
        },
        "data": dict(data),
    }


def _revision() -> str | None:
    found = find_revision()
    if found is None:
        return None
    return found.commit + (" with uncommitted changes" if found.changed else "")


def _version(package: str) -> tuple[str, str | None]:
    try:
        return package, importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # put in the path without being installed
        return package, None


def _vector_units(described: str) -> str:
    """Those of a machine, from Linux's description of it."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", described, re.MULTILINE)
    has = set(found[1].split()) if found else set()
    return " ".join(name for name in VECTOR_UNITS if name in has)


def _without_paths(flags: str) -> str:
    return " ".join(flag for flag in flags.split() if not re.search(r"[/\\]", flag))


def read_origin(workdir: pathlib.Path) -> Origin | None:
    """Where a run's states come from; None for a run of an earlier version.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = workdir / FILE
    try:
        tree = read_json(path)
        return {group: dict(fields) for group, fields in tree.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}): delete it to go on without the comparison of "
            "machines and versions"
        ) from error


def write_origin(workdir: pathlib.Path, origin: Origin) -> None:
    """Write origin.json, whole or not at all."""
    replace_text(workdir / FILE, json.dumps(origin, indent=2) + "\n")


def origin_changes(before: Origin, after: Origin, step: int) -> list[Change]:
    """What has changed of software and machine that results may depend on.

    Args:
        before: of the run so far.
        after: of this process.
        step: steps done.
    """
    on_cpu = after["machine"]["platform"] == before.get("machine", {}).get("platform") == "cpu"
    names = [
        (group, field, f"{group}.{field}")
        for group in ("code", "versions", "machine", "settings")
        for field in after[group]
        if field in before.get(group, {})
    ]
    return [
        Change(step, name, before[group][field], after[group][field])
        for group, field, name in names
        if before[group][field] != after[group][field] and (on_cpu or name not in CPU_ONLY)
    ]


def describe_origin_changes(changes: Sequence[Change]) -> list[str]:
    """A line about another machine, and one about other software, where either has changed."""
    machine = [change for change in changes if change.field.startswith("machine.")]
    other = [change for change in changes if change not in machine]
    return [
        f"from step {some[0].step} on, {', '.join(map(_describe, some))}: {effect}"
        for some, effect in ((machine, ROUNDING), (other, ANYTHING))
        if some
    ]


def _describe(change: Change) -> str:
    """A change in words."""
    name = NAMES.get(change.field, change.field.partition(".")[2])
    return f"{name} is {_value(change.after)} (was {_value(change.before)})"


def _value(value: Any) -> str:
    text = "none" if value is None or value == "" else str(value)
    return text if text.isprintable() else repr(text)  # a file may hold anything
