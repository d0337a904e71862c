"""One job of a study: a process that does one run after another on its own cores.

`python -m jaxrcnn.study.job FD CORES`, started by `jaxrcnn.study.jobs`.
"""

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxrcnn.study.serving import run_job

if TYPE_CHECKING:
    from jaxrcnn.study.plan import Plan, Unit
    from jaxrcnn.study.running import Outcome


def prepare(plan: "Plan", workdir: pathlib.Path) -> Callable[["Unit"], "Outcome"]:
    """Open the data; return the function that does a unit of a study."""
    from jaxrcnn.runtime.process import prepare_output, prepare_process
    from jaxrcnn.study.plan import open_sets
    from jaxrcnn.study.running import run_unit

    prepare_output()
    prepare_process()
    sets = open_sets(plan, workdir)

    def run(unit: "Unit") -> "Outcome":
        print(f"\n{unit}", flush=True)
        return run_unit(plan, unit, workdir, sets)

    return run


if __name__ == "__main__":
    run_job(prepare)
