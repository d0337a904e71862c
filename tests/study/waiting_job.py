"""A job for tests: units take as long as their variant's name says, and nothing is trained."""

import os
import signal
import time

from jaxrcnn.config import ConfigError
from jaxrcnn.study.serving import run_job


def prepare(plan, workdir):
    """Of a unit: where it ran. Its name is what it does, and for how many seconds or after what."""

    def run(unit):
        what, *more = unit.variants[0].name.split()
        print(f"{unit} begins", flush=True)
        (workdir / f"{what}-begun").touch()
        began = time.monotonic()
        try:
            if more[:1] == ["after"]:
                until((workdir / f"{more[1]}-begun").exists)
            elif more:
                time.sleep(float(more[0]))
        except KeyboardInterrupt:
            (workdir / f"{what}-saved").touch()
            raise
        if what == "wrong":
            raise ConfigError("this cannot be done")
        if what == "bug":
            raise AssertionError("a bug")
        if what == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid(), sorted(os.sched_getaffinity(0)), began, time.monotonic()

    return run


def until(is_so, seconds=60):
    """Wait for something."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


if __name__ == "__main__":
    run_job(prepare)
