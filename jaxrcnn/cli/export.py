"""python -m jaxrcnn export MODEL --out DIR [--config.FIELD VALUE ...]"""

import argparse
import datetime
import os
import pathlib
import shutil
from collections.abc import Sequence

import jax
import numpy as np

from jaxrcnn.cli.run import load_model, say_checkpoint
from jaxrcnn.config import ConfigError
from jaxrcnn.interop.export import export_program, named_weights, preprocessing_of
from jaxrcnn.interop.weight_files import write_safetensors
from jaxrcnn.model import Model, check_proposes
from jaxrcnn.training.workdir import write_classes

PROGRAM, WEIGHTS = "program.bin", "weights.safetensors"

README = """\
# An object detector as one program

`{program}` holds all of it, from an image's pixels to the boxes in them: resizing, the network,
and NMS. jax runs it, on a CPU, an NVIDIA GPU or a TPU, without the library that made it (it takes
`pip install jax flatbuffers{more}`):

```python
{code}
```

Images are RGB, `(N, H, W, 3)` uint8, and the second argument is the height and width of each,
`(N, 2)` int32. `found` holds `boxes` `(N, {most}, 4)` (left, top, right, bottom, in pixels of the
image), `scores`, `labels` and `valid`; label k is the k-th name of `classes.json`.

## Images of different sizes

Each new shape of the array is compiled once. Pad images of different sizes to one shape, each in
the upper left corner; what lies beyond an image's size changes nothing:

```python
{padding}
```

Then `program.call({weights}*pad(images))` finds the objects of a list of images.

## Which jax

The program was written by jax {jax} on {date}, for calling convention {convention}. jax promises
that it runs with a jaxlib that is up to 6 months newer or 3 weeks older than that one
(https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees), and from 0.11.1 on it
refuses a program that is older: export the model again, or use `pip install jax=={jax}`.
"""

PADDING = """\
def pad(images, multiple=256):
    sizes = np.array([image.shape[:2] for image in images], np.int32)
    height, width = -(-sizes.max(axis=0) // multiple) * multiple  # so that there are few shapes
    batch = np.zeros((len(images), height, width, 3), np.uint8)
    for place, image in zip(batch, images):
        place[: image.shape[0], : image.shape[1]] = image
    return batch, sizes"""


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Export; the folder is written whole or not at all.

    Raises:
        ConfigError: there is no such model, it makes no proposals, a field cannot be changed, or
            --out is there already.
    """
    run = load_model(
        arguments.model, fields, arguments.pieces, arguments.checkpoint, arguments.dtype
    )
    say_checkpoint(run)
    check_proposes(run)
    out = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out: {out} is there already; take another folder, or remove it")
    if run.config.data.canvas == "exact":
        print("data.canvas=exact: an exported program pads images as with data.canvas=ladder")
    inside = arguments.weights == "inside"
    program = export_program(
        run.detector, preprocessing_of(run.config), run.variables, weights_inside=inside
    )
    write(out, run, program, inside)
    print(f"program   {out / PROGRAM}, {len(program) / 2**20:.0f} MiB")
    print(f"to run it {out / 'README.md'}")
    return 0


def write(out: pathlib.Path, run: Model, program: bytes, inside: bool) -> None:
    """Write the folder beside, and give it its name when it is whole."""
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        (partial / PROGRAM).write_bytes(program)
        if not inside:
            weights = {name: np.asarray(x) for name, x in named_weights(run.variables).items()}
            write_safetensors(partial / WEIGHTS, weights)
        write_classes(partial, *run.classes)
        (partial / "README.md").write_text(readme(run, program, inside), encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"--out: {out} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def readme(run: Model, program: bytes, inside: bool) -> str:
    """How to run the program, with which jax, and how to pad images."""
    weights = "" if inside else f'load_file("{WEIGHTS}"), '
    lines = [
        "import pathlib, jax, numpy as np",
        "from PIL import Image, ImageOps",
        *([] if inside else ["from safetensors.numpy import load_file"]),
        f'program = jax.export.deserialize(bytearray(pathlib.Path("{PROGRAM}").read_bytes()))',
        'image = ImageOps.exif_transpose(Image.open("image.jpg")).convert("RGB")',
        "image = np.asarray(image)[None]",
        f"found = program.call({weights}image, np.array([image.shape[1:3]], np.int32))",
    ]
    return README.format(
        program=PROGRAM,
        more=" pillow" if inside else " pillow safetensors",
        code="\n".join(lines),
        most=run.config.model.detections.max_detections,
        padding=PADDING,
        weights=weights,
        jax=jax.__version__,
        date=datetime.date.today().isoformat(),
        convention=jax.export.deserialize(bytearray(program)).calling_convention_version,
    )
