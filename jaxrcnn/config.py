"""Every field of an experiment, as frozen dataclasses.

A config is hashable, so that it can be a static argument under ``jax.jit``; sequences are tuples.
The string under a field is its help. `check` refuses what cannot work, in one line.
"""

import dataclasses
from typing import Literal


class ConfigError(ValueError):
    """A field that is unknown, ill-typed or cannot go with another; the message is one line."""


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """The network that makes the features."""

    name: Literal[
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext101_32x8d",
        "vgg16",
        "mobilenet_v3_large",
    ] = "resnet50"
    """Network that makes the features."""
    norm: Literal["frozen", "group", "batch", "none"] = "frozen"
    """Frozen batch norm, group norm (32 groups), or batch norm over the global batch. VGG16 knows
    'none' only."""
    norm_epsilon: float = 1e-5
    """What a batch norm, frozen or not, adds to the variance; torchvision's first COCO weights were
    trained with 0."""
    stride_in_1x1: bool = False
    """Put a bottleneck's stride in its 1x1 convolution (as Caffe2) instead of the 3x3."""
    frozen_stages: int = 2
    """First stages that are not trained and cost no backward pass: 1 is the stem, 2 adds res2."""
    dilated_res5: bool = False
    """Keep stride 16 in res5 by dilation (DC5)."""
    width: int = 64
    """Channels of a ResNet's stem; stages have width x 1, 2, 4, 8 (times 4 in bottlenecks)."""


@dataclasses.dataclass(frozen=True)
class NeckConfig:
    """What stands between the backbone and the heads."""

    name: Literal["fpn", "c4", "c5"] = "fpn"
    """Feature maps handed on: the FPN's P2-P6, res4 alone (C4), or res5 (DC5; VGG16's conv5)."""
    channels: int = 256
    """Channels of every FPN level."""
    norm: Literal["none", "group", "batch"] = "none"
    """Normalisation after the FPN's convolutions."""


@dataclasses.dataclass(frozen=True)
class AnchorConfig:
    """The boxes that the RPN refines."""

    sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    """Square root of the anchors' areas in pixels, a tuple for every level."""
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height over width."""
    offset: float = 0.0
    """Place of the first anchor's centre in a cell, as a fraction of the stride."""
    rounded: bool = False
    """Round the corners of the anchor at the origin to whole pixels, as torchvision does."""
    spread: bool = False
    """Set the anchors of a level as far apart as the padded image is larger than the map, rounded
    down, as torchvision does; else by the level's stride. They differ on maps of odd size."""


@dataclasses.dataclass(frozen=True)
class RpnConfig:
    """The region proposal network, and what it is trained on."""

    channels: int = 0
    """Channels of the hidden convolutions; 0 takes those of the features."""
    convs: int = 1
    """Hidden 3x3 convolutions."""
    foreground_iou: float = 0.7
    """Anchors of at least this overlap with a ground-truth box are foreground."""
    background_iou: float = 0.3
    """Anchors of less overlap with every ground-truth box are background; others are left out."""
    low_quality_matches: bool = True
    """Make the best anchors of every ground-truth box foreground, however small their overlap."""
    samples: int = 256
    """Anchors of an image that enter the losses."""
    foreground_fraction: float = 0.5
    """Largest share of foreground among them."""
    coder_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Factors on the box deltas (x, y, width, height)."""
    box_loss: Literal["smooth_l1", "l1", "huber", "giou", "diou", "ciou"] = "l1"
    """Loss of the box deltas; the IoU losses compare decoded boxes."""
    box_loss_beta: float = 1.0
    """Where smooth L1 or Huber goes from quadratic to linear."""
    loss_mean: Literal["asked", "drawn"] = "asked"
    """Divide both losses by the anchors that samples asks for (Detectron2), or by those that could
    be drawn (torchvision)."""
    objectness_weight: float = 1.0
    """Factor on the objectness loss."""
    box_weight: float = 1.0
    """Factor on the box loss."""


@dataclasses.dataclass(frozen=True)
class DeltaGradientConfig:
    """What the open gate's gradient may do to the RPN's box deltas; no value changes."""

    clip: float = 0.0
    """Largest size of each entry (MNC: 1/512, 1/256 or 1/64); 0 never clips."""
    clip_norm: float = 0.0
    """Largest norm of a box's four entries; 0 never clips."""
    divide_by_anchor_size: bool = False
    """Divide by the anchor's width and height, which the decoding multiplied by."""
    zero_if_clipped: bool = False
    """None for proposals that reach out of the image and are cut at its edge."""
    zero_outside_anchors: bool = False
    """None for anchors that reach out of the image."""


