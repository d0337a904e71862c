"""What ``train.py --help`` and ``--help-all`` print."""

import pathlib
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from jaxrcnn.cli.arguments.pieces import DEFAULT, HELP
from jaxrcnn.cli.field_help import NO_BREAK_SPACE, FieldHelp, field_help
from jaxrcnn.cli.flags import PREFIX
from jaxrcnn.config import Config

Section = tuple[str, Sequence[str]]
"""A title, and the fields under it by their dotted names."""

COMMON_FIELDS: tuple[Section, ...] = (
    (
        "Data",
        (
            "data.format",
            "data.root",
            "data.train_splits",
            "data.eval_split",
            "data.classes",
            "data.short_side",
            "data.long_side",
            "data.horizontal_flip",
            "data.workers",
        ),
    ),
    (
        "Model",
        (
            "model.num_classes",
            "model.compute_dtype",
            "model.backbone.name",
            "model.backbone.norm",
            "model.backbone.frozen_stages",
            "model.rpn.samples",
            "model.proposals.stop_gradient",
            "model.box_head.samples",
            "model.detections.score_threshold",
            "model.detections.max_detections",
        ),
    ),
    (
        "Training",
        (
            "seed",
            "train.scheme",
            "train.init",
            "train.batch_size",
            "train.steps",
            "train.log_every",
            "train.eval_every",
            "train.checkpoint_every",
            "train.keep_best",
        ),
    ),
    (
        "Optimiser",
        (
            "train.optimizer.name",
            "train.optimizer.learning_rate",
            "train.optimizer.warmup_steps",
            "train.optimizer.schedule",
            "train.optimizer.milestones",
            "train.optimizer.weight_decay",
        ),
    ),
    ("Evaluation", ("eval.metric", "eval.batch_size")),
)
"""The fields that people set most, which --help shows."""

INTRODUCTION = """\
usage: train.py [--config FILE] [--workdir DIR] [--pieces MODULE:FUNCTION]
                [--config.FIELD VALUE ...]

Train a detector. An interrupted run continues from its last checkpoint when it
is started again with the same --workdir.

  python train.py --config.train.steps 2000
  python train.py --config configs/coco_r50_fpn_1x.py --config.data.root DIR

Separate several values by spaces, or write them as one Python literal:

  --config.data.train_splits VOC2007/trainval VOC2012/trainval
  --config.model.anchors.sizes '((8,), (16,), (32,), (64,), (128,))'
"""

MOST_COLUMNS = 100
"""Width of the help on terminals that are wider; longer lines are hard to read."""

FEWEST_COLUMNS = 90
"""On narrower terminals each text stands below its flag and not beside it."""


def train_help(
    config_file: pathlib.Path, workdir: pathlib.Path, config: Config, *, all_fields: bool
) -> str:
    """The help text, wrapped to the terminal's width.

    Args:
        config_file: the default of --config.
        workdir: the default of --workdir.
        config: what config_file holds, the defaults of the fields.
        all_fields: describe every field, or those of `COMMON_FIELDS` only.
    """
    if config_file.is_relative_to(pathlib.Path.cwd()):
        config_file = config_file.relative_to(pathlib.Path.cwd())
    config_text = "Python file with get_config() -> Config, which gives the defaults below."
    workdir_text = "Folder of the run: checkpoints, metrics, plots and config."
    options = (
        ("--config FILE", f"{config_text} (default: {config_file})"),
        ("--workdir DIR", f"{workdir_text} (default: {workdir})"),
        ("--pieces MODULE:FUNCTION", f"{HELP[0].upper()}{HELP[1:]}. (default: {DEFAULT})"),
        ("-h, --help", "Show the most common fields, and exit."),
        ("--help-all", "Show all fields, and exit."),
        ("--version", "Show the version, and exit."),
    )
    fields = field_help(config)
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    lines = [INTRODUCTION, *_section("Options", options, width)]
    for title, names in _by_group(fields) if all_fields else COMMON_FIELDS:
        rows = [(PREFIX + name, fields[name].text) for name in names]
        lines += _section(title, rows, width)
    if not all_fields:
        lines += [
            f"These are the most common of {len(fields)} fields; --help-all shows all of them."
        ]
    return "\n".join(lines)


def _by_group(fields: Mapping[str, FieldHelp]) -> list[Section]:
    """All fields, under what their groups are."""
    groups: dict[str, list[str]] = {}
    for name in fields:
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    return [(fields[names[0]].group, names) for names in groups.values()]


def _section(title: str, rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    """A title and a paragraph for every flag, beside the flag or below it."""
    column = 45 if width >= FEWEST_COLUMNS else 6
    lines = textwrap.wrap(f"{title}:", width)
    for flag, text in rows:
        paragraph = textwrap.wrap(text, width - column, break_on_hyphens=False)
        if len(flag) + 4 <= column:
            lines.append(f"  {flag:{column - 2}}{paragraph.pop(0)}")
        else:
            lines.append(f"  {flag}")
        lines += [" " * column + line for line in paragraph]
    return [*(line.replace(NO_BREAK_SPACE, " ") for line in lines), ""]
