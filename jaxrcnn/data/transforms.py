"""Resizing, mirroring and padding of pictures with their boxes, in numpy and Pillow."""

import numpy as np

Size = tuple[int, int]
"""Height and width in pixels."""


def resize_scale(size: Size, short_side: int, long_side: int, bucket: Size | None = None) -> float:
    """Factor that brings the short side to `short_side`, the long one to `long_side` at most.

    Args:
        size: of the picture.
        short_side: wanted shorter side, pixels.
        long_side: largest longer side, pixels.
        bucket: shape that the picture has to fit into as well.

    Source: Fast R-CNN (1504.08083), section 5; as torchvision and Detectron2 do.
    """
    scale = min(short_side / min(size), long_side / max(size))
    if bucket is not None:
        scale = min(scale, bucket[0] / size[0], bucket[1] / size[1])
    return scale


def resized_size(size: Size, short_side: int, long_side: int, bucket: Size | None = None) -> Size:
    """Size of the picture after `resize_scale`, rounded to whole pixels, at least one each way."""
    scale = resize_scale(size, short_side, long_side, bucket)
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def resize(image: np.ndarray, boxes: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Resize a picture bilinearly (antialiased where it shrinks), and its boxes.

    Args:
        image: (H, W, 3) uint8.
        boxes: (G, 4) float32 in pixels of `image`.
        size: wanted height and width.

    Returns:
        The picture, (h, w, 3) uint8, and the boxes scaled by h / H and w / W, (G, 4) float32.
    """
    from PIL import Image

    height, width = size
    if image.shape[:2] == (height, width):
        return image, boxes
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    y_scale, x_scale = height / image.shape[0], width / image.shape[1]
    scales = np.array([x_scale, y_scale, x_scale, y_scale], np.float32)
    return np.asarray(picture), boxes * scales


def horizontal_flip(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror a picture (H, W, 3) left to right, and its boxes (G, 4) float32: x becomes W - x."""
    width = np.float32(image.shape[1])
    x0, y0, x1, y1 = boxes.T
    return image[:, ::-1], np.stack([width - x1, y0, width - x0, y1], axis=1)


def vertical_flip(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror a picture (H, W, 3) top to bottom, and its boxes (G, 4) float32: y becomes H - y."""
    height = np.float32(image.shape[0])
    x0, y0, x1, y1 = boxes.T
    return image[::-1], np.stack([x0, height - y1, x1, height - y0], axis=1)


def pad(image: np.ndarray, bucket: Size) -> np.ndarray:
    """The picture (H, W, 3) in the upper left corner of black (bucket height, bucket width, 3)."""
    padded = np.zeros((*bucket, 3), image.dtype)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded
