"""All settings of an experiment, as nested frozen dataclasses.

A config is hashable, so that it can be a static argument of ``jax.jit``; sequences are therefore
tuples. Each field's docstring is its ``--help`` text. `jaxrcnn.validation.check` rejects values
that are out of range or do not work together.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from jaxrcnn.wording import one_line


class ConfigError(ValueError):
    """An invalid config, command line or input file; the message is a single line.

    Control characters, which could affect a terminal, are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))

    exit_code = 2
    """Exit code of a program that ends with this error."""


class ListedError(ConfigError):
    """An error with a list: `head` says what is wrong, `items` are one line each, then a remedy.

    As a string, it is a single line too.
    """

    def __init__(self, head: str, items: Sequence[str], remedy: str) -> None:
        super().__init__(f"{head}: {'; '.join(items)}; {remedy}")
        self.head, self.items, self.remedy = head, tuple(items), remedy


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """The feature extractor."""

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
    """Architecture of the feature extractor."""
    norm: Literal["frozen", "group", "batch", "none"] = "frozen"
    """Normalisation: batch norm with fixed statistics, scale and bias ('frozen', for pretrained
    weights), group norm with 32 groups ('group'), batch norm over the global batch ('batch'), or
    none. VGG16 supports only 'none'."""
    norm_epsilon: float = 1e-5
    """Added to the variance in batch norm, frozen or not. torchvision's COCO_V1 weights of
    fasterrcnn_resnet50_fpn need 0."""
    stride_in_1x1: bool = False
    """Put the stride of a bottleneck block in its first 1x1 convolution, as Caffe2 and Detectron2's
    R-50 and R-101 models do, instead of in the 3x3 convolution."""
    frozen_stages: int = 2
    """Number of initial stages that are not trained: 0 trains all of them, 1 freezes the stem
    (VGG16: conv1), 2 also res2 (conv2), up to 5. No backward pass is computed for frozen stages."""
    dilated_res5: bool = False
    """Dilate the convolutions of res5 instead of striding, so that its stride stays 16 (DC5).
    Requires model.neck.name 'c5'."""
    width: int = 64
    """Number of channels in a ResNet's stem, a multiple of 8. The four stages have 1, 2, 4 and 8
    times as many; bottleneck blocks output four times that."""


@dataclasses.dataclass(frozen=True)
class NeckConfig:
    """The layers between the backbone and the heads."""

    name: Literal["fpn", "c4", "c5"] = "fpn"
    """Feature maps passed to the heads: a feature pyramid P2 to P6 ('fpn'), res4 alone ('c4'), or
    the last stage alone ('c5': res5, or conv5 of VGG16). MobileNetV3's pyramid has three levels."""
    channels: int = 256
    """Number of channels of every FPN level."""
    norm: Literal["none", "group", "batch"] = "none"
    """Normalisation after each convolution of the FPN."""


@dataclasses.dataclass(frozen=True)
class AnchorConfig:
    """The anchor boxes that the RPN classifies and refines."""

    sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    """Anchor sizes (square root of the area) in pixels of the network input: one tuple per feature
    level, all of the same length."""
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Aspect ratios, height divided by width, used at every level."""
    offset: float = 0.0
    """Centre of the first anchor as a fraction of the stride: 0 is the corner of the image, 0.5 the
    centre of the first cell."""
    rounded: bool = False
    """Round the corners of each anchor shape to whole pixels before placing it on the grid, as
    torchvision does."""
    spread: bool = False
    """Space anchors by the padded image size divided by the feature map size (rounded down), as
    torchvision does, instead of by the stride. This matters only where the stride does not divide
    the image size."""


@dataclasses.dataclass(frozen=True)
class RpnConfig:
    """The region proposal network (RPN) and its training."""

    channels: int = 0
    """Number of channels of the hidden convolutions; 0 uses as many as the feature maps have."""
    convs: int = 1
    """Number of hidden 3x3 convolutions."""
    foreground_iou: float = 0.7
    """Anchors whose IoU with a ground-truth box is at least this are foreground."""
    background_iou: float = 0.3
    """Anchors whose IoU with every ground-truth box is below this are background. Anchors that are
    neither are not trained on."""
    low_quality_matches: bool = True
    """Also make the anchors with the highest IoU for each ground-truth box foreground, even if that
    IoU is below foreground_iou."""
    samples: int = 256
    """Number of anchors sampled per image for the RPN losses."""
    foreground_fraction: float = 0.5
    """Maximum fraction of foreground among the sampled anchors."""
    coder_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Scale factors of the encoded box deltas (x, y, width, height)."""
    box_loss: Literal["smooth_l1", "l1", "huber", "giou", "diou", "ciou"] = "l1"
    """Box regression loss. The IoU losses compare decoded boxes, the others box deltas."""
    box_loss_beta: float = 1.0
    """Error at which smooth L1 and Huber change from quadratic to linear; 0 makes them L1."""
    loss_mean: Literal["asked", "drawn"] = "asked"
    """Divide both losses by the number of anchors asked for (samples per image, as in Detectron2)
    or by the number actually drawn (as in torchvision)."""
    objectness_weight: float = 1.0
    """Weight of the objectness loss."""
    box_weight: float = 1.0
    """Weight of the box regression loss."""


@dataclasses.dataclass(frozen=True)
class DeltaGradientConfig:
    """Limits on the gradient that an open gate passes to the RPN's box deltas.

    The forward pass is unaffected.
    """

    clip: float = 0.0
    """Clip every entry of the gradient to plus or minus this value; 0 disables clipping. MNC (arXiv
    1512.04412) uses 1/512, 1/256 or 1/64."""
    clip_norm: float = 0.0
    """Clip the norm of each box's gradient (four entries) to this value; 0 disables clipping."""
    divide_by_anchor_size: bool = False
    """Divide the gradient by the anchor's width and height, undoing the factor that decoding
    introduces."""
    zero_if_clipped: bool = False
    """Set the gradient to zero for proposals that extend beyond the image and are clipped to it."""
    zero_outside_anchors: bool = False
    """Set the gradient to zero for anchors that extend beyond the image."""


@dataclasses.dataclass(frozen=True)
class ProposalsConfig:
    """Selection of proposals, and the gradient gate."""

    stop_gradient: bool = True
    """The gradient gate. True treats proposal coordinates as constants in the second stage
    (approximate joint training). False lets its losses differentiate through them, by way of RoI
    pooling and of the regression targets."""
    pooling_gradient: float = 1.0
    """Factor (0 to 1) on the gradient that reaches the proposals through RoI pooling. Requires
    stop_gradient False."""
    target_gradient: float = 1.0
    """Factor (0 to 1) on the gradient that reaches the proposals through the regression targets.
    Requires stop_gradient False."""
    open_after: int = 0
    """Number of training steps before the gate starts to open."""
    open_over: int = 0
    """Number of steps over which both factors then rise linearly from 0; 0 opens the gate at
    once."""
    delta_gradient: DeltaGradientConfig = DeltaGradientConfig()
    pre_nms_train: int = 2000
    """Number of top-scoring anchors per level passed to NMS in training."""
    pre_nms_test: int = 1000
    """Number of top-scoring anchors per level passed to NMS in inference."""
    post_nms_train: int = 1000
    """Maximum number of proposals per image in training."""
    post_nms_test: int = 1000
    """Maximum number of proposals per image in inference."""
    nms_iou: float = 0.7
    """IoU above which the lower-scoring of two proposals is removed."""
    min_size: float = 0.0
    """Minimum width and height of a proposal, in pixels of the network input. Empty boxes are
    always discarded."""
    score_threshold: float = 0.0
    """Minimum objectness (a probability) of a proposal; torchvision's MobileNetV3 models use
    0.05."""
    append_ground_truth: bool = True
    """Add the ground-truth boxes to the proposals in training."""


