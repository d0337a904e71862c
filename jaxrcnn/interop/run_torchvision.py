"""torchvision run beside us, in a Python of its own that has it."""

import json
import pathlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.interop.naming import Tensors

RECORDER = pathlib.Path(__file__).with_name("record_torchvision.py")


def record(
    python: str, model: str, config: Config, tensors: Tensors, images: Sequence[np.ndarray]
) -> Mapping[str, np.ndarray]:
    """What torchvision's detector computes for images, in one batch; see `RECORDER`.

    Args:
        python: an interpreter that can import torchvision.
        model: torchvision's function.
        config: ours of it; sizes, counts and thresholds are handed on.
        tensors: the state dict.
        images: (H, W, 3) uint8 each.

    Raises:
        ConfigError: it cannot be run; with the last line that it said.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        _write(folder / "weights.npz", tensors)
        _write(folder / "images.npz", {f"image{i}": x for i, x in enumerate(images)})
        request = {
            **request_of(model, config),
            "weights": str(folder / "weights.npz"),
            "images": str(folder / "images.npz"),
        }
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        _run([python, str(RECORDER), str(folder / "request.json"), str(folder / "out.npz")])
        return dict(np.load(folder / "out.npz"))


def request_of(model: str, config: Config) -> dict[str, Any]:
    """What torchvision's detector is built from, but its weights: `record_torchvision.build`."""
    backbone = config.model.backbone
    return {
        "model": model,
        "classes": config.model.num_classes + 1,
        "frozen_epsilon": backbone.norm_epsilon if backbone.norm == "frozen" else None,
        "options": options_of(config),
    }


def options_of(config: Config) -> dict[str, float]:
    """The arguments of torchvision's functions that the config has fields for."""
    proposals, detections = config.model.proposals, config.model.detections
    return {
        "min_size": config.data.short_side,
        "max_size": config.data.long_side,
        "rpn_pre_nms_top_n_test": proposals.pre_nms_test,
        "rpn_post_nms_top_n_test": proposals.post_nms_test,
        "rpn_nms_thresh": proposals.nms_iou,
        "rpn_score_thresh": proposals.score_threshold,
        "box_score_thresh": detections.score_threshold,
        "box_nms_thresh": detections.nms_iou,
        "box_detections_per_img": detections.max_detections,
    }


def _write(path: pathlib.Path, arrays: Tensors) -> None:
    np.savez(path, allow_pickle=False, **arrays)


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise cannot_run(command[0], error) from error
    if done.returncode:
        raise did_not_run(command[0], done.stderr)


def cannot_run(python: str, error: OSError) -> ConfigError:
    """That there is no such interpreter."""
    return ConfigError(f"{python} cannot be run ({error.strerror})")


def did_not_run(python: str, said: str) -> ConfigError:
    """That torchvision's process ended, with the last line that it said."""
    last = (said.strip().splitlines() or ["it said nothing"])[-1]
    return ConfigError(
        f"torchvision did not run under {python} ({last}); "
        "--peer-python takes a Python that has torchvision"
    )
