"""What a run's folder contains besides its config: metrics, recall of the proposals, machine."""

import bisect
import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrcnn.config import ConfigError
from jaxrcnn.evaluation.analysis.analyse import FILE as ANALYSIS
from jaxrcnn.opening import read_json
from jaxrcnn.training.origin import read_origin
from jaxrcnn.wording import counted

MOST_LOSSES = 50
"""Training losses of a run that are kept, one or two more with several phases."""

Losses = tuple[tuple[int, float], ...]
"""Steps and ``train/loss``."""


def finite_values(row: Mapping[str, Any], prefix: str, digits: int = 6) -> dict[str, float]:
    """The finite metrics of a row whose names begin with the prefix, without it.

    Args:
        row: of metrics.jsonl.
        prefix: of the names.
        digits: significant ones that are kept, so that study.json stays small.
    """
    return {
        name.removeprefix(prefix): rounded(value, digits)
        for name, value in row.items()
        if name.startswith(prefix) and value is not None and math.isfinite(value)
    }


def rounded(value: float, digits: int) -> float:
    """A number, rounded to this many significant digits."""
    return float(f"{value:.{digits}g}")


def thinned(losses: Losses, phase_starts: Sequence[int]) -> Losses:
    """The losses; if there are more than `MOST_LOSSES`, means of several consecutive ones.

    The step of a mean is the last of its steps. It never spans two phases of alternating training.
    """
    size = math.ceil(len(losses) / MOST_LOSSES)
    groups: list[list[tuple[int, float]]] = []
    before = None
    for step, loss in losses:
        phase = bisect.bisect_left(phase_starts, step)
        if phase != before or len(groups[-1]) == size:
            groups.append([])
        groups[-1].append((step, loss))
        before = phase
    return tuple(
        (group[-1][0], rounded(statistics.fmean(loss for _, loss in group), 6)) for group in groups
    )


def final_recall(folder: pathlib.Path, step: int) -> dict[str, float]:
    """Recall of the proposals over the evaluation set, measured by the evaluation at a step.

    Args:
        folder: of the run.
        step: of the last evaluation.

    Returns:
        ``recall50`` and ``recall70``, the shares of objects that a proposal overlaps with an IoU of
        0.5 and 0.7; empty if the detector has no proposals of its own, or the file is from another
        step or missing, as in runs of earlier versions.

    Raises:
        ConfigError: eval/analysis.json cannot be read.
    """
    path = folder / "eval" / ANALYSIS
    try:
        tree = read_json(path)
        if tree["step"] != step:
            return {}
        recalls = zip(
            tree["recall"]["ious"], tree["recall"]["all"]["all"]["proposals"], strict=True
        )
        return {
            f"recall{100 * iou:.0f}": rounded(one, 6) for iou, one in recalls if one is not None
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path} cannot be read ({type(error).__name__}: {error}); delete it to continue "
            "without the recall of the proposals"
        ) from error


def commit_and_machine(folder: pathlib.Path) -> tuple[str, str]:
    """The git commit and the machine of a run's last start; empty if unknown.

    Raises:
        ConfigError: origin.json cannot be read.
    """
    origin = read_origin(folder) or {}
    commit, machine = origin.get("code", {}).get("revision"), origin.get("machine", {})
    if machine.get("platform") == "cpu":
        kind = f"{machine.get('processor')}, {counted(machine.get('cores'), 'core')}"
    else:
        kind = f"{machine['devices']} x {machine['device_kind']}" if machine else ""
    return commit or "", kind
