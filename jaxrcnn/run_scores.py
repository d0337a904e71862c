"""The scores of a run, as its folder has them and in words."""

import pathlib
from collections.abc import Mapping
from typing import Any

from jaxrcnn.config import Config
from jaxrcnn.training.best import best_so_far
from jaxrcnn.training.metrics import read_rows


def scores(workdir: pathlib.Path, step: int | None = None) -> list[dict[str, Any]]:
    """The evaluations among a run's metrics: all, or those of one step."""
    rows = read_rows(workdir / "metrics.jsonl")
    return [row for row in rows if "eval/loss" in row and step in (None, row["step"])]


def held_out_scores(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics with a score on the test set."""
    return [row for row in read_rows(workdir / "metrics.jsonl") if "test/step" in row]


def score_line(metrics: Mapping[str, float], kind: str = "eval") -> str:
    """The main scores in a few words; their names begin with the kind."""
    names = ("AP", "AP50", "AP75", "mAP", "loss")
    return "  ".join(
        f"{name} {metrics[f'{kind}/{name}']:.3f}"
        for name in names
        if metrics.get(f"{kind}/{name}") is not None
    )


def split_name(config: Config) -> str:
    """What to call the evaluation set."""
    drawn = config.data.format == "shapes" or not config.data.eval_split
    return "the evaluation set" if drawn else config.data.eval_split


def held_out_name(config: Config) -> str:
    """What to call the test set."""
    return config.data.test_split or "the test set"


def describe_result(config: Config, workdir: pathlib.Path) -> list[str]:
    """The score of a run's best state, and that on the test set, a line each if there is one."""
    best, lines = best_so_far(workdir, config).best, []
    for row in scores(workdir, best.step) if best else ():
        split = split_name(config)
        lines.append(
            f"best      step {row['step']}: {score_line(row)}, on {split}, which chose this "
            f"checkpoint ({config.train.keep_best} {row[config.train.keep_best]:.3f})"
        )
    for row in held_out_scores(workdir)[-1:]:
        lines.append(
            f"test      step {row['test/step']:.0f}: {score_line(row, 'test')}, on "
            f"{held_out_name(config)}"
        )
    return lines
