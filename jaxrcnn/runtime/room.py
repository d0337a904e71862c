"""How much memory there is: of a device, and of this process on its host."""

import pathlib
import re
from typing import Any, NamedTuple

PROC = pathlib.Path("/proc")
CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Room(NamedTuple):
    """Bytes of memory, and whose limit that is."""

    free: int  # that this process can still take now
    most: int  # that it could take if nothing else ran
    limit: str  # such as "the GPU's memory"


def device_room(device: Any) -> Room | None:
    """The room of an accelerator; None where its backend does not say, as that of a CPU."""
    stats = device.memory_stats()
    if device.platform == "cpu" or not stats or "bytes_limit" not in stats:
        return None
    limit, used = stats["bytes_limit"], stats.get("bytes_in_use", 0)
    return Room(limit - used, limit - used, f"memory of {device.device_kind}")


def host_room() -> Room | None:
    """The room of this process on its host: the least of what limits it; Linux alone says it."""
    rooms = [room for room in (_machine(), _control_group(), _address_space()) if room]
    return min(rooms, key=lambda room: room.free) if rooms else None


def _machine() -> Room | None:
    """The machine's memory, with swap only if nothing else ran."""
    rows = _rows(PROC / "meminfo")
    if "MemAvailable" not in rows:
        return None
    resident = _rows(PROC / "self/status").get("VmRSS", 0)
    most = rows["MemTotal"] + rows.get("SwapTotal", 0) - resident
    return Room(rows["MemAvailable"], most, "memory of this machine")


def _control_group() -> Room | None:
    """The limit of a container or of a scheduler's job, of version 2 or 1."""
    files = [
        (folder / limit, folder / used, folder / "memory.stat")
        for folder, limit, used in _control_group_files()
    ]
    rooms = []
    for limit_file, used_file, stat_file in files:
        limit, used = _number(limit_file), _number(used_file)
        if limit is not None and used is not None and limit < 1 << 60:  # version 1's "no limit"
            stat = re.search(r"^(?:total_)?inactive_file (\d+)$", _text(stat_file), re.MULTILINE)
            free = limit - used + (int(stat[1]) if stat else 0)
            rooms.append(Room(free, free, "memory of the control group (container or job)"))
    return min(rooms, key=lambda room: room.free) if rooms else None


def _control_group_files() -> list[tuple[pathlib.Path, str, str]]:
    """Folders of this process's groups, from the innermost outwards, with their files' names."""
    found = []
    for line in _text(PROC / "self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            root, names = CGROUPS, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, names = CGROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        inner = pathlib.PurePath(path.lstrip("/"))
        found += [(root / folder, *names) for folder in (inner, *inner.parents)]
    return found


def _address_space() -> Room | None:
    """The limit that `ulimit -v` sets."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    free = limit - _rows(PROC / "self/status").get("VmSize", 0)
    return Room(free, free, "address space (ulimit -v)")


def _rows(path: pathlib.Path) -> dict[str, int]:
    """The rows of a file of /proc that are of kB, in bytes."""
    return {name: 1024 * int(x) for name, x in re.findall(r"(\w+):\s+(\d+) kB", _text(path))}


def _number(path: pathlib.Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
