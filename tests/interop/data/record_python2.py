"""Record pickles of Python 2: python2 record_python2.py writes python2/ here, as Detectron did.

Needs Python 2.7 and numpy, and nothing of this project.
"""

import collections
import os
import pickle

import cPickle
import numpy as np

ARRAYS = [
    ("weight", np.arange(-3, 3, dtype=np.float32).reshape(2, 3)),
    ("fortran", np.arange(6, dtype=np.float64).reshape(2, 3).T),
    ("bytes", np.arange(256).astype(np.uint8)),
    ("big_endian", np.array([1, 2, -300], ">i4")),
    ("unicode", np.array([1.5], np.float16)),
    ("scalar", np.float32(2.25)),
    ("number", np.array(7)),
    ("empty", np.zeros((0, 3), np.float32)),
]


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python2")
    if not os.path.isdir(folder):
        os.mkdir(folder)
    files = {
        "detectron2.pkl": {
            "model": dict(ARRAYS),
            "__author__": "torchvision",
            "matching_heuristics": True,
        },
        "blobs.pkl": {"blobs": collections.OrderedDict(ARRAYS), "cfg": "A: 1\nB: caf\xe9\n"},
    }
    for name, tree in sorted(files.items()):
        for dump in (pickle.dump, cPickle.dump):
            with open(os.path.join(folder, dump.__module__ + "_" + name), "wb") as file:
                dump(tree, file, 2)
    np.savez_compressed(os.path.join(folder, "expected.npz"), **dict(ARRAYS))


if __name__ == "__main__":
    main()
