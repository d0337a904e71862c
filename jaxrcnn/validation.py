"""Checks of a config. Each error is one line that begins with the dotted name of a field."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

from jaxrcnn.config import (
    BoxHeadConfig,
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
"""Whether a rule is broken, and the error message for that."""

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
    "data.short_side",
    "data.long_side",
    "data.train_short_sides",
    "data.num_train_images",
    "data.num_eval_images",
    "data.max_pixels",
    "data.max_buckets",
    "train.batch_size",
    "train.steps",
    "train.log_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.max_skipped",
    "train.mesh.fsdp",
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
    "model.box_head.focal_gamma",
    "model.box_head.per_class_weights",
    "model.box_head.class_weight",
    "model.box_head.box_weight",
    "model.box_head.mining.keep",
    "model.box_head.mining.class_weight",
    "model.box_head.mining.box_weight",
    "model.box_head.mining.max_negatives_per_positive",
    "model.box_head.mining.min_negatives_per_image",
    "data.workers",
    "data.read_timeout",
    "train.checkpoint_minutes",
    "train.epochs",
    "train.mesh.data",
    "train.patience",
    "train.watchdog",
    "train.eval_every",
    "train.diagnostics.every",
    "train.optimizer.learning_rate",
    "train.optimizer.reference_batch_size",
    "train.optimizer.weight_decay",
    "train.optimizer.bias_rate_factor",
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
    "train.stop_seconds",
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
    "model.box_head.focal_alpha",
    "model.box_head.mining.nms_iou",
    "model.detections.score_threshold",
    "model.detections.nms_iou",
    "data.horizontal_flip",
    "data.vertical_flip",
    "data.min_visible",
    "data.repeat_threshold",
    "train.optimizer.warmup_factor",
    "train.optimizer.drop_factor",
)

FROM_ZERO_BELOW_ONE = (
    "model.box_head.dropout",
    "data.val_share",
    "data.max_skipped_share",
    "train.optimizer.momentum",
    "train.optimizer.ema_decay",
)

ROOT_CONTENTS = {
    "auto": "the images and their annotations",
    "coco": "annotations/",
    "voc": "Annotations/ and JPEGImages/ (or VOC2007/, for splits such as VOC2007/trainval)",
    "yolo": "data.yaml, or images/ and labels/",
    "table": "the CSV, TSV or Parquet file",
    "imagefolder": "metadata.jsonl",
}

TRACKERS = ("tensorboard", "wandb", "mlflow")

OPEN_GATE = ("pooling_gradient", "target_gradient", "open_after", "open_over", "delta_gradient")

BASIC_BLOCKS = ("resnet18", "resnet34")


def check(config: Config) -> None:
    """Check that every field is in its range and that the fields work together.

    Raises:
        ConfigError: a field is out of range or conflicts with another one; only the first error is
            reported.
    """
    rules = itertools.chain(
        _ranges(config),
        _model(config.model),
        _data(config),
        _given_proposals(config),
        _training(config.train),
        _profile(config),
    )
    _raise_first(rules)


def check_data(config: Config) -> None:
    """Check the ranges of all fields, and the fields of the data set together.

    Raises:
        ConfigError: as for `check`.
    """
    _raise_first(itertools.chain(_ranges(config), _data(config)))


def check_prediction(config: Config) -> None:
    """Check the fields that a trained model needs; its data set and its training may be gone.

    Raises:
        ConfigError: as for `check`.
    """
    _raise_first(itertools.chain(_ranges(config), _model(config.model), _sides(config.data)))


def _raise_first(rules: Iterable[tuple[bool, str]]) -> None:
    for broken, message in rules:
        if broken:
            raise ConfigError(message)


def _ranges(config: Config) -> Rules:
    """The range of every number, alone or in a tuple."""
    values = field_values(config)
    for name, value in values.items():
        finite = all(isinstance(x, int) or math.isfinite(x) for x in _numbers(value))
        yield not finite, f"{name}={value} must be finite"
    # jax.random.key uses 32 bits and silently drops the others.
    yield config.seed >= 2**32, f"seed={config.seed} must be less than 2**32"
    ranges = (
        (AT_LEAST_ONE, lambda x: x >= 1, "at least 1"),
        (NOT_NEGATIVE, lambda x: x >= 0, "at least 0"),
        (POSITIVE, lambda x: x > 0, "greater than 0"),
        (FROM_ZERO_TO_ONE, lambda x: 0 <= x <= 1, "between 0 and 1"),
        (FROM_ZERO_BELOW_ONE, lambda x: 0 <= x < 1, "at least 0 and less than 1"),
    )
    for names, is_valid, words in ranges:
        for name in names:
            value = values[name]
            yield not all(map(is_valid, _numbers(value))), f"{name}={value} must be {words}"
    most = config.eval.max_detections
    yield most < 100, f"eval.max_detections={most} must be at least 100, COCO's limit"


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
            f"model.{name}.background_iou={part.background_iou} must not exceed "
            f"model.{name}.foreground_iou={part.foreground_iou}",
        )
    yield from _gate(model.proposals)
    yield from _class_loss(model)
    yield from _mining(model.box_head.mining)
    yield (
        model.roi.op in ("crop_resize", "warp") and model.roi.sampling_ratio == 0,
        f"model.roi.sampling_ratio=0 does not work with model.roi.op={model.roi.op}: use at least "
        "1",
    )
    yield (
        model.box_head.name == "res5" and model.neck.name != "c4",
        f"model.box_head.name=res5 requires model.neck.name=c4, not {model.neck.name}",
    )


def _gate(proposals: ProposalsConfig) -> Rules:
    """Settings of the open gate, which have no effect while it is closed."""
    values, defaults = field_values(proposals), field_values(ProposalsConfig())
    for name in filter(lambda name: name.startswith(OPEN_GATE), values):
        yield (
            proposals.stop_gradient and values[name] != defaults[name],
            f"model.proposals.{name}={values[name]} has no effect unless "
            "model.proposals.stop_gradient=False",
        )


def _class_loss(model: ModelConfig) -> Rules:
    """Settings of one class loss, which have no effect or no agreed meaning in another."""
    head, defaults = model.box_head, BoxHeadConfig()
    for name in ("focal_alpha", "focal_gamma"):
        value = getattr(head, name)
        yield (
            head.class_loss != "focal" and value != getattr(defaults, name),
            f"model.box_head.{name}={value} has no effect unless model.box_head.class_loss=focal",
        )
    weights = head.per_class_weights
    # Of a binary cross-entropy, torch's `weight` scales all of a class's terms and mmdet's
    # `class_weight` its positive ones alone; neither has a place for the background.
    yield (
        bool(weights) and head.class_loss != "softmax",
        f"model.box_head.per_class_weights={weights} requires model.box_head.class_loss=softmax, "
        f"not {head.class_loss}",
    )
    yield (
        len(weights) not in (0, model.num_classes + 1),
        f"model.box_head.per_class_weights has {len(weights)} weights but needs "
        f"{model.num_classes + 1}: one for the background, then one for each of "
        f"model.num_classes={model.num_classes}",
    )


def _mining(mining: HardExampleConfig) -> Rules:
    """A ranking needs a loss, and a minimum needs a limit that it can override."""
    yield (
        mining.class_weight == mining.box_weight == 0,
        "model.box_head.mining.class_weight=0 and model.box_head.mining.box_weight=0 leave no loss "
        "to rank proposals by: set at least one of them above 0",
    )
    yield (
        mining.min_negatives_per_image > 0 and mining.max_negatives_per_positive == 0,
        f"model.box_head.mining.min_negatives_per_image={mining.min_negatives_per_image} has no "
        "effect unless model.box_head.mining.max_negatives_per_positive is above 0",
    )


def _backbone(model: ModelConfig) -> Rules:
    backbone, neck = model.backbone, model.neck.name
    vgg, mobilenet = backbone.name == "vgg16", backbone.name == "mobilenet_v3_large"
    yield (
        backbone.frozen_stages > 5,
        f"model.backbone.frozen_stages={backbone.frozen_stages} must be at most 5",
    )
    yield (
        backbone.width < 8 or backbone.width % 8 != 0,
        f"model.backbone.width={backbone.width} must be a positive multiple of 8",
    )
    yield (
        (vgg or mobilenet) and backbone.width != 64,
        f"model.backbone.width={backbone.width} applies to ResNets only: use 64 with "
        f"model.backbone.name={backbone.name}",
    )
    yield (
        vgg and neck != "c5",
        f"model.neck.name={neck} does not work with model.backbone.name=vgg16: use c5",
    )
    yield (
        vgg and backbone.norm != "none",
        f"model.backbone.norm={backbone.norm} does not work with model.backbone.name=vgg16: use "
        "none",
    )
    yield (
        mobilenet and neck != "fpn",
        f"model.neck.name={neck} does not work with model.backbone.name=mobilenet_v3_large: use "
        "fpn",
    )
    yield (
        backbone.dilated_res5 and (vgg or neck != "c5"),
        "model.backbone.dilated_res5=True requires a ResNet with model.neck.name=c5, not "
        f"{backbone.name} with {neck}",
    )
    yield (
        backbone.stride_in_1x1 and (vgg or mobilenet or backbone.name in BASIC_BLOCKS),
        "model.backbone.stride_in_1x1=True requires the bottleneck blocks of resnet50 or a larger "
        f"ResNet, not {backbone.name}",
    )


def _anchors(model: ModelConfig) -> Rules:
    sizes = model.anchors.sizes
    maps = 1 if model.neck.name != "fpn" else 3 if "mobilenet" in model.backbone.name else 5
    counts = [len(level) for level in sizes]
    yield (
        len(sizes) != maps,
        f"model.anchors.sizes needs one tuple per feature level: {model.backbone.name} with "
        f"{model.neck.name} has {maps}, got {len(sizes)}",
    )
    yield (
        len(set(counts)) > 1,
        f"model.anchors.sizes needs the same number of sizes at every level, got {counts}",
    )
    yield not any(counts), "model.anchors.sizes needs at least one size per level"
    yield not model.anchors.ratios, "model.anchors.ratios needs at least one aspect ratio"


def _sides(data: DataConfig) -> Rules:
    yield (
        data.short_side > data.long_side,
        f"data.short_side={data.short_side} must not exceed data.long_side={data.long_side}",
    )


def _data(config: Config) -> Rules:
    data, classes = config.data, config.data.classes
    yield from _sides(data)
    yield (
        any(side > data.long_side for side in data.train_short_sides),
        f"data.train_short_sides={data.train_short_sides} must not exceed "
        f"data.long_side={data.long_side}",
    )
    yield (
        len(set(classes)) < len(classes),
        f"data.classes={classes} contains a name twice: list each name once",
    )
    yield (
        bool(classes) and len(classes) != config.model.num_classes,
        f"model.num_classes={config.model.num_classes} must equal the number of names in "
        f"data.classes, {len(classes)}",
    )
    yield from _augmentations(config)
    if data.format != "shapes":
        yield from _files(data)


def _augmentations(config: Config) -> Rules:
    if not config.data.augment:
        return
    from jaxrcnn.data.augment import parse  # it loads jax

    train = config.train
    kept = train.scheme == "alternating" and train.alternating.keep_proposals
    given = kept or config.data.train_proposals
    for call in parse(config.data.augment):
        yield (
            call.images > 1 and bool(given),
            f"data.augment: {call.name} does not work with given proposals "
            "(data.train_proposals or train.alternating.keep_proposals), which belong to a single "
            "image",
        )


def _files(data: DataConfig) -> Rules:
    yield (
        not all(data.roots) or not data.roots,
        f"data.root is empty: data.format={data.format} needs the folder that contains "
        f"{ROOT_CONTENTS[data.format]}",
    )
    yield (
        not data.eval_split and data.val_share == 0,
        "data.eval_split is empty and data.val_share=0: name the split to evaluate on, or give the "
        "share of the training images to hold out",
    )
    yield (
        not all(data.image_roots),
        "data.image_roots contains an empty path: name a folder, such as . for the current one",
    )
    for pair in data.columns:
        yield data.format not in ("table", "auto"), f"data.columns={data.columns} requires a table"
        yield not _is_pair(pair), f"data.columns: {pair!r} is not of the form MEANING=COLUMN"
    for pair in data.rename:
        yield not _is_pair(pair), f"data.rename: {pair!r} is not of the form OLD=NEW"


def _is_pair(text: str) -> bool:
    """Whether a text is NAME=VALUE."""
    name, _, value = text.rpartition("=")
    return bool(name.strip() and value.strip())


def _given_proposals(config: Config) -> Rules:
    """Files of proposals are for a Fast R-CNN step that comes before any RPN step."""
    data, train, steps = config.data, config.train, config.train.alternating.steps
    alone = train.scheme == "alternating" and bool(steps) and steps[0].trains == "fast_rcnn"
    files = {"train_proposals": data.train_proposals, "eval_proposals": data.eval_proposals}
    yield (
        alone and not any(files.values()),
        "train.alternating.steps starts with fast_rcnn, which needs proposals: start with rpn, or "
        "set data.train_proposals and data.eval_proposals",
    )
    for name, file in files.items():
        yield (
            alone and not file,
            f"data.{name} is empty: train.alternating.steps starts with fast_rcnn, which needs a "
            "file of proposals",
        )
        yield (
            bool(file) and not alone,
            f"data.{name}={file} requires train.scheme=alternating and train.alternating.steps "
            "that start with fast_rcnn",
        )


def _alternating(train: TrainConfig) -> Rules:
    name, steps = "train.alternating.steps", train.alternating.steps
    yield not steps, f"{name} is empty: give at least one step"
    total = sum(step.steps for step in steps)
    yield (
        train.steps != total,
        f"train.steps={train.steps} must equal {total}, the sum of the steps in {name}",
    )
    yield any(step.steps < 1 for step in steps), f"{name}: steps must be at least 1 in each of them"
    yield (
        bool(steps) and steps[0].backbone == "frozen",
        f"{name}: the first step cannot have backbone=frozen, use pretrained or previous",
    )
    for part in itertools.chain(*(step.restart for step in steps)):
        yield (
            part.split("/")[0] not in ("backbone", "rpn_head", "box_head"),
            f"{name}: cannot restart {part!r}, use backbone, rpn_head, box_head or a layer in one",
        )
    warmup = train.optimizer.warmup_steps
    for milestones in (step.milestones for step in steps):
        yield (
            any(a >= b for a, b in itertools.pairwise((warmup - 1, *milestones))),
            f"{name}: milestones={milestones} must be in ascending order and at least "
            f"train.optimizer.warmup_steps={warmup}",
        )


def _training(train: TrainConfig) -> Rules:
    yield from _kept(train)
    yield from _layers(train)
    yield (
        train.scheme == "alternating" and train.epochs > 0,
        f"train.epochs={train.epochs:g} does not work with train.scheme=alternating, whose steps "
        "are given by train.alternating.steps: use 0",
    )
    if train.scheme == "alternating":
        yield from _alternating(train)
    curvature, name = train.diagnostics.curvature, "train.diagnostics.curvature"
    yield (
        curvature and train.diagnostics.every == 0,
        f"{name}=True has no effect unless train.diagnostics.every is above 0",
    )
    yield (
        curvature and train.scheme == "alternating",
        f"{name}=True requires train.scheme=joint: in alternating training no gradient flows "
        "through pooling",
    )
    optimizer, milestones = train.optimizer, train.optimizer.milestones
    yield (
        optimizer.accumulate > train.steps,
        f"train.optimizer.accumulate={optimizer.accumulate} must not exceed "
        f"train.steps={train.steps}",
    )
    yield (
        any(a >= b for a, b in itertools.pairwise(milestones)),
        f"train.optimizer.milestones={milestones} must be in strictly ascending order",
    )
    yield (
        optimizer.schedule == "step" and any(m < optimizer.warmup_steps for m in milestones),
        f"train.optimizer.milestones={milestones} must not be below "
        f"train.optimizer.warmup_steps={optimizer.warmup_steps}",
    )


def _kept(train: TrainConfig) -> Rules:
    """What becomes of checkpoints and metrics."""
    best = train.keep_best
    yield (
        bool(best) and not best.startswith("eval/"),
        f"train.keep_best={best} must name a metric of the evaluation, such as eval/AP",
    )
    yield (
        train.patience > 0 and not best,
        f"train.patience={train.patience} has no effect unless train.keep_best names a metric",
    )
    yield (
        train.patience > 0 and train.scheme == "alternating",
        f"train.patience={train.patience} does not work with train.scheme=alternating, whose steps "
        "are given by train.alternating.steps: use 0",
    )
    for tracker in train.trackers:
        yield (
            tracker not in TRACKERS,
            f"train.trackers: {tracker!r} is unknown, use any of {', '.join(TRACKERS)}",
        )


def _layers(train: TrainConfig) -> Rules:
    """What is said of some layers; whether they exist is known only once the model is built."""
    yield any(not name.strip() for name in train.freeze), "train.freeze contains an empty name"
    for pair in train.optimizer.rate_factors:
        yield (
            not _is_pair(pair) or not _is_factor(pair.rpartition("=")[2]),
            f"train.optimizer.rate_factors: {pair!r} is not of the form LAYERS=FACTOR, such as "
            "backbone=0.1",
        )


def _is_factor(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def _profile(config: Config) -> Rules:
    """Only steps of the run can be profiled."""
    profile, steps = config.profile, config.train.steps
    yield (
        profile.steps > 0 and profile.start >= steps,
        f"profile.start={profile.start} must be less than train.steps={steps}",
    )
    yield (
        profile.steps > 0 and profile.start + profile.steps > steps,
        f"profile.steps={profile.steps} must be at most {steps - profile.start}: "
        f"profile.start={profile.start} leaves no more of train.steps={steps}",
    )