@dataclasses.dataclass(frozen=True)
class ProposalsConfig:
    """From the RPN to proposals, and the gradient gate."""

    stop_gradient: bool = True
    """The gate. True: the second stage's loss does not reach the proposals' coordinates
    (approximate joint training). False: it does, through pooling and regression targets."""
    pooling_gradient: float = 1.0
    """Share of the gradient that the open gate lets through on the way through the RoI op, 0 to
    1."""
    target_gradient: float = 1.0
    """Share of the gradient that the open gate lets through on the way through the regression
    targets, 0 to 1."""
    open_after: int = 0
    """Steps of training before the gate begins to open."""
    open_over: int = 0
    """Steps over which both shares then rise in a line from 0."""
    delta_gradient: DeltaGradientConfig = DeltaGradientConfig()
    pre_nms_train: int = 2000
    """Best anchors of each level that go into NMS, in training."""
    pre_nms_test: int = 1000
    """Best anchors of each level that go into NMS, in inference."""
    post_nms_train: int = 1000
    """Proposals of an image, in training."""
    post_nms_test: int = 1000
    """Proposals of an image, in inference."""
    nms_iou: float = 0.7
    """Overlap above which the worse of two proposals is dropped."""
    min_size: float = 0.0
    """Smallest side of a proposal, pixels."""
    score_threshold: float = 0.0
    """Lowest probability of an object, of 1, that a proposal has; torchvision's MobileNets take
    0.05."""
    append_ground_truth: bool = True
    """Add the ground-truth boxes to the proposals in training."""


@dataclasses.dataclass(frozen=True)
class RoiConfig:
    """The pooling of RoI features."""

    op: Literal["align", "align_unaligned", "pool", "crop_resize", "warp", "precise"] = "align"
    """RoIAlign with the half-pixel shift, RoIAlign without, RoIPool, TF's crop_and_resize with
    max-pool, RoIWarp, or PrRoIPool."""
    output_size: int = 7
    """Side of the pooled window."""
    sampling_ratio: int = 2
    """Samples of a bin along each axis; 0 takes as many as the bin is pixels wide."""


@dataclasses.dataclass(frozen=True)
class HardExampleConfig:
    """Hard example mining: train the second stage on the proposals of largest loss, not on a draw.

    OHEM (arXiv 1604.03540) is the defaults with keep 128 for a step of one image, 64 for its two;
    TF OD API's miner is keep 64, its loss_type classification box_weight 0.
    """

    keep: int = 0
    """Proposals of an image that the head trains on, those of largest loss, in place of samples
    and foreground_fraction; 0 mines none. All proposals then pass the head."""
    nms_iou: float = 0.7
    """Overlap above which the one of smaller loss is dropped; 1 drops none."""
    class_weight: float = 1.0
    """Factor on the class loss in the ranking, on top of model.box_head.class_weight."""
    box_weight: float = 1.0
    """Factor on the box loss in the ranking, on top of model.box_head.box_weight."""
    max_negatives_per_positive: float = 0.0
    """Most background kept for each foreground that is kept in the image, the hardest of it; 0
    sets no limit."""
    min_negatives_per_image: int = 0
    """Number of an image's background proposals that the limit does not go below."""


@dataclasses.dataclass(frozen=True)
class BoxHeadConfig:
    """The second stage, and what it is trained on."""

    name: Literal["two_fc", "conv_fc", "res5"] = "two_fc"
    """Two fully connected layers, four convolutions and one such layer, or ResNet's fifth stage."""
    channels: int = 1024
    """Width of the fully connected layers."""
    conv_channels: int = 256
    """Width of the convolutions of conv_fc."""
    convs: int = 4
    """Convolutions of conv_fc."""
    norm: Literal["none", "group", "batch"] = "none"
    """Normalisation of conv_fc's convolutions."""
    dropout: float = 0.0
    """Share of the fully connected layers' outputs dropped in training (the paper's VGG16: 0.5)."""
    class_agnostic: bool = False
    """One set of box deltas for all classes."""
    foreground_iou: float = 0.5
    """Proposals of at least this overlap are foreground."""
    background_iou: float = 0.0
    """Proposals of less than foreground_iou and at least this overlap are background."""
    samples: int = 512
    """Proposals of an image that the head trains on."""
    foreground_fraction: float = 0.25
    """Largest share of foreground among them."""
    coder_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """Factors on the box deltas (x, y, width, height)."""
    box_loss: Literal["smooth_l1", "l1", "huber", "giou", "diou", "ciou"] = "l1"
    """Loss of the box deltas; the IoU losses compare decoded boxes."""
    box_loss_beta: float = 1.0
    """Where smooth L1 or Huber goes from quadratic to linear."""
    class_weight: float = 1.0
    """Factor on the class loss."""
    box_weight: float = 1.0
    """Factor on the box loss."""
    mining: HardExampleConfig = HardExampleConfig()


