"""Which fields make a model fit a tensor of another shape."""

from jaxrcnn.config import ModelConfig
from jaxrcnn.wording import counted


def remedy(path: str, shape: tuple[int, ...], config: ModelConfig) -> str:
    """What to do where a file's tensor does not fit.

    Args:
        path: of our array, such as box_head/cls_score/kernel.
        shape: of the peer's tensor, output channels first.
        config: of the detector.
    """
    part = path.rpartition("/")[0]
    if part in ("rpn_head/cls_logits", "rpn_head/bbox_pred") and shape:
        anchors = shape[0] // (1 if part.endswith("cls_logits") else 4)
        sizes, ratios = len(config.anchors.sizes[0]), len(config.anchors.ratios)
        if anchors != sizes * ratios:
            return (
                f"the file has {counted(anchors, 'anchor')} per location{_products(anchors)}, this "
                f"model {counted(sizes, 'size')} x {counted(ratios, 'ratio')}: set "
                "model.anchors.sizes and model.anchors.ratios to those it was trained with"
            )
    if part in ("box_head/cls_score", "box_head/bbox_pred") and shape:
        classes = shape[0] - 1 if part.endswith("cls_score") else shape[0] / 4
        return (
            f"set model.num_classes to {classes:g}, or re-initialise the last layers with "
            "--config.train.init_restart box_head/cls_score box_head/bbox_pred"
        )
    again = f"re-initialise this part with --config.train.init_restart {part}"
    for beginning, fields in FIELDS.items():
        if part.startswith(beginning):
            return f"set {fields} to what it was trained with, or {again}"
    return f"use a checkpoint of this model, or {again}"


FIELDS = {
    "backbone/body": "model.backbone.name and model.backbone.width",
    "backbone/fpn": "model.neck.channels and model.backbone.width",
    "rpn_head": "model.rpn.channels and model.neck.channels",
    "box_head/fc6": "model.box_head.channels, model.roi.output_size and model.neck.channels",
    "box_head": "model.box_head.channels",
}
"""How the paths of arrays begin, and the fields that their shapes follow from."""


def _products(anchors: int) -> str:
    """`` (1 x 6, 2 x 3)`` for 6."""
    ways = [f"{sizes} x {anchors // sizes}" for sizes in range(1, 13) if anchors % sizes == 0]
    return f" ({', '.join(ways)})" if ways else ""
