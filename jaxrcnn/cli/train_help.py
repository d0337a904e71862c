"""What ``jaxrcnn train --help`` and ``--help-all`` print."""

import pathlib
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from jaxrcnn.cli.arguments import CONFIG
from jaxrcnn.cli.arguments.pieces import DEFAULT, HELP
from jaxrcnn.cli.field_help import NO_BREAK_SPACE, FieldHelp, field_help
from jaxrcnn.cli.flags import PREFIX
from jaxrcnn.cli.hosts import HELP as HOSTS
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
            "data.augment",
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
            "train.epochs",
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
usage: {program} [DATA ...] [--from SOURCE] [--config CONFIG] [--workdir DIR]
       {indent} [--pieces MODULE:FUNCTION] [--config.FIELD VALUE ...]

Train a detector. An interrupted run continues from its last checkpoint when it
is started again with the same --workdir.

  {call} my_images
      fine-tunes a detector on a folder of labelled images
  {call} my_images --from runs/other --config.train.epochs 20
      starts from the weights of another run
  {call} --config coco_r50_fpn_1x --config.data.root DIR
      trains the detector of a config

Separate several values by spaces, or write them as one Python literal:

  --config.data.train_splits VOC2007/trainval VOC2012/trainval
  --config.model.anchors.sizes '((8,), (16,), (32,), (64,), (128,))'
"""

DATA = (
    "folder of labelled images, in any format that docs/data.md lists; several are joined. Values "
    "that depend on the images and the machine (classes, image size, anchors, batch size, epochs) "
    "are derived and printed with the reasons; those that you set are kept"
)
FROM = (
    "initial weights: published ones such as fasterrcnn_resnet50_fpn:COCO_V1, a weight file, or "
    "the folder of a run or a model; with DATA, all fields that the weights were trained with are "
    "taken from them. 'none' starts from random weights. The default with DATA is a detector that "
    "torchvision trained on COCO, which is downloaded once: a MobileNetV3 on a CPU, a ResNet-50 "
    "FPN on a GPU or TPU"
)
FROM_STRICT = (
    "train even if fields differ from those that the initial weights were trained with, and list "
    "the differences"
)

MOST_COLUMNS = 100
"""Width of the help on terminals that are wider; longer lines are hard to read."""

FEWEST_COLUMNS = 90
"""On narrower terminals each text stands below its flag and not beside it."""


def train_help(
    source: str,
    workdir: pathlib.Path,
    config: Config,
    *,
    program: str = "train.py",
    all_fields: bool,
) -> str:
    """The help text, wrapped to the terminal's width.

    Args:
        source: the default of --config.
        workdir: the default of --workdir.
        config: what the source holds, the defaults of the fields.
        program: train.py or jaxrcnn train.
        all_fields: describe every field, or those of `COMMON_FIELDS` only.
    """
    config_text = f"{_sentence(CONFIG)} It gives the defaults below."
    workdir_text = "Folder of the run: checkpoints, metrics, plots and config."
    options = (
        ("DATA", _sentence(DATA)),
        ("--from SOURCE", _sentence(FROM)),
        ("--from-strict False", _sentence(FROM_STRICT)),
        ("--config CONFIG", f"{config_text} (default: {source})"),
        ("--workdir DIR", f"{workdir_text} (default: {workdir})"),
        ("--pieces MODULE:FUNCTION", f"{_sentence(HELP)} (default: {DEFAULT})"),
        ("--distributed auto", _sentence(HOSTS["distributed"])),
        ("--coordinator HOST:PORT", _sentence(HOSTS["coordinator"])),
        ("--processes N", _sentence(HOSTS["processes"])),
        ("--process I", _sentence(HOSTS["process"])),
        ("-h, --help", "Show the most common fields, and exit."),
        ("--help-all", "Show all fields, and exit."),
        ("--version", "Show the version, and exit."),
    )
    fields = field_help(config)
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    call = f"python {program}" if program.endswith(".py") else program
    introduction = INTRODUCTION.format(program=program, indent=" " * len(program), call=call)
    lines = [introduction, *_section("Options", options, width)]
    for title, names in _by_group(fields) if all_fields else COMMON_FIELDS:
        rows = [(PREFIX + name, fields[name].text) for name in names]
        lines += _section(title, rows, width)
    if not all_fields:
        lines += [
            f"These are the most common of {len(fields)} fields; --help-all shows all of them."
        ]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    """The help of an option of argparse, which begins with a small letter, as a sentence."""
    return f"{text[0].upper()}{text[1:]}."


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
