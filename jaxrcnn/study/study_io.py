"""A study as JSON."""

import dataclasses
import json
from typing import Any

from jaxrcnn.config import ConfigError
from jaxrcnn.study.results import Failure, Point, RunResult, Study

VERSION = 2
"""Of the layout of study.json; 1 called a point's images pictures."""


def to_json(study: Study) -> str:
    """The study as indented JSON.

    Raises:
        ValueError: a number is not finite; those that `read_run` reads are.
    """
    tree = {"version": VERSION, **dataclasses.asdict(study)}
    return json.dumps(tree, indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> Study:
    """The inverse of `to_json`.

    Raises:
        ConfigError: the text is no study.json of this version.
    """
    try:
        tree = json.loads(text)
        version = tree.pop("version")
        study = _study(tree) if version in (1, VERSION) else None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ConfigError(f"study.json cannot be read ({type(error).__name__}: {error})") from error
    if study is None:
        raise ConfigError(f"study.json has version {version}; this program reads {VERSION}")
    return study


def _study(tree: dict[str, Any]) -> Study:
    return Study(
        **{
            **tree,
            "schemes": tuple(tree["schemes"]),
            "seeds": tuple(tree["seeds"]),
            "runs": tuple(_run(run) for run in tree["runs"]),
        }
    )


def _run(tree: dict[str, Any]) -> RunResult:
    return RunResult(
        **{
            **tree,
            "failure": None if tree["failure"] is None else Failure(**tree["failure"]),
            "phase_starts": tuple(tree["phase_starts"]),
            "points": tuple(_point(point) for point in tree["points"]),
            "losses": tuple((step, loss) for step, loss in tree["losses"]),
            "diagnostics": tuple(tree["diagnostics"]),
        }
    )


def _point(tree: dict[str, Any]) -> Point:
    if "pictures" in tree:
        tree["images"] = tree.pop("pictures")
    return Point(**tree)
