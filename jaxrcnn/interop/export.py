"""The whole of inference as one program: preprocessing, network and NMS, for any jax to run.

The program takes images of any size, padded to one shape, and finds boxes in their own pixels.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrcnn.config import Config
from jaxrcnn.data.buckets import ladder
from jaxrcnn.data.transforms import Size
from jaxrcnn.detector import Detector, Variables
from jaxrcnn.ops.boxes import clip
from jaxrcnn.ops.resize import resize
from jaxrcnn.ops.resized_size import Method, resized_size
from jaxrcnn.types import Array, Detections

PLATFORMS = ("cpu", "cuda", "tpu")


class Preprocessing(NamedTuple):
    """How images become the network's input; hashable."""

    short_side: int
    long_side: int
    method: Any  # see `jaxrcnn.ops.resize`

    @property
    def canvases(self) -> tuple[Size, ...]:
        """Heights and widths of the network's input, see `jaxrcnn.data.buckets.ladder`."""
        return ladder(self.short_side, self.long_side)


def preprocessing_of(config: Config) -> Preprocessing:
    """That of a config's evaluation."""
    return Preprocessing(config.data.short_side, config.data.long_side, config.data.resize)


def find_objects(
    detector: Detector,
    preprocessing: Preprocessing,
    variables: Variables,
    images: Array,
    image_sizes: Array,
) -> Detections:
    """Detections in images as they are; a pure function, to be used in one's own jit.

    The network runs once for each canvas that images of the batch need, so that what is found in an
    image does not depend on the others. Images of one shape are the quickest.

    Args:
        detector: static.
        preprocessing: static.
        variables: of the detector.
        images: (N, H, W, 3) uint8 or float32, RGB, 0..255; anything beyond image_sizes.
        image_sizes: (N, 2) int32, height and width of each image inside the padding.

    Returns:
        What the detector's `infer` does, Detections (N, D, ...), boxes in pixels of the images.
    """
    short_side, long_side, method = preprocessing
    sizes = jax.vmap(lambda size: resized_size(size, short_side, long_side, method))(image_sizes)
    canvases = preprocessing.canvases
    fits = (sizes[:, None] <= jnp.array(canvases)).all(axis=2)  # (N, canvases)
    needed = jnp.argmax(fits, axis=1)  # (N,) the first that fits

    def find_on(canvas: Size) -> Callable[[], Detections]:
        return lambda: _find_on_canvas(
            detector, method, variables, images, image_sizes, sizes, canvas
        )

    # A detector of one's own may find more than boxes: the shapes are what it returns.
    shapes = jax.eval_shape(find_on(canvases[0]))
    found = nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    for number, canvas in enumerate(canvases):
        own = needed == number
        here = jax.lax.cond(jnp.any(own), find_on(canvas), lambda: nothing)
        found = jax.tree.map(functools.partial(_where_rows, own), here, found)
    return found


def _where_rows(own: Array, chosen: Array, other: Array) -> Array:
    """Rows of `chosen` where `own` (N,) is true, else of `other`."""
    return jnp.where(own.reshape(-1, *[1] * (chosen.ndim - 1)), chosen, other)


def _find_on_canvas(
    detector: Detector,
    method: Method,
    variables: Variables,
    images: Array,
    image_sizes: Array,
    sizes: Array,
    canvas: Size,
) -> Detections:
    """Detections of all images, resized to `sizes` (N, 2); of use for those that fit the canvas."""
    sizes = jnp.minimum(sizes, jnp.array(canvas))
    resized = jax.vmap(lambda image, size, new_size: resize(image, size, new_size, canvas, method))(
        images, image_sizes, sizes
    )
    found = detector.infer(detector, variables, resized, sizes)
    scales = image_sizes / sizes.astype(jnp.float32)  # (N, 2)
    boxes = found.boxes * jnp.concatenate([scales, scales], 1)[:, None, jnp.array([1, 0, 3, 2])]
    return found._replace(boxes=jax.vmap(clip)(boxes, image_sizes.astype(jnp.float32)))


def export_program(
    detector: Detector,
    preprocessing: Preprocessing,
    variables: Variables,
    *,
    weights_inside: bool = True,
) -> bytes:
    """The program, serialised; for CPU, CUDA and TPU, and any number and shape of images.

    Its arguments are images (N, H, W, 3) uint8 and their sizes (N, 2) int32, and before them,
    where the weights are not inside, a dict of arrays as `named_weights` makes it. It returns a
    dict of boxes, scores, labels and valid, see `jaxrcnn.types.Detections`.
    """
    n, h, w = jax.export.symbolic_shape("n, h, w")
    pixels = jax.ShapeDtypeStruct((n, h, w, 3), jnp.uint8)
    sizes = jax.ShapeDtypeStruct((n, 2), jnp.int32)

    def inside(images: Array, image_sizes: Array) -> dict[str, Array]:
        found = find_objects(detector, preprocessing, variables, images, image_sizes)
        return found._asdict()

    def beside(weights: dict[str, Array], images: Array, image_sizes: Array) -> dict[str, Array]:
        own = unnamed_weights(weights, variables)
        return find_objects(detector, preprocessing, own, images, image_sizes)._asdict()

    export = functools.partial(jax.export.export, platforms=PLATFORMS)
    if weights_inside:
        exported = export(jax.jit(inside))(pixels, sizes)
    else:
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), named_weights(variables)
        )
        exported = export(jax.jit(beside))(shapes, pixels, sizes)
    return bytes(exported.serialize())


def named_weights(variables: Variables) -> dict[str, Array]:
    """The variables as a flat dict, such as safetensors hold."""
    return {_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(variables)}


def unnamed_weights(weights: dict[str, Array], like: Variables) -> Variables:
    """The inverse of `named_weights`."""
    return jax.tree_util.tree_map_with_path(lambda path, _: weights[_name(path)], like)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
