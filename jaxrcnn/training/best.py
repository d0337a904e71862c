"""Which evaluated state of a run is the best, and when training ends because none gets better.

Both follow from the lines of metrics.jsonl, so that a resumed run decides as an uninterrupted one.
"""

import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.training.checkpoint import Checkpoint
from jaxrcnn.training.history import read_history
from jaxrcnn.training.metrics import read_rows
from jaxrcnn.wording import counted

DECIDES = ("train.keep_best", "eval.metric", "fingerprint.evaluation")
"""What says which score counts, as history.json calls it; after a change, earlier evaluations do
not count."""


class Best(NamedTuple):
    """The best evaluation of a run so far."""

    step: int
    score: float


class BestSoFar:
    """Compares evaluations by train.keep_best; without it, none is ever the best.

    Higher is better, except for a loss. Of equal scores, the earlier one is the best. A score that
    is undefined never is.

    Args:
        config: of the run.
        rows: lines of metrics.jsonl so far; those without scores are skipped.
    """

    def __init__(self, config: Config, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._metric, self._patience = config.train.keep_best, config.train.patience
        self.best: Best | None = None
        self._later = 0  # evaluations after the best one
        for row in rows:
            if any(name.startswith("eval/") for name in row):
                self.add(row["step"], row)

    def add(self, step: int, metrics: Mapping[str, Any]) -> bool:
        """Take the metrics of an evaluation; whether it is the best so far."""
        score = metrics.get(self._metric)
        if score is not None and math.isfinite(score) and self._is_better(score):
            self.best, self._later = Best(step, float(score)), 0
            return True
        self._later += 1
        return False

    def _is_better(self, score: float) -> bool:
        if self.best is None:
            return True
        return score < self.best.score if "loss" in self._metric else score > self.best.score

    @property
    def is_over(self) -> bool:
        """Whether training ends: train.patience evaluations in a row were not better."""
        return 0 < self._patience <= self._later

    def describe_end(self, step: int) -> str:
        """Why training ended after a step, in one line."""
        than = f" than {self.best.score:.3f} at step {self.best.step}" if self.best else ""
        return (
            f"training ended at step {step}: {counted(self._later, 'evaluation')} without a better "
            f"{self._metric}{than} (train.patience={self._patience})"
        )


def best_so_far(workdir: pathlib.Path, config: Config) -> BestSoFar:
    """Compare the evaluations of a run's metrics.jsonl so far.

    Raises:
        ConfigError: metrics.jsonl or history.json cannot be read.
    """
    changed = [change.step for change in read_history(workdir) if change.field in DECIDES]
    since = max(changed, default=0)
    rows = read_rows(workdir / "metrics.jsonl")
    return BestSoFar(config, (row for row in rows if row["step"] >= since))


def check_metric(config: Config, names: Iterable[str]) -> None:
    """See that train.keep_best, if given, is a metric of the evaluation.

    Args:
        config: of the run.
        names: of the evaluation's metrics.

    Raises:
        ConfigError: it is none of them; lists them.
    """
    wanted, names = config.train.keep_best, sorted(x for x in names if x.startswith("eval/"))
    if wanted and wanted not in names:
        raise ConfigError(
            f"train.keep_best={wanted} is not a metric of this evaluation, which has "
            f"{', '.join(names)}"
        )


def choose(
    workdir: pathlib.Path,
    config: Config,
    steps: Sequence[int],
    checkpoint: Checkpoint | None = None,
) -> tuple[int | None, str]:
    """Which step of a run to use, and the metric by which it is the best, empty if it is not.

    Args:
        workdir: the run's folder.
        config: of the run.
        steps: of its checkpoints, ascending.
        checkpoint: "best", "last" or a step; by default the best where there is one, else the last.

    Returns:
        The step, None if there are no checkpoints, and the metric.

    Raises:
        ConfigError: the best one is asked for, but there is none, its checkpoint is missing, or
            something else is asked for.
    """
    is_step = isinstance(checkpoint, int) and not isinstance(checkpoint, bool)
    if not is_step and checkpoint not in ("best", "last", None):
        raise ConfigError(f"checkpoint={checkpoint!r} must be 'best', 'last' or a step")
    metric = config.train.keep_best
    best = best_so_far(workdir, config).best
    if checkpoint == "best" and best is None:
        why = f"no evaluation has {metric} yet" if metric else "train.keep_best was not set"
        raise ConfigError(f"{workdir} has no best checkpoint ({why}): use the last, or a step")
    if best is not None and checkpoint in ("best", None):
        if best.step not in steps:
            there = ", ".join(map(str, steps)) or "none"
            raise ConfigError(
                f"{workdir / 'checkpoints'} lacks the checkpoint of step {best.step}, the best by "
                f"{metric}; available: {there}"
            )
        return best.step, metric
    step = checkpoint if isinstance(checkpoint, int) else max(steps, default=None)
    return step, metric if best is not None and step == best.step else ""