@dataclasses.dataclass(frozen=True)
class DetectionsConfig:
    """From the second stage to detections."""

    score_threshold: float = 0.05
    """Lowest score of a detection."""
    nms_iou: float = 0.5
    """Overlap above which the worse of two detections of one class is dropped."""
    max_detections: int = 100
    """Detections of an image."""
    min_size: float = 0.0
    """Smallest side of a detection, pixels; one without area is never found."""
    pre_nms: int = 2000
    """Best scoring (RoI, class) pairs that go into NMS."""
    soft_nms: Literal["none", "linear", "gaussian"] = "none"
    """Lower the scores of overlapping detections instead of dropping them."""
    soft_nms_sigma: float = 0.5
    """Width of the Gaussian penalty."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The detector."""

    num_classes: int = 80
    """Object classes, the background not counted."""
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    """Subtracted from the red, green and blue of a pixel (0..255)."""
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    """What the difference is divided by."""
    compute_dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    """Type of the networks' activations. Parameters are float32, boxes and losses float32 at least.
    float64 is for checks against finite differences and takes JAX_ENABLE_X64."""
    backbone: BackboneConfig = BackboneConfig()
    neck: NeckConfig = NeckConfig()
    anchors: AnchorConfig = AnchorConfig()
    rpn: RpnConfig = RpnConfig()
    proposals: ProposalsConfig = ProposalsConfig()
    roi: RoiConfig = RoiConfig()
    box_head: BoxHeadConfig = BoxHeadConfig()
    detections: DetectionsConfig = DetectionsConfig()


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The images and how they are prepared."""

    format: Literal["shapes", "coco", "voc"] = "coco"
    """The drawn data set, COCO's json, or VOC's folders."""
    root: str = ""
    """Folder of the data: the one that holds annotations/ and the split's folder (coco), or
    Annotations/, ImageSets/ and JPEGImages/ (voc; a split may name a folder below it)."""
    train_splits: tuple[str, ...] = ("train2017",)
    """Splits to train on, e.g. train2017, trainval, or VOC2007/trainval VOC2012/trainval."""
    eval_split: str = "val2017"
    """Split to evaluate on."""
    classes: tuple[str, ...] = ()
    """Class names in the order of their labels; empty takes COCO's categories, VOC's twenty, or for
    another VOC folder the names that its annotations hold, sorted."""
    short_side: int = 800
    """Images are resized so that the shorter side has this many pixels ..."""
    long_side: int = 1333
    """... and the longer side at most this many."""
    resize: Literal["pillow", "torchvision"] = "pillow"
    """Pillow's bilinear filter, antialiased where it shrinks and rounded to whole values, as
    Detectron2 resizes; or torchvision's, neither antialiased nor rounded."""
    train_short_sides: tuple[int, ...] = ()
    """Short sides to draw from in training; empty takes short_side."""
    horizontal_flip: float = 0.5
    """Share of the training images that are mirrored."""
    vertical_flip: float = 0.0
    """Share of the training images that are turned upside down by a mirror: for microscopes,
    satellites and others that know no up."""
    train_proposals: str = ""
    """File with proposals for the training images, as python -m jaxrcnn proposals WORKDIR --split
    train --dump FILE writes it: Fast R-CNN alone is trained on them. Empty: an RPN proposes."""
    eval_proposals: str = ""
    """File with proposals for the evaluation images (--split eval), for the same run."""
    keep_difficult: bool = False
    """Train on VOC's difficult boxes instead of ignoring them."""
    skip_empty: bool = True
    """Leave images without objects out of training (Detectron2 does)."""
    on_error: Literal["raise", "skip"] = "raise"
    """What to do with a record that is broken: stop, or leave it out, count it and say so."""
    workers: int = 0
    """Processes that read images; 0 reads in threads of this one. Batches do not depend on it."""
    num_train_images: int = 256
    """Images of the drawn training set (format shapes)."""
    num_eval_images: int = 64
    """Images of the drawn held-back set (format shapes)."""


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and its schedule."""

    name: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent with momentum, or AdamW."""
    learning_rate: float = 0.02
    """Largest learning rate, for reference_batch_size images a step."""
    reference_batch_size: int = 0
    """Batch size that learning_rate is meant for: it is scaled by batch_size over this; 0 never
    scales."""
    momentum: float = 0.9
    """SGD's momentum."""
    weight_decay: float = 1e-4
    """Factor of the weight decay."""
    decay_norm_and_bias: bool = False
    """Let norms and biases decay too."""
    warmup_steps: int = 1000
    """Steps over which the learning rate rises in a line from warmup_factor to 1."""
    warmup_factor: float = 0.001
    """Share of the learning rate at step 0."""
    schedule: Literal["step", "cosine", "constant"] = "step"
    """After the warm-up: drop at the milestones, follow half a cosine to zero, or stay."""
    milestones: tuple[int, ...] = (60000, 80000)
    """Steps at which the learning rate drops (schedule step)."""
    drop_factor: float = 0.1
    """What it is multiplied by there."""
    clip_norm: float = 0.0
    """Largest norm of the whole gradient; 0 never clips."""
    accumulate: int = 1
    """Batches whose gradients are averaged before one update."""
    ema_decay: float = 0.0
    """Decay of the moving average of the parameters that evaluation uses; 0 keeps none."""


