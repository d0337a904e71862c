"""A study as JSON: small enough to be committed, with a line for each run.

The names of scores and diagnostics are listed once; a run has a row of values for each evaluation
and each measured step, null where a value is missing.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxrcnn.config import ConfigError
from jaxrcnn.opening import read_bytes
from jaxrcnn.study.results import Comparison, Failure, Point, RunResult, Study

VERSION = 3
"""Of the layout of study.json. Earlier ones have an object for each evaluation and each measured
step, and no comparisons; 1 called a point's images pictures."""

POINT = ("step", "images", "seconds")
"""What the row of an evaluation begins with; that of a measured step begins with the step."""

FILE = "study.json"

SCORES, DIAGNOSTICS = "score_names", "diagnostic_names"


def to_json(study: Study) -> str:
    """The study as JSON.

    Raises:
        ValueError: a number is not finite; those that `read_run` reads are.
    """
    tree = dataclasses.asdict(study)
    scores = _names(point["scores"] for run in tree["runs"] for point in run["points"])
    diagnostics = _names(row for run in tree["runs"] for row in run["diagnostics"])
    diagnostics = [name for name in diagnostics if name != "step"]
    for run in tree["runs"]:
        run["points"] = [
            [*(point[name] for name in POINT), *_row(point["scores"], scores)]
            for point in run["points"]
        ]
        run["diagnostics"] = [_row(row, ["step", *diagnostics]) for row in run["diagnostics"]]
    names = {SCORES: scores, DIAGNOSTICS: diagnostics}
    runs = tree.pop("runs")
    lines = {"version": VERSION, **tree, **names, "runs": runs}
    return "{\n" + ",\n".join(f'"{key}": {_text(value)}' for key, value in lines.items()) + "\n}\n"


def _names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _row(values: Mapping[str, float], names: Sequence[str]) -> list[float | None]:
    return [values.get(name) for name in names]


def _text(value: Any) -> str:
    """A value on one line, or a list of objects on a line each."""
    if isinstance(value, tuple | list) and value and isinstance(value[0], dict):
        return "[\n " + ",\n ".join(map(_text, value)) + "\n]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def read_study(folder: pathlib.Path) -> Study | None:
    """The study in a folder, so far; None where there is none.

    Raises:
        ConfigError: its study.json cannot be read.
    """
    path = folder / FILE
    return load_study(path) if path.exists() else None


def load_study(path: pathlib.Path) -> Study:
    """The study in a file.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
    """
    try:
        return from_json(read_bytes(path).decode())
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:  # a ConfigError is a ValueError
        raise ConfigError(f"{path}: {error}") from error


def from_json(text: str) -> Study:
    """The inverse of `to_json`; earlier versions are read too.

    Raises:
        ConfigError: the text is no study.json of these versions.
    """
    try:
        tree = json.loads(text)
        version = tree.pop("version")
        study = _study(tree, version) if version in range(1, VERSION + 1) else None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ConfigError(f"study.json cannot be read ({type(error).__name__}: {error})") from error
    if study is None:
        raise ConfigError(
            f"study.json has version {version}; this program reads versions 1 to {VERSION}"
        )
    return study


def _study(tree: dict[str, Any], version: int) -> Study:
    if version >= 3:
        _expand(tree["runs"], tree.pop(SCORES), ["step", *tree.pop(DIAGNOSTICS)])
    return Study(
        **{
            **tree,
            "schemes": tuple(tree["schemes"]),
            "seeds": tuple(tree["seeds"]),
            "runs": tuple(_run(run) for run in tree["runs"]),
            "comparisons": tuple(_comparison(one) for one in tree.get("comparisons", ())),
        }
    )


def _expand(runs: list[dict[str, Any]], scores: list[str], diagnostics: list[str]) -> None:
    """Make objects of rows, as the earlier versions have them."""
    for run in runs:
        run["points"] = [
            {
                **dict(zip(POINT, row, strict=False)),
                "scores": _values(row[len(POINT) :], scores),
            }
            for row in run["points"]
        ]
        run["diagnostics"] = [_values(row, diagnostics) for row in run["diagnostics"]]


def _values(row: Sequence[float | None], names: Sequence[str]) -> dict[str, float]:
    """The inverse of `_row`."""
    return {name: x for name, x in zip(names, row, strict=True) if x is not None}


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


def _comparison(tree: dict[str, Any]) -> Comparison:
    pairs = {name: tuple(tree[name]) for name in ("seeds", "differences")}
    intervals = {
        name: None if tree[name] is None else tuple(tree[name])
        for name in ("student", "over_seeds", "over_images")
    }
    return Comparison(**{**tree, **pairs, **intervals})