@dataclasses.dataclass(frozen=True)
class RoiConfig:
    """Pooling of RoI features."""

    op: Literal["align", "align_unaligned", "pool", "crop_resize", "warp", "precise"] = "align"
    """RoIAlign with the half-pixel shift ('align') or without it ('align_unaligned'), RoIPool
    ('pool'), TensorFlow's crop_and_resize with max pooling ('crop_resize'), RoIWarp ('warp') or
    PrRoIPool ('precise')."""
    output_size: int = 7
    """Height and width of the pooled features, in bins."""
    sampling_ratio: int = 2
    """Number of samples per bin along each axis. In RoIAlign, 0 takes one per pixel of the bin;
    RoIPool and PrRoIPool ignore this field."""


@dataclasses.dataclass(frozen=True)
class HardExampleConfig:
    """Hard example mining: train the second stage on the proposals with the largest loss.

    With one image per step, keep=128 and the defaults are OHEM (arXiv 1604.03540); with two images,
    keep=64. The miner of TensorFlow's Object Detection API is keep=64; its loss_type CLASSIFICATION
    is box_weight=0.
    """

    keep: int = 0
    """Number of proposals per image to train on, those with the largest loss, instead of a random
    sample (samples, foreground_fraction). The head then runs on all proposals. 0 disables
    mining."""
    nms_iou: float = 0.7
    """IoU above which the proposal with the smaller loss is dropped; 1 drops none."""
    class_weight: float = 1.0
    """Weight of the classification loss in the ranking, on top of model.box_head.class_weight."""
    box_weight: float = 1.0
    """Weight of the box regression loss in the ranking, on top of model.box_head.box_weight."""
    max_negatives_per_positive: float = 0.0
    """Maximum number of background proposals kept per foreground proposal that is kept in the same
    image, hardest first; 0 sets no limit."""
    min_negatives_per_image: int = 0
    """Number of background proposals per image that this limit always allows."""


@dataclasses.dataclass(frozen=True)
class BoxHeadConfig:
    """The box head (second stage) and its training."""

    name: Literal["two_fc", "conv_fc", "res5"] = "two_fc"
    """Two fully connected layers ('two_fc'), convolutions and one such layer ('conv_fc'), or the
    fifth ResNet stage ('res5', requires model.neck.name 'c4')."""
    channels: int = 1024
    """Width of the fully connected layers."""
    conv_channels: int = 256
    """Number of channels of the convolutions in 'conv_fc'."""
    convs: int = 4
    """Number of convolutions in 'conv_fc'."""
    norm: Literal["none", "group", "batch"] = "none"
    """Normalisation after each convolution of 'conv_fc'."""
    dropout: float = 0.0
    """Dropout rate of the fully connected layers in training; the paper's VGG16 uses 0.5."""
    class_agnostic: bool = False
    """Predict one box per RoI instead of one per class."""
    foreground_iou: float = 0.5
    """Proposals whose IoU with a ground-truth box is at least this are foreground."""
    background_iou: float = 0.0
    """Proposals whose highest IoU is at least this, but below foreground_iou, are background. Those
    below are not trained on."""
    samples: int = 512
    """Number of proposals sampled per image to train on."""
    foreground_fraction: float = 0.25
    """Maximum fraction of foreground among the sampled proposals."""
    coder_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """Scale factors of the encoded box deltas (x, y, width, height)."""
    box_loss: Literal["smooth_l1", "l1", "huber", "giou", "diou", "ciou"] = "l1"
    """Box regression loss. The IoU losses compare decoded boxes, the others box deltas."""
    box_loss_beta: float = 1.0
    """Error at which smooth L1 and Huber change from quadratic to linear; 0 makes them L1."""
    class_loss: Literal["softmax", "sigmoid", "focal"] = "softmax"
    """Classification loss, and what a score is: cross-entropy of a softmax over the classes and the
    background; binary cross-entropy of each class ('sigmoid', Detectron2's USE_SIGMOID_CE); or the
    sigmoid focal loss (arXiv 1708.02002). The last two sum over the classes and ignore the logit of
    the background; their scores are sigmoids. All are divided by the number of RoIs, where
    RetinaNet divides the focal loss by the number of foreground anchors."""
    focal_alpha: float = 0.25
    """Weight of a class's positive RoIs in the focal loss; its negative ones have 1 - focal_alpha.
    At 0.5, with class_weight 2, both have weight 1."""
    focal_gamma: float = 2.0
    """Exponent of the focal loss, by which RoIs that are classified well count less; 0 makes it a
    binary cross-entropy."""
    per_class_weights: tuple[float, ...] = ()
    """Weights of the RoIs in the classification loss by their label: that of the background, then
    one for each class in label order. The loss is still divided by the number of RoIs, not by the
    sum of their weights. Requires class_loss 'softmax'. Empty weights all RoIs equally."""
    class_weight: float = 1.0
    """Weight of the classification loss as a whole."""
    box_weight: float = 1.0
    """Weight of the box regression loss."""
    mining: HardExampleConfig = HardExampleConfig()