@dataclasses.dataclass(frozen=True)
class AlternatingStep:
    """One step of alternating training."""

    trains: Literal["rpn", "fast_rcnn"] = "rpn"
    """The RPN, or Fast R-CNN on the proposals of the last network that an RPN step trained."""
    backbone: Literal["pretrained", "previous", "frozen"] = "pretrained"
    """The run's first weights again, or those of the step before; frozen are not trained."""
    restart: tuple[str, ...] = ()
    """Parts that are drawn anew: rpn_head, box_head, or a layer such as box_head/cls_score."""
    steps: int = 80000
    """Steps of training."""
    milestones: tuple[int, ...] = ()
    """Steps within this one at which the learning rate drops (schedule step)."""


@dataclasses.dataclass(frozen=True)
class AlternatingConfig:
    """Alternating training (paper, section 3.2, i); used by train.scheme alternating."""

    steps: tuple[AlternatingStep, ...] = (
        AlternatingStep("rpn", "pretrained", (), 80000, (60000,)),
        AlternatingStep("fast_rcnn", "pretrained", (), 80000, (60000,)),
        AlternatingStep("rpn", "frozen", ("rpn_head",), 80000, (60000,)),
        AlternatingStep(
            "fast_rcnn", "frozen", ("box_head/cls_score", "box_head/bbox_pred"), 80000, (60000,)
        ),
    )
    """The steps, by default py-faster-rcnn's four at its 80000 images each, for a batch size of
    1. train.steps is their sum."""
    keep_proposals: bool = False
    """Make the proposals of a Fast R-CNN step once, before it, from unaugmented images, and keep
    them in memory: faster for small data sets; False makes them on the fly of the augmented
    images."""


@dataclasses.dataclass(frozen=True)
class DiagnosticsConfig:
    """The instrument of the gradient question: gradients by loss, module and route."""

    every: int = 0
    """Steps between two that are also measured, at their cost; 0 measures none and costs
    nothing."""
    curvature: bool = False
    """Measure the curvature of the second stage's loss along the pooling route's gradient too."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The run."""

    scheme: Literal["joint", "alternating"] = "joint"
    """All in one step, approximate or not as model.proposals says; or RPN and Fast R-CNN in turn,
    as train.alternating says."""
    alternating: AlternatingConfig = AlternatingConfig()
    batch_size: int = 16
    """Images of a step, over all devices."""
    steps: int = 90000
    """Steps of the whole run."""
    log_every: int = 20
    """Steps between two lines of metrics."""
    eval_every: int = 5000
    """Steps between two evaluations; the end is always evaluated; 0 evaluates there only."""
    checkpoint_every: int = 5000
    """Steps between two checkpoints; the end always has one."""
    keep_checkpoints: int = 2
    """Checkpoints that are kept."""
    init: str = ""
    """What to start from: a run's workdir, a model's folder, or a weight file of torchvision,
    Detectron2 or timm (.pth, .pkl, .safetensors); empty starts from random weights."""
    init_restart: tuple[str, ...] = ()
    """Parts that init does not give and that are drawn: rpn_head, box_head, or a layer such as
    box_head/cls_score, where the classes are others."""
    optimizer: OptimizerConfig = OptimizerConfig()
    diagnostics: DiagnosticsConfig = DiagnosticsConfig()


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """The evaluation."""

    metric: Literal["coco", "voc07", "voc"] = "coco"
    """COCO's average precision, VOC 2007's 11-point, or VOC's area under the curve, the latter two
    beside COCO's."""
    batch_size: int = 8
    """Images of an evaluation step, over all devices."""
    images: int = 8
    """Images drawn with their detections after an evaluation."""


@dataclasses.dataclass(frozen=True)
class ProfileConfig:
    """A trace of some steps, in the workdir's folder profile; it changes nothing of the run."""

    start: int = 10
    """Steps of the run that are done before; the first ones compile."""
    steps: int = 0
    """Steps that are traced; 0 traces none."""


@dataclasses.dataclass(frozen=True)
class Config:
    """An experiment."""

    seed: int = 0
    """Seed of the parameters, the order of the images and every draw in training."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    profile: ProfileConfig = ProfileConfig()
