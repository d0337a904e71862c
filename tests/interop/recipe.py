"""Weights that both sides can make for themselves, so that no fixture has to carry them.

Every tensor of a torchvision-named state dict is drawn from a generator that is seeded by its
own name: the same name and shape give the same values everywhere. The scales keep activations
near one and scores well apart, so that a ranking does not hang on the last bit.
"""

import zlib

import numpy as np


def tensor(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Values of the state-dict entry `name`, float32, in torch's own layout (O, I, kH, kW)."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith("running_mean"):
        return rng.normal(0.0, 0.1, shape).astype(np.float32)
    if len(shape) == 1:
        if name.endswith("bias"):
            return rng.normal(0.0, 0.05, shape).astype(np.float32)
        scale = 0.3 if ".bn3." in name else 1.0  # the last norm of a residual branch
        return (scale * rng.uniform(0.8, 1.2, shape)).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    gain = 1.0
    if ".fpn." in name:
        gain = 0.35
    elif "bbox_pred" in name:
        gain = 0.3
    return (gain * rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)).astype(np.float32)


def state_dict(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    """All tensors of a model, from the names and shapes that the fixture lists."""
    return {name: tensor(name, tuple(shape), seed) for name, shape in shapes.items()}


def detectron2_state_dict(
    shapes: dict[str, tuple[int, ...]], pixel_std: tuple[float, ...], logit_gain: float
) -> dict[str, np.ndarray]:
    """All tensors of a Detectron2 detector, but its anchors and pixel statistics."""
    made = {}
    for name, shape in shapes.items():
        if "cell_anchors" in name or name.startswith("pixel_"):
            continue
        x = tensor(name, tuple(shape))
        if name.endswith("conv3.norm.weight") or "anchor_deltas" in name:
            x = x * np.float32(0.3)
        elif ".fpn_" in name and x.ndim > 1:
            x = x * np.float32(0.35)
        elif "cls_score" in name and x.ndim > 1:
            x = x * np.float32(logit_gain)
        elif name.endswith("stem.conv1.weight") and pixel_std[0] == 1:
            x = x / np.float32(58)
        made[name] = x
    return made
