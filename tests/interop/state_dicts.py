"""Names and shapes of torchvision's state dicts, and tensors for them."""

import gzip
import json
import pathlib
import zlib

import numpy as np

FILE = pathlib.Path(__file__).parent / "data" / "state_dicts.json.gz"
SHAPES = json.loads(gzip.decompress(FILE.read_bytes()))["shapes"]


def random_tensors(shapes, seed=0):
    """Random bits for float32 tensors, none of them NaN or infinite, and counts for the others."""
    tensors = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        if name.endswith("num_batches_tracked"):
            tensors[name] = rng.integers(0, 1000, shape)
        else:
            finite = np.uint32(0xBFFFFFFF)  # clears the exponent's highest bit
            tensors[name] = (rng.integers(0, 2**32, shape, np.uint32) & finite).view(np.float32)
    return tensors


def bits(x):
    x = np.asarray(x)
    return x.view(np.uint32) if x.dtype == np.float32 else x
