"""The variants of one config that a study compares."""

import difflib
import hashlib
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import field_types, field_values, replace_fields
from jaxrcnn.detector import build
from jaxrcnn.training.knobs import knobs_of, without_knobs
from jaxrcnn.training.pieces import Build

SHARED = (
    "seed",
    "profile.",
    "eval.",
    *("train.steps", "train.epochs", "train.batch_size", "train.eval_every"),
    *("train.checkpoint_every", "train.keep_best", "train.patience"),
    *("data.format", "data.root", "data.image_roots", "data.train_splits", "data.eval_split"),
    *("data.test_split", "data.val_share", "data.classes", "data.rename", "data.columns"),
    *("data.keep_difficult", "data.voc_one_based", "data.skip_empty", "data.on_error"),
    *("data.max_skipped_share", "data.max_pixels", "data.num_train_images"),
    "data.num_eval_images",
)
"""Fields that all runs of a study share, or prefixes of their names: the data, the length of runs
and how they are scored."""

SAFE = re.compile(r"[\w.=-]+(, [\w.=-]+)*", re.ASCII)
"""Names that a folder can have, once the commas are replaced."""
LONGEST = 100
"""Characters of a folder's name, without the seed."""


class Variant(NamedTuple):
    """One of the things that a study compares."""

    name: str
    config: Config  # of its runs, but for the seed
    build: Build = build  # makes their detector

    def identity(self) -> Hashable:
        """Equal for two variants that train identically."""
        return without_knobs(self.config), knobs_of(self.config), self.config.train.init, self.build

    def program(self) -> Hashable:
        """Equal for two variants that share their compiled programs."""
        return without_knobs(self.config), self.build


def changed(variant: Variant, label: str, fields: Mapping[str, Any]) -> Variant:
    """The variant with other values of some fields; the label is added to its name.

    Raises:
        ConfigError: a field is unknown or one that all runs share, or a value has the wrong type.
    """
    for field in fields:
        if field.startswith(SHARED):
            raise ConfigError(
                f"{field} cannot differ within a study, since all runs share the data, the number "
                f"of steps and how they are scored; set it for all runs with --config.{field}"
            )
    return variant._replace(
        name=joined(variant.name, label), config=replace_fields(variant.config, fields)
    )


def joined(*names: str) -> str:
    """The name of a variant that combines several; an empty name adds nothing."""
    return ", ".join(filter(None, names))


def full_name(field: str) -> str:
    """The dotted name of a field, given it or the last part of it.

    Raises:
        ConfigError: there is no such field, or several.
    """
    known = field_types()
    if field in known:
        return field
    ends = [name for name in known if name.endswith(f".{field}")]
    if len(ends) > 1:
        raise ConfigError(f"{field} is ambiguous: it may be {' or '.join(ends)}")
    if not ends:
        last = {name.rpartition(".")[2]: name for name in known}
        nearest = difflib.get_close_matches(field.rpartition(".")[2], last, n=1)
        hint = "".join(f"; did you mean {last[x]}?" for x in nearest)
        raise ConfigError(f"there is no field {field}{hint}")
    return ends[0]


def short_name(field: str) -> str:
    """The shortest end of a field's dotted name that `full_name` takes for it."""
    parts, known = field.split("."), field_types()
    for first in reversed(range(len(parts))):
        end = ".".join(parts[first:])
        if end in known or sum(name.endswith(f".{end}") for name in known) == 1:
            return end
    return field


def shown(value: Any) -> str:
    """A field's value in a name; the same for all ways to write it."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return "''" if value == "" else str(value)


def varied_fields(variants: Sequence[Variant]) -> tuple[str, ...]:
    """The dotted names of the fields in which variants differ."""
    first, *others = (field_values(variant.config) for variant in variants)
    return tuple(k for k, value in first.items() if any(other[k] != value for other in others))


def check_variants(variants: Sequence[Variant]) -> None:
    """Check that no two variants have the same name or train identically.

    Raises:
        ConfigError: two do.
    """
    names: set[str] = set()
    seen: dict[Hashable, Variant] = {}
    for variant in variants:
        name = variant.name.casefold()  # some file systems take both for the same folder
        if name in names:
            raise ConfigError(f"two variants are called {variant.name!r}")
        names.add(name)
        other = seen.setdefault(variant.identity(), variant)
        if other is not variant:
            raise ConfigError(
                f"{other.name!r} and {variant.name!r} would train identically; "
                f"leave one of them out{_why(other, variant)}"
            )


def _why(*variants: Variant) -> str:
    """Why runs are the same whose configs differ; empty where these do not."""
    differ = [short_name(field) for field in varied_fields(variants)]
    gate = " with a closed gradient gate (stop_gradient=True, or both factors 0)"
    return f": {' and '.join(differ)} has no effect{gate}" if differ else ""


def folder_name(name: str, seed: int) -> str:
    """The name of a run's folder, safe on all file systems and different for different runs."""
    if SAFE.fullmatch(name) and len(name) <= LONGEST:
        return f"{name.replace(', ', '+')}-{seed}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    safe = re.sub(r"[^\w.=-]+", "_", name, flags=re.ASCII)[:LONGEST]
    return f"{safe}-{digest}-{seed}"