@dataclasses.dataclass(frozen=True)
class DetectionsConfig:
    """Post-processing of the box head's output."""

    score_threshold: float = 0.05
    """Detections with a score at or below this are discarded."""
    nms_iou: float = 0.5
    """IoU above which the lower-scoring of two detections of the same class is removed."""
    max_detections: int = 100
    """Maximum number of detections per image."""
    min_size: float = 0.0
    """Minimum width and height of a detection, in pixels of the network input. Empty boxes are
    always discarded."""
    soft_nms: Literal["none", "linear", "gaussian"] = "none"
    """Soft-NMS (arXiv 1704.04503) with a linear or Gaussian penalty: lower the scores of
    overlapping detections instead of removing them. 'none' is ordinary NMS."""
    soft_nms_sigma: float = 0.5
    """Sigma of the Gaussian penalty, exp(-iou**2 / sigma)."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The detector."""

    num_classes: int = 80
    """Number of object classes, without the background."""
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    """Mean of the red, green and blue values (0 to 255), subtracted from every pixel. ImageNet's is
    123.675 116.28 103.53."""
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    """Standard deviation of the red, green and blue values, by which the difference is divided.
    ImageNet's is 58.395 57.12 57.375."""
    compute_dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    """Data type of the networks' activations; parameters are float32, boxes and losses at least
    float32. float64 (for checks by finite differences) requires JAX_ENABLE_X64=1."""
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
    """The data set, preprocessing and augmentation."""

    format: Literal["shapes", "auto", "coco", "voc", "yolo", "table", "imagefolder"] = "coco"
    """Generated images of simple shapes ('shapes'), COCO's JSON ('coco'), Pascal VOC's XML ('voc'),
    YOLO's text files ('yolo'), a CSV, TSV or Parquet file ('table'), or Hugging Face's imagefolder
    ('imagefolder'). 'auto' is whichever of them the root contains."""
    root: str | tuple[str, ...] = ""
    """Folder of the data set; docs/data.md describes the layouts. Several folders are joined, and
    their classes are matched by name."""
    image_roots: tuple[str, ...] = ()
    """Folders outside of the root that may contain images. If a file name or a symbolic link leads
    anywhere else, the image is an invalid record."""
    train_splits: tuple[str, ...] = ("train2017",)
    """Splits to train on, such as train2017, trainval, or VOC2007/trainval VOC2012/trainval. If
    empty, the training split is chosen from those in the root, and so are eval_split and test_split
    if they are empty too."""
    eval_split: str = "val2017"
    """Split to evaluate on. If this and train_splits are empty, a validation split is chosen if
    there is one. Otherwise, empty holds out val_share of the training images."""
    test_split: str = ""
    """Split to evaluate once, after training. If this and train_splits are empty, a test split is
    chosen if there is one."""
    val_share: float = 0.2
    """Share of the training images that is held out for evaluation if eval_split is empty. The
    choice depends on the seed and is stored in split.json in the workdir."""
    classes: tuple[str, ...] = ()
    """Class names in label order. Empty uses COCO's categories in order of id, YOLO's list of
    names, VOC's 20 classes or otherwise the names in the annotations, sorted."""
    rename: tuple[str, ...] = ()
    """Classes to rename, each as OLD=NEW, before data.classes is applied. Several classes may get
    the same name."""
    columns: tuple[str, ...] = ()
    """Columns of a table (format 'table') whose names are not recognised, each as MEANING=COLUMN,
    such as image=path label=species."""
    repeat_threshold: float = 0.0
    """Repeat training images with rare classes, as LVIS does (arXiv 1908.03195): an image whose
    rarest class occurs in a share f of the images is used sqrt(repeat_threshold / f) times in each
    epoch, and at least once. 0 repeats none."""
    short_side: int = 800
    """Length of an image's shorter side after resizing, in pixels, unless long_side limits it."""
    long_side: int = 1333
    """Maximum length of an image's longer side after resizing, in pixels."""
    resize: Literal["pillow", "torchvision"] = "pillow"
    """Bilinear resizing as in Detectron2 ('pillow': antialiased when shrinking, rounded to whole
    values) or as in torchvision ('torchvision': neither)."""
    canvas: Literal["ladder", "exact"] = "ladder"
    """Shape that an image is padded to in inference: the smallest of at most five that it fits, so
    that few programs are compiled ('ladder'), or its own size, rounded up to a multiple of 32 if
    model.neck.name is 'fpn' ('exact': as torchvision and Detectron2 pad a single image)."""
    train_short_sides: tuple[int, ...] = ()
    """Values of short_side from which one is chosen at random for each training image; empty always
    uses short_side."""
    horizontal_flip: float = 0.5
    """Probability of mirroring a training image left to right."""
    vertical_flip: float = 0.0
    """Probability of mirroring a training image top to bottom, for images without a natural
    orientation, such as those of microscopes and satellites."""
    augment: tuple[str, ...] = ()
    """Augmentations of the training images, in order, each as a call with its arguments, such as
    'large_scale_jitter(low=0.5)' 'mosaic()'. docs/data.md describes them. All of them, with their
    default arguments: large_scale_jitter(p=1.0, low=0.1, high=2.0), random_crop(p=0.5, low=0.5,
    high=1.0), iou_crop(p=1.0, low=0.3, high=1.0, ratio=2.0, trials=40), zoom_out(p=0.5, low=1.0,
    high=4.0, fill=114), rotate90(p=0.75), photometric(p=0.5, brightness=0.125, contrast=0.5,
    saturation=0.5, hue=0.05, swap=True), cutout(p=0.5, count=8, low=0.02, high=0.2, fill=114),
    mosaic(p=0.5, low=0.5, high=1.0, centre=0.25, fill=114), copy_paste(p=0.5, count=4)."""
    min_visible: float = 0.1
    """Share of a box's area that must remain visible when an augmentation cuts or covers it. If
    less remains, that part is ignored in training."""
    max_buckets: int = 2
    """Maximum number of shapes that training images are padded to. 2 uses one for landscape and one
    for portrait images. More shapes reduce the padding if aspect ratios differ much, but each
    requires another compilation of the training step."""
    train_proposals: str = ""
    """File of proposals for the training images, to train Fast R-CNN without an RPN. python -m
    jaxrcnn proposals WORKDIR --split train --dump FILE writes one. Empty uses the RPN."""
    eval_proposals: str = ""
    """File of proposals for the evaluation images (--split eval), required with
    train_proposals."""
    keep_difficult: bool = False
    """Train on boxes that VOC marks as difficult instead of ignoring them."""
    voc_one_based: bool = True
    """Whether VOC's coordinates count pixels from 1, with xmax and ymax as part of the box, as in
    the original data. False reads them as continuous coordinates from 0, which CVAT writes."""
    decoder: Literal["pillow", "fast"] = "pillow"
    """Libraries that decode and resize images: Pillow, or simplejpeg and OpenCV ('fast'), which are
    at least twice as fast; pixels then differ slightly (docs/data.md). 'fast' requires pip install
    'jaxrcnn[fast]'."""
    max_pixels: int = 89_478_485
    """Height times width of the largest image that is read, a guard against files that fill the
    memory when they are unpacked. Each thread or process that loads images needs about 8 bytes per
    pixel of the largest image."""
    skip_empty: bool = True
    """Leave out training images without objects, as Detectron2 does."""
    on_error: Literal["raise", "skip"] = "raise"
    """What to do with an invalid record or an unreadable image: stop with an error, or skip it and
    report it."""
    max_skipped_share: float = 0.01
    """Maximum share of the images that on_error 'skip' may leave out; if there are more, the run
    stops."""
    workers: int = 0
    """Number of processes that load images; 0 uses threads of the main process. The batches are the
    same for any number."""
    read_timeout: float = 60.0
    """Number of seconds after which a file that does not answer, for example on a network drive,
    counts as unreadable; 0 waits for ever."""
    num_train_images: int = 256
    """Number of generated training images (format 'shapes')."""
    num_eval_images: int = 64
    """Number of generated evaluation images (format 'shapes')."""

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders of the data set, one or several."""
        return self.root if isinstance(self.root, tuple) else (self.root,)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and the learning rate schedule."""

    name: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW."""
    learning_rate: float = 0.02
    """Peak learning rate, at a batch size of reference_batch_size if that is set."""
    reference_batch_size: int = 0
    """Batch size for which learning_rate was chosen: the rate is multiplied by train.batch_size
    divided by this. 0 disables scaling."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 1e-4
    """Weight decay: L2 regularisation for SGD, decoupled for AdamW."""
    decay_norms: bool = False
    """Apply weight decay to the scales and biases of normalisation layers."""
    decay_biases: bool = False
    """Apply weight decay to the biases of other layers, as Detectron2 does."""
    bias_rate_factor: float = 1.0
    """Factor on the learning rate of the biases of other layers; py-faster-rcnn uses 2."""
    rate_factors: tuple[str, ...] = ()
    """Factors on the learning rate of some layers, each as LAYERS=FACTOR, such as backbone=0.1 or
    'backbone/body/layer4*=0.5'. If several match a parameter, the last one counts."""
    warmup_steps: int = 1000
    """Number of steps over which the learning rate rises linearly to its peak; 0 disables
    warm-up."""
    warmup_factor: float = 0.001
    """Learning rate at step 0, as a fraction of the peak."""
    schedule: Literal["step", "cosine", "constant"] = "step"
    """Learning rate after warm-up: multiplied by drop_factor at each milestone, decayed to zero
    along half a cosine, or constant."""
    milestones: tuple[int, ...] = (60000, 80000)
    """Steps at which the learning rate is multiplied by drop_factor (schedule 'step')."""
    drop_factor: float = 0.1
    """Factor on the learning rate at each milestone."""
    clip_norm: float = 0.0
    """Maximum global norm of the gradient; 0 disables clipping."""
    accumulate: int = 1
    """Number of batches whose gradients are averaged for one update."""
    ema_decay: float = 0.0
    """Decay of the exponential moving average of the parameters, which is then used for evaluation;
    0 disables it."""


