"""The most memory that this process held; Linux alone says it."""

import pathlib
import re

STATUS = pathlib.Path("/proc/self/status")
RESET = pathlib.Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Count the peak anew from here on, where the system lets it."""
    try:
        RESET.write_text("5")
    except OSError:
        return


def peak_resident() -> int | None:
    """The most bytes that were resident; None where the system does not say."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    except OSError:
        return None
    return 1024 * int(found[1]) if found else None
