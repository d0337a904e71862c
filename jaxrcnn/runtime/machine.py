"""What the machine is, for the readers of a figure and for what is made for it alone."""

import os
import pathlib
import platform
import re


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """The processor's name, where the system tells."""
    found = re.search(r"^model name\s*:\s*(.+)$", processors(), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def processors() -> str:
    """Linux's description of them; empty elsewhere."""
    try:
        return pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