@dataclasses.dataclass(frozen=True)
class AlternatingStep:
    """One step of alternating training."""

    trains: Literal["rpn", "fast_rcnn"] = "rpn"
    """Train the RPN, or Fast R-CNN on the proposals of the RPN trained last."""
    backbone: Literal["pretrained", "previous", "frozen"] = "pretrained"
    """Start from the run's initial backbone weights ('pretrained') or continue with those of the
    previous step ('previous'; 'frozen' does not train them)."""
    restart: tuple[str, ...] = ()
    """Parts to re-initialise: rpn_head, box_head, or a single layer such as box_head/cls_score."""
    steps: int = 80000
    """Number of training steps."""
    milestones: tuple[int, ...] = ()
    """Training steps, counted from the start of this one, at which the learning rate is multiplied
    by drop_factor (schedule 'step')."""


@dataclasses.dataclass(frozen=True)
class AlternatingConfig:
    """Alternating training (section 3.2 of the paper), used if train.scheme is 'alternating'."""

    steps: tuple[AlternatingStep, ...] = (
        AlternatingStep("rpn", "pretrained", (), 80000, (60000,)),
        AlternatingStep("fast_rcnn", "pretrained", (), 80000, (60000,)),
        AlternatingStep("rpn", "frozen", ("rpn_head",), 80000, (60000,)),
        AlternatingStep(
            "fast_rcnn", "frozen", ("box_head/cls_score", "box_head/bbox_pred"), 80000, (60000,)
        ),
    )
    """The steps in order; train.steps must be the sum of their lengths. The default is
    py-faster-rcnn's four steps of 80000 images each, at a batch size of 1."""
    keep_proposals: bool = False
    """Compute the proposals for a Fast R-CNN step once, before it, from unaugmented images, and
    keep them in memory (faster for small data sets). False computes them for every batch, from the
    augmented images."""


