"""Refuses a config that cannot work, in one line that begins with the field's dotted name."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

from jaxrcnn.config import (
    Config,
    ConfigError,
    DataConfig,
    HardExampleConfig,
    ModelConfig,
    ProposalsConfig,
    TrainConfig,
)
from jaxrcnn.config_io import field_values

Rules = Iterator[tuple[bool, str]]
"""Whether something is wrong, and the line that says so."""

AT_LEAST_ONE = (
    "model.num_classes",
    "model.neck.channels",
    "model.rpn.samples",
    "model.proposals.pre_nms_train",
    "model.proposals.pre_nms_test",
    "model.proposals.post_nms_train",
    "model.proposals.post_nms_test",
    "model.roi.output_size",
    "model.box_head.channels",
    "model.box_head.conv_channels",
    "model.box_head.samples",
    "model.detections.max_detections",
    "model.detections.pre_nms",
    "data.short_side",
    "data.long_side",
    "data.train_short_sides",
    "data.num_train_images",
    "data.num_eval_images",
    "train.batch_size",
    "train.steps",
    "train.log_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.optimizer.accumulate",
    "train.optimizer.milestones",
    "eval.batch_size",
)

NOT_NEGATIVE = (
    "seed",
    "model.backbone.frozen_stages",
    "model.backbone.norm_epsilon",
    "model.rpn.channels",
    "model.rpn.convs",
    "model.rpn.box_loss_beta",
    "model.rpn.objectness_weight",
    "model.rpn.box_weight",
    "model.proposals.open_after",
    "model.proposals.open_over",
    "model.proposals.delta_gradient.clip",
    "model.proposals.delta_gradient.clip_norm",
    "model.proposals.min_size",
    "model.roi.sampling_ratio",
    "model.detections.min_size",
    "model.box_head.convs",
    "model.box_head.box_loss_beta",
    "model.box_head.class_weight",
    "model.box_head.box_weight",
    "model.box_head.mining.keep",
    "model.box_head.mining.class_weight",
    "model.box_head.mining.box_weight",
    "model.box_head.mining.max_negatives_per_positive",
    "model.box_head.mining.min_negatives_per_image",
    "data.workers",
    "train.eval_every",
    "train.diagnostics.every",
    "train.optimizer.learning_rate",
    "train.optimizer.reference_batch_size",
    "train.optimizer.weight_decay",
    "train.optimizer.warmup_steps",
    "train.optimizer.clip_norm",
    "eval.images",
    "profile.start",
    "profile.steps",
)

POSITIVE = (
    "model.pixel_std",
    "model.anchors.sizes",
    "model.anchors.ratios",
    "model.rpn.coder_weights",
    "model.box_head.coder_weights",
    "model.detections.soft_nms_sigma",
)

FROM_ZERO_TO_ONE = (
    "model.anchors.offset",
    "model.rpn.foreground_iou",
    "model.rpn.background_iou",
    "model.rpn.foreground_fraction",
    "model.proposals.pooling_gradient",
    "model.proposals.target_gradient",
    "model.proposals.nms_iou",
    "model.proposals.score_threshold",
    "model.box_head.foreground_iou",
    "model.box_head.background_iou",
    "model.box_head.foreground_fraction",
    "model.box_head.mining.nms_iou",
    "model.detections.score_threshold",
    "model.detections.nms_iou",
    "data.horizontal_flip",
    "data.vertical_flip",
    "train.optimizer.warmup_factor",
    "train.optimizer.drop_factor",
)

FROM_ZERO_BELOW_ONE = (
    "model.box_head.dropout",
    "train.optimizer.momentum",
    "train.optimizer.ema_decay",
)

OPEN_GATE = ("pooling_gradient", "target_gradient", "open_after", "open_over", "delta_gradient")

BASIC_BLOCKS = ("resnet18", "resnet34")


def check(config: Config) -> None:
    """Returns if the config can work.

    Raises:
        ConfigError: a number is out of its range, or two fields cannot go together.
    """
    rules = itertools.chain(
        _ranges(config),
        _model(config.model),
        _data(config),
        _given_proposals(config),
        _training(config.train),
        _profile(config),
    )
    for wrong, line in rules:
        if wrong:
            raise ConfigError(line)


def _ranges(config: Config) -> Rules:
    """Of every number, or every number in a tuple."""
    values = field_values(config)
    for name, value in values.items():
        finite = all(isinstance(x, int) or math.isfinite(x) for x in _numbers(value))
        yield not finite, f"{name}: got {value}, takes finite numbers"
    # jax.random.key takes 32 bits and forgets the others.
    yield config.seed >= 2**32, f"seed: got {config.seed}, takes less than 2 ** 32"
    ranges = (
        (AT_LEAST_ONE, lambda x: x >= 1, "at least 1"),
        (NOT_NEGATIVE, lambda x: x >= 0, "at least 0"),
        (POSITIVE, lambda x: x > 0, "more than 0"),
        (FROM_ZERO_TO_ONE, lambda x: 0 <= x <= 1, "0 to 1"),
        (FROM_ZERO_BELOW_ONE, lambda x: 0 <= x < 1, "0 to less than 1"),
    )
    for names, fits, words in ranges:
        for name in names:
            value = values[name]
            yield not all(map(fits, _numbers(value))), f"{name}: got {value}, takes {words}"


def _numbers(value: Any) -> Iterable[float]:
    if isinstance(value, tuple):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int | float) else []


def _model(model: ModelConfig) -> Rules:
    yield from _backbone(model)
    yield from _anchors(model)
    for name, part in (("rpn", model.rpn), ("box_head", model.box_head)):
        yield (
            part.background_iou > part.foreground_iou,
            f"model.{name}.background_iou: got {part.background_iou}, takes at most "
            f"model.{name}.foreground_iou, {part.foreground_iou}",
        )
    yield from _gate(model.proposals)
    yield from _mining(model.box_head.mining)
    yield (
        model.roi.op in ("crop_resize", "warp") and model.roi.sampling_ratio == 0,
        f"model.roi.sampling_ratio: got 0, model.roi.op {model.roi.op} takes at least 1",
    )
    yield (
        model.box_head.name == "res5" and model.neck.name != "c4",
        f"model.box_head.name: res5 goes with model.neck.name c4 only, got {model.neck.name}",
    )


def _gate(proposals: ProposalsConfig) -> Rules:
    """A field of the open gate says nothing while it is closed."""
    values, defaults = field_values(proposals), field_values(ProposalsConfig())
    for name in filter(lambda name: name.startswith(OPEN_GATE), values):
        yield (
            proposals.stop_gradient and values[name] != defaults[name],
            f"model.proposals.{name}: got {values[name]}, goes with "
            "model.proposals.stop_gradient False only",
        )


def _mining(mining: HardExampleConfig) -> Rules:
    """Of a ranking without a loss, and of a least number where there is no limit."""
    yield (
        mining.class_weight == mining.box_weight == 0,
        "model.box_head.mining.class_weight: got 0, takes more than 0 where "
        "model.box_head.mining.box_weight is 0",
    )
    yield (
        mining.min_negatives_per_image > 0 and mining.max_negatives_per_positive == 0,
        f"model.box_head.mining.min_negatives_per_image: got {mining.min_negatives_per_image}, "
        "goes with model.box_head.mining.max_negatives_per_positive above 0 only",
    )


def _backbone(model: ModelConfig) -> Rules:
    backbone, neck = model.backbone, model.neck.name
    vgg, mobilenet = backbone.name == "vgg16", backbone.name == "mobilenet_v3_large"
    yield (
        backbone.frozen_stages > 5,
        f"model.backbone.frozen_stages: got {backbone.frozen_stages}, takes 0 to 5",
    )
    yield (
        backbone.width < 8 or backbone.width % 8 != 0,
        f"model.backbone.width: got {backbone.width}, takes a multiple of 8",
    )
    yield (
        (vgg or mobilenet) and backbone.width != 64,
        f"model.backbone.width: got {backbone.width}, {backbone.name} takes 64 only",
    )
    yield (
        vgg and neck != "c5",
        f"model.neck.name: got {neck}, model.backbone.name vgg16 goes with c5 only",
    )
    yield (
        vgg and backbone.norm != "none",
        f"model.backbone.norm: got {backbone.norm}, vgg16 takes none only",
    )
    yield (
        mobilenet and neck != "fpn",
        f"model.neck.name: got {neck}, model.backbone.name mobilenet_v3_large goes with fpn only",
    )
    yield (
        backbone.dilated_res5 and (vgg or neck != "c5"),
        "model.backbone.dilated_res5: goes with a ResNet and model.neck.name c5 only, "
        f"got {backbone.name} and {neck}",
    )
    yield (
        backbone.stride_in_1x1 and (vgg or mobilenet or backbone.name in BASIC_BLOCKS),
        "model.backbone.stride_in_1x1: goes with the bottlenecks of resnet50 and larger only, got "
        f"{backbone.name}",
    )


def _anchors(model: ModelConfig) -> Rules:
    sizes = model.anchors.sizes
    maps = 1 if model.neck.name != "fpn" else 3 if "mobilenet" in model.backbone.name else 5
    counts = sorted({len(level) for level in sizes})
    yield (
        len(sizes) != maps,
        f"model.anchors.sizes: got sizes for {len(sizes)} levels, "
        f"{model.backbone.name} with {model.neck.name} makes {maps}",
    )
    yield len(counts) > 1, f"model.anchors.sizes: got {counts} sizes a level, takes equally many"
    yield counts == [0], "model.anchors.sizes: got no sizes, takes one or more for a level"
    yield not model.anchors.ratios, "model.anchors.ratios: got nothing, takes one or more"


def _data(config: Config) -> Rules:
    data, classes = config.data, config.data.classes
    yield (
        data.short_side > data.long_side,
        f"data.short_side: got {data.short_side}, takes at most data.long_side, {data.long_side}",
    )
    yield (
        any(side > data.long_side for side in data.train_short_sides),
        f"data.train_short_sides: got {data.train_short_sides}, takes at most data.long_side, "
        f"{data.long_side}",
    )
    yield (
        len(set(classes)) < len(classes),
        f"data.classes: got {classes}, takes every name once",
    )
    yield (
        bool(classes) and len(classes) != config.model.num_classes,
        f"model.num_classes: got {config.model.num_classes}, data.classes names {len(classes)}",
    )
    if data.format != "shapes":
        yield from _files(data)


def _files(data: DataConfig) -> Rules:
    yield not data.root, f"data.root: got nothing, data.format {data.format} takes a folder"
    yield not data.train_splits, "data.train_splits: got nothing, takes one or more"
    yield not data.eval_split, "data.eval_split: got nothing, takes the name of a split"


def _given_proposals(config: Config) -> Rules:
    """Files of proposals go with a Fast R-CNN step that no RPN step stands before."""
    data, train, steps = config.data, config.train, config.train.alternating.steps
    alone = train.scheme == "alternating" and bool(steps) and steps[0].trains == "fast_rcnn"
    files = {"train_proposals": data.train_proposals, "eval_proposals": data.eval_proposals}
    yield (
        alone and not any(files.values()),
        "train.alternating.steps: the first trains fast_rcnn, takes rpn, or data.train_proposals "
        "and data.eval_proposals: it needs proposals",
    )
    for name, file in files.items():
        yield (
            alone and not file,
            f"data.{name}: got nothing, takes a file where train.alternating.steps begins with "
            "fast_rcnn",
        )
        yield (
            bool(file) and not alone,
            f"data.{name}: got {file}, goes with train.scheme alternating only, and "
            "train.alternating.steps that begin with fast_rcnn",
        )


def _alternating(train: TrainConfig) -> Rules:
    name, steps = "train.alternating.steps", train.alternating.steps
    yield not steps, f"{name}: got nothing, takes one or more"
    total = sum(step.steps for step in steps)
    yield (
        train.steps != total,
        f"train.steps: got {train.steps}, takes the sum of {name}, {total}",
    )
    yield any(step.steps < 1 for step in steps), f"{name}: takes at least 1 step each"
    yield (
        bool(steps) and steps[0].backbone == "frozen",
        f"{name}: the first has a frozen backbone, takes pretrained or previous",
    )
    for part in itertools.chain(*(step.restart for step in steps)):
        yield (
            part.split("/")[0] not in ("backbone", "rpn_head", "box_head"),
            f"{name}: got restart {part!r}, takes backbone, rpn_head, box_head or a layer of one",
        )
    warmup = train.optimizer.warmup_steps
    for milestones in (step.milestones for step in steps):
        yield (
            any(a >= b for a, b in itertools.pairwise((warmup - 1, *milestones))),
            f"{name}: got milestones {milestones}, takes ascending steps after "
            f"train.optimizer.warmup_steps, {warmup}",
        )


def _training(train: TrainConfig) -> Rules:
    if train.scheme == "alternating":
        yield from _alternating(train)
    curvature, name = train.diagnostics.curvature, "train.diagnostics.curvature"
    yield (
        curvature and train.diagnostics.every == 0,
        f"{name}: got True, goes with train.diagnostics.every above 0 only",
    )
    yield (
        curvature and train.scheme == "alternating",
        f"{name}: got True, goes with train.scheme joint only: no gradient comes through pooling",
    )
    optimizer, milestones = train.optimizer, train.optimizer.milestones
    yield (
        optimizer.accumulate > train.steps,
        f"train.optimizer.accumulate: got {optimizer.accumulate}, takes at most train.steps, "
        f"{train.steps}",
    )
    yield (
        any(a >= b for a, b in itertools.pairwise(milestones)),
        f"train.optimizer.milestones: got {milestones}, takes ascending steps",
    )
    yield (
        optimizer.schedule == "step" and any(m < optimizer.warmup_steps for m in milestones),
        f"train.optimizer.milestones: got {milestones}, takes steps after "
        f"train.optimizer.warmup_steps, {optimizer.warmup_steps}",
    )


def _profile(config: Config) -> Rules:
    """The steps that are traced are steps of the run."""
    profile, steps = config.profile, config.train.steps
    yield (
        profile.steps > 0 and profile.start >= steps,
        f"profile.start: got {profile.start}, takes less than train.steps, {steps}",
    )
    yield (
        profile.steps > 0 and profile.start + profile.steps > steps,
        f"profile.steps: got {profile.steps}, takes at most {steps - profile.start}, what "
        f"profile.start {profile.start} leaves of train.steps, {steps}",
    )
