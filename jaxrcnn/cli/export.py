"""python -m jaxrcnn export MODEL --out DIR [--config.FIELD VALUE ...]"""

import argparse
import os
import pathlib
import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jaxrcnn.cli.run import load_model
from jaxrcnn.config import ConfigError
from jaxrcnn.detector import build
from jaxrcnn.interop.export import export_program, named_weights, preprocessing_of
from jaxrcnn.interop.weight_files import write_safetensors
from jaxrcnn.model import Model, check_proposes
from jaxrcnn.training.workdir import write_classes

PROGRAM, WEIGHTS = "program.bin", "weights.safetensors"

README = """\
# An object detector as one program

`{program}` holds all of it, from an image's pixels to the boxes in them: resizing, the network,
and NMS. Any jax runs it, on a CPU, an NVIDIA GPU or a TPU, without the library that made it (it
takes `pip install jax flatbuffers{more}`):

```python
{code}
```

Images are RGB, `(N, H, W, 3)` uint8; of different sizes they are padded to one shape, each in
the upper left corner, and the second argument is the height and width of each. `found` holds
`boxes` `(N, {most}, 4)` (left, top, right, bottom, in pixels of the image), `scores`, `labels`
and `valid`; label k is the k-th name of `classes.json`. Each new shape of images is compiled
once.
"""


def main(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    """Export; the folder is written whole or not at all.

    Raises:
        ConfigError: there is no such model, it makes no proposals, a field cannot be changed, or
            --out is there already.
    """
    run = load_model(arguments.model, fields)
    check_proposes(run)
    out = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out: {out} is there already; take another folder, or remove it")
    inside = arguments.weights == "inside"
    model = replace(
        run.config.model, compute_dtype=arguments.dtype or run.config.model.compute_dtype
    )
    program = export_program(
        build(model), preprocessing_of(run.config), run.variables, weights_inside=inside
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
        (partial / "README.md").write_text(readme(run, inside), encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"--out: {out} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def readme(run: Model, inside: bool) -> str:
    """How to run the program, in five lines or six."""
    lines = [
        "import pathlib, jax, numpy as np",
        "from PIL import Image",
        *([] if inside else ["from safetensors.numpy import load_file"]),
        f'program = jax.export.deserialize(bytearray(pathlib.Path("{PROGRAM}").read_bytes()))',
        'image = np.asarray(Image.open("image.jpg").convert("RGB"))[None]',
        "found = program.call("
        + ("" if inside else f'load_file("{WEIGHTS}"), ')
        + "image, np.array([image.shape[1:3]], np.int32))",
    ]
    return README.format(
        program=PROGRAM,
        more=" pillow" if inside else " pillow safetensors",
        code="\n".join(lines),
        most=run.config.model.detections.max_detections,
    )