@dataclasses.dataclass(frozen=True)
class DiagnosticsConfig:
    """Gradient diagnostics: norms and cosines by loss, module and route through the gate."""

    every: int = 0
    """Number of steps between diagnostics; 0 disables them. Only the steps that compute them become
    slower."""
    curvature: bool = False
    """Also compute the curvature of the second stage's loss along its direct gradient and along the
    gradient through RoI pooling."""


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Arrangement of the devices of all hosts.

    Each batch is divided among all devices; results are the same up to rounding.
    """

    data: int = 0
    """Number of groups of devices, each of which holds all parameters; 0 uses all devices."""
    fsdp: int = 1
    """Number of devices in a group, across which large parameters and their optimiser state are
    sharded. 1 keeps all of them on every device."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Training."""

    scheme: Literal["joint", "alternating"] = "joint"
    """Train both stages together, with the gradient gate that model.proposals describes, or the RPN
    and Fast R-CNN in turn, as train.alternating describes."""
    alternating: AlternatingConfig = AlternatingConfig()
    batch_size: int = 16
    """Training batch size (global, across devices)."""
    steps: int = 90000
    """Total number of training steps."""
    epochs: float = 0.0
    """Length of training in passes over the training images, from which train.steps is computed;
    warm-up and milestones are then scaled by the same factor. 0 uses train.steps."""
    log_every: int = 20
    """Number of steps between log entries, which average the metrics in between."""
    eval_every: int = 5000
    """Number of steps between evaluations; 0 evaluates only after the last step, which is always
    evaluated."""
    checkpoint_every: int = 5000
    """Number of steps between checkpoints; the last step always writes one."""
    checkpoint_minutes: float = 0.0
    """Maximum number of minutes between checkpoints, for runs with slow steps; 0 uses
    checkpoint_every alone."""
    keep_checkpoints: int = 2
    """Number of checkpoints to keep."""
    keep_best: str = ""
    """Metric, such as eval/AP, by which the best evaluated checkpoint is kept besides the last
    ones. Higher is better, except for losses. Evaluation and prediction then use that checkpoint.
    Empty keeps only the last ones."""
    on_bad_checkpoint: Literal["stop", "last_good"] = "stop"
    """What to do if the last checkpoint is damaged: stop with an error, or resume from the last
    intact one."""
    on_changed_data: Literal["stop", "continue"] = "stop"
    """What to do if the data set has changed since the run began: stop with an error that says what
    changed, or print it and continue."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What to do if the losses or gradients of a step are not finite, in which case its update is
    left out: stop, and write WORKDIR/failure, with which the step can be repeated, or continue with
    the next batch."""
    max_skipped: int = 10
    """Number of skipped steps in a row after which training stops (on_nonfinite 'skip')."""
    stop_seconds: float = 30.0
    """Number of seconds after SIGTERM, SIGINT or SIGHUP in which the run finishes its step, saves
    and ends; after that, it ends without saving."""
    watchdog: float = 30.0
    """Multiple of the usual time of a step after which a run that has not completed another step is
    reported as stuck, and the stacks of its threads are written to the workdir; at least a minute.
    With several processes, the run then ends. 0 disables it."""
    patience: int = 0
    """Number of evaluations in a row without a better keep_best after which training ends; 0 never
    ends it early."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Where metrics go besides metrics.jsonl: any of tensorboard, wandb and mlflow. The latter two
    need jaxrcnn[wandb] or jaxrcnn[mlflow]."""
    init: str = ""
    """Initial weights: a run's workdir, the folder of a converted model, a weight file of
    torchvision, Detectron2 or timm (.pth, .pkl, .safetensors), or published weights such as
    fasterrcnn_resnet50_fpn:COCO_V1. MODEL:FILE names the model of a file whose tensors several
    models share. Empty starts from random weights."""
    init_strict: bool = True
    """Stop if the config differs from what the initial weights were trained with, or if a frozen
    norm has no weights. False trains nevertheless and lists the differences."""
    init_keep_classes: bool = True
    """If the classes differ from those of the initial weights, keep the rows of the last layers for
    classes of the same name; False re-initialises those layers as a whole."""
    init_restart: tuple[str, ...] = ()
    """Parts to re-initialise instead of loading from init: rpn_head, box_head, or a single layer
    such as box_head/fc6. If the classes differ, the last layers are adapted without this."""
    freeze: tuple[str, ...] = ()
    """Layers that are not trained, by name or pattern, such as backbone/layer1, neck or
    'backbone/body/layer3*', besides model.backbone.frozen_stages."""
    mesh: MeshConfig = MeshConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    diagnostics: DiagnosticsConfig = DiagnosticsConfig()


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Evaluation."""

    metric: Literal["coco", "voc07", "voc"] = "coco"
    """COCO's average precision is always computed. 'voc07' adds VOC 2007's 11-point average
    precision, 'voc' VOC's area under the curve."""
    backend: Literal["pycocotools", "faster_coco_eval"] = "pycocotools"
    """Library that computes COCO's numbers. 'faster_coco_eval' (pip install 'jaxrcnn[fast]') gives
    the same numbers in a fraction of the time."""
    max_detections: int = 100
    """Number of detections per image and class that are evaluated, at least 100 (COCO's number).
    With 300, the recall is called eval/AR300; raise model.detections.max_detections as well."""
    batch_size: int = 8
    """Evaluation batch size (global, across devices)."""
    images: int = 8
    """Number of images drawn with their detections after each evaluation."""


@dataclasses.dataclass(frozen=True)
class ProfileConfig:
    """A profile of some training steps, written to profile/ in the workdir.

    The results of the run do not depend on it.
    """

    start: int = 10
    """Number of training steps before the profile starts; the first ones include compilation."""
    steps: int = 0
    """Number of training steps to profile; 0 disables profiling."""


@dataclasses.dataclass(frozen=True)
class Config:
    """An experiment."""

    seed: int = 0
    """Random seed of parameter initialisation, data order, augmentation and sampling."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    profile: ProfileConfig = ProfileConfig()
