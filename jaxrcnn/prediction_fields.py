"""The fields of a trained model's config that may be changed: its weights do not depend on them."""

import difflib
import numbers
from collections.abc import Mapping
from typing import Any

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import field_types, field_values, replace_fields
from jaxrcnn.peer_fields import peer_hint
from jaxrcnn.validation import check_prediction

CHANGEABLE = (
    "model.compute_dtype",
    "model.proposals.pre_nms_test",
    "model.proposals.post_nms_test",
    "model.proposals.nms_iou",
    "model.proposals.min_size",
    "model.proposals.score_threshold",
    "model.detections.",
    "data.short_side",
    "data.long_side",
    "data.resize",
    "data.canvas",
    "data.decoder",
    "data.max_pixels",
    "data.read_timeout",
)
"""Fields that decide what a trained model finds, or how their names begin."""

FIXED = (
    "model.num_classes",
    "model.pixel_mean",
    "model.pixel_std",
    "model.backbone.name",
    "model.backbone.norm",  # and norm_epsilon
    "model.backbone.stride_in_1x1",
    "model.backbone.dilated_res5",
    "model.backbone.width",
    "model.neck.",
    "model.anchors.",
    "model.rpn.channels",
    "model.rpn.convs",
    "model.rpn.coder_weights",
    "model.roi.",
    "model.box_head.name",
    "model.box_head.channels",
    "model.box_head.conv",  # conv_channels and convs
    "model.box_head.norm",
    "model.box_head.class_agnostic",
    "model.box_head.class_loss",
    "model.box_head.coder_weights",
    "data.classes",
)
"""Fields that the weights depend on, or how their names begin. All others matter to training and
evaluation alone."""

SHORT = {
    "score_threshold": "model.detections.score_threshold",
    "nms_iou": "model.detections.nms_iou",
}
"""Short names that proposals have too, and what they mean: what people change most."""


def replace_prediction_fields(config: Config, fields: Mapping[str, Any]) -> Config:
    """A trained model's config with other thresholds, limits or image sizes.

    Args:
        config: of the model.
        fields: new values by dotted name, such as ``model.proposals.nms_iou``, or by any end of
            one that begins at a dot, such as ``max_detections``; ``score_threshold`` and
            ``nms_iou`` are those of model.detections.

    Raises:
        ConfigError: a name is unknown or ambiguous, the weights depend on the field, it does not
            affect prediction, or the value is invalid.
    """
    named = {full_name(name): _plain(value) for name, value in fields.items()}
    for name in named:
        _check_changeable(name, field_values(config)[name])
    config = replace_fields(config, named)
    if named:
        check_prediction(config)
    return config


def full_name(name: str) -> str:
    """The dotted name of the field that a name means, see `replace_prediction_fields`.

    Raises:
        ConfigError: it means none, or several.
    """
    known = field_types()
    name = SHORT.get(name, name)
    matches = [field for field in known if field == name or field.endswith(f".{name}")]
    for candidates in (matches, [field for field in matches if field.startswith(CHANGEABLE)]):
        if len(candidates) == 1:
            return candidates[0]
    hint = peer_hint(name, known)
    hint = f"; {hint}" if hint else ""
    if matches:
        raise ConfigError(f"{name} is ambiguous: it may be {' or '.join(matches)}{hint}")
    raise ConfigError(f"{name} is not a field{hint or _nearest(name)}")


def _nearest(name: str) -> str:
    last = {
        field.rpartition(".")[2]: field for field in field_types() if field.startswith(CHANGEABLE)
    }
    found = difflib.get_close_matches(name.rpartition(".")[2], last, n=1)
    return f"; did you mean {last[found[0]]}?" if found else f"; {_changeable()}"


def _check_changeable(name: str, value: Any) -> None:
    if name.startswith(CHANGEABLE):
        return
    if name.startswith(FIXED):
        raise ConfigError(
            f"{name} cannot be changed: the weights were trained with {value!r} and depend on it"
        )
    raise ConfigError(f"{name} has no effect on prediction; {_changeable()}")


def _changeable() -> str:
    *names, last = (f"{name}*" if name.endswith(".") else name for name in CHANGEABLE)
    return f"{', '.join(names)} and {last} can be set"


def _plain(value: Any) -> Any:
    """Python's number for one of numpy's."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)
