import io
import json
import os
import pickle
import random
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from jaxrcnn.config import ConfigError
from jaxrcnn.interop import weight_files
from jaxrcnn.interop.tensors import WeightFileError
from jaxrcnn.interop.weight_files import read_safetensors, read_weights, write_safetensors
from tests.interop.recorded import DATA, assert_equal, complaint, expected_of

WEIGHTS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(2)}


def write_pickle(path, tree):
    path.write_bytes(pickle.dumps(tree, 4))
    return path


@pytest.mark.parametrize("writer", ["pickle", "cPickle"])
def test_files_of_python_2_are_read(writer):
    expected = expected_of("python2")
    read = read_weights(DATA / "python2" / f"{writer}_detectron2.pkl")
    assert_equal(read.tensors, expected)
    assert (read.author, read.matching_heuristics) == ("torchvision", True)
    read = read_weights(DATA / "python2" / f"{writer}_blobs.pkl")
    assert_equal(read.tensors, expected)
    assert (read.author, read.matching_heuristics) == ("", False)


@pytest.mark.parametrize(
    "tree",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3, "arch": "resnet50"},
        {"model": WEIGHTS, "optimizer": {"state": {0: {"step": 1}}, "param_groups": []}},
        {"model_state_dict": WEIGHTS},
        {"blobs": WEIGHTS},
        {"model": {"state_dict": WEIGHTS, "meta": None}},
        {f"module.{name}": value for name, value in WEIGHTS.items()},
    ],
)
def test_the_usual_envelopes_are_opened(tree, tmp_path):
    assert_equal(read_weights(write_pickle(tmp_path / "x", tree)).tensors, WEIGHTS)


def test_a_module_that_begins_only_some_names_stays(tmp_path):
    tree = {"module.x": np.ones(1), "model": np.ones(2)}
    assert_equal(read_weights(write_pickle(tmp_path / "x", tree)).tensors, tree)


@pytest.mark.parametrize("tree", [{**WEIGHTS, "epoch": 3}, {"model": {**WEIGHTS, "more": {}}}])
def test_values_among_the_tensors_are_left_out_and_named(tree, tmp_path):
    read = read_weights(write_pickle(tmp_path / "x", tree))
    assert_equal(read.tensors, WEIGHTS)
    assert any(word in read.notes[-1] for word in ("left out            epoch", "more"))


def test_a_safetensors_file_has_prefixes_and_several_networks_too(tmp_path):
    detector = {"rpn.head.cls_logits.weight": np.ones(3), "roi_heads.box_head.w": np.ones(2)}
    averaged = {f"ema.module.{name}": x * 2 for name, x in detector.items()}
    write_safetensors(tmp_path / "x", {f"model.{k}": x for k, x in detector.items()} | averaged)
    read = read_weights(tmp_path / "x")
    assert_equal(read.tensors, detector)
    assert "--key ema" in read.notes[-1]
    chosen = read_weights(tmp_path / "x", "ema").tensors
    assert_equal(chosen, {name: x * 2 for name, x in detector.items()})


CIRCLE = {}
CIRCLE["model"] = CIRCLE


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({}, "holds no tensors by name; its entries are: nothing"),
        ({"epoch": 1, "lr\n": 0.1}, "holds no tensors by name; its entries are: epoch, lr\\n"),
        ({"model": {}}, "holds no tensors by name; its entries are: model"),
        (CIRCLE, "holds no tensors by name; its entries are: model"),
        ([np.ones(2)], "holds no tensors by name, but one list"),
        (np.ones(2), "holds no tensors by name, but one Array"),
        (None, "holds no tensors by name, but one NoneType"),
        ({0: np.ones(2)}, "holds a tensor under the number 0; save the state dict of a model"),
        (
            {"model": {**WEIGHTS, "a.scale": json.JSONDecoder}},
            "holds a.scale among its tensors, which is made by json.decoder.JSONDecoder; it was "
            "not run",
        ),
        (
            {**WEIGHTS, "a.names": np.array(["a"])},
            "holds a.names among its tensors, which is made by numpy.dtype U1",
        ),
    ],
)
def test_what_is_no_state_dict_is_one_line(tree, said, tmp_path):
    assert said in complaint(write_pickle(tmp_path / "x.pth", tree))


def test_a_missing_file_and_a_folder_are_one_line(tmp_path):
    assert "No such file" in complaint(tmp_path / "none.pth")
    assert "is a directory, not a regular file" in complaint(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is a named pipe, not a regular file" in complaint(tmp_path / "pipe")
    with pytest.raises(ConfigError):  # which the commands print
        read_weights(tmp_path)


def image(kind):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (image("JPEG"), "is a JPEG image"),
        (image("PNG"), "is a PNG image"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "is a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (b"storages".ljust(257, b"\0") + b"ustar\0", "torch before 0.1.10"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"no weights at all", "is no weight file"),
        (b"\x80", "is no weight file"),
        (b"\x80\x07", "is no weight file"),
        (b"PK", "torn zip archive"),
        (b"PK\5\6" + bytes(18), "zip archive without the data.pkl"),
        (b"\x80\x02junk", "holds"),
        (bytes(8) + b"{", "torn .safetensors"),
        (b"\xff" * 8 + b"{", "torn .safetensors"),
    ],
)
def test_a_file_of_another_kind_is_one_line(content, said, tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    assert said in complaint(path)


def test_tensors_far_larger_than_their_file_are_refused(tmp_path):
    fields = b"X\7\0\0\0storagectorch\nByteStorage\nX\1\0\0\x000X\3\0\0\0cpuK\1"
    head = b"\x80\2}X\1\0\0\0xctorch._utils\n_rebuild_tensor\n((" + fields + b"tQK\0\x8a\4"
    path = tmp_path / "x"
    for size, said in ((2**21, "is a bomb"), (2**19, "lacks numbers")):
        path.write_bytes(head + struct.pack("<i", size) + b"\x85K\0\x85tRs.")
        assert said in complaint(path)


def by_hand(header, numbers):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def test_a_safetensors_file_is_read_by_its_content(tmp_path):
    path = tmp_path / "weights.bin"
    header = {
        "__metadata__": {"format": "pt"},
        "module.a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "module.b": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]},
        "module.c": {"dtype": "I64", "shape": [], "data_offsets": [12, 20]},
        "module.d": {"dtype": "F16", "shape": [0, 3], "data_offsets": [20, 20]},
    }
    path.write_bytes(by_hand(header, struct.pack("<ffHHq", 1.5, -2, 0x3F80, 0xC000, 7)))
    found = read_weights(path).tensors
    expected = {
        "a": np.array([[1.5, -2]], np.float32),
        "b": np.array([1, -2], ml_dtypes.bfloat16),
        "c": np.array(7),
        "d": np.zeros((0, 3), np.float16),
    }
    assert_equal(found, expected)


@pytest.mark.parametrize(
    ("header", "numbers", "said"),
    [
        ({}, b"", "holds no tensors"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4), "torn"),
        ({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}}, bytes(4), "torn"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(5), "torn"),
        ({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, bytes(4), "torn"),
        ({"a": {"dtype": "F8_E5M2", "shape": [4], "data_offsets": [0, 4]}}, bytes(4), "torn"),
        ({"a": 3}, b"", "torn"),
    ],
)
def test_a_broken_safetensors_file_is_one_line(header, numbers, said, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(by_hand(header, numbers))
    assert said in complaint(path)


def test_a_safetensors_file_can_be_read_as_it_is(tmp_path):
    tensors = {f"module.{name}": x for name, x in WEIGHTS.items()}
    write_safetensors(tmp_path / "x", tensors)
    assert_equal(read_safetensors(tmp_path / "x"), tensors)
    with pytest.raises(WeightFileError, match="none: "):
        read_safetensors(tmp_path / "none")


LAYOUTS = {
    "transposed": WEIGHTS["a.weight"].T,
    "strided": np.arange(24, dtype=np.int32)[::5],
    "expanded": np.broadcast_to(np.float32(2.5), (2, 3)),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.array([1, 2], ">i2"),
    "bfloat16": np.array([1, -2], ml_dtypes.bfloat16),
    "scalar": np.array(3),
    "empty": np.zeros((0, 2), np.float16),
    "flags": np.array([True, False]),
}


def test_what_is_written_is_read_by_the_library(tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, LAYOUTS, {"model": "r50"})
    assert_equal(safetensors.numpy.load_file(path), LAYOUTS)
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt", "model": "r50"}
    assert_equal(read_weights(path).tensors, LAYOUTS)


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_what_was_read_can_be_written(name, tmp_path):
    tensors = read_weights(DATA / "torch_2.13" / name).tensors
    write_safetensors(tmp_path / "x", tensors)
    assert_equal(read_weights(tmp_path / "x").tensors, expected_of("torch_2.13"))


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, WEIGHTS)

    def fail(*_):
        raise OSError(28, "No space left on device")

    for tensors in ({"a": np.array([None])}, {"a": np.array(["text"])}):
        with pytest.raises(WeightFileError, match="safetensors: cannot be written"):
            write_safetensors(path, tensors)
    monkeypatch.setattr(weight_files.os, "replace", fail)
    with pytest.raises(WeightFileError, match="safetensors: No space left on device"):
        write_safetensors(path, LAYOUTS)
    monkeypatch.undo()
    with pytest.raises(WeightFileError, match="No such file"):
        write_safetensors(tmp_path / "none" / "x", WEIGHTS)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert_equal(read_weights(path).tensors, WEIGHTS)


def small_files(tmp_path):
    write_safetensors(tmp_path / "x", LAYOUTS)
    names = ("torch_2.13/zip.pth", "torch_1.13/legacy.pth", "python2/cPickle_detectron2.pkl")
    return [(tmp_path / "x").read_bytes(), *((DATA / name).read_bytes() for name in names)]


def test_a_safetensors_or_pickle_that_is_cut_anywhere_is_one_line(tmp_path):
    path = tmp_path / "cut"
    for whole in small_files(tmp_path)[::3]:
        path.write_bytes(whole)
        for length in range(len(whole) - 1, -1, -1):
            os.truncate(path, length)
            assert complaint(path)


def flipped(whole, flips):
    content = bytearray(whole)
    for place, value in flips:
        content[place] = value
    return content


def test_flipped_bytes_end_in_arrays_or_in_one_line(tmp_path):
    rng = random.Random(0)
    path, arrays, said = tmp_path / "flipped", 0, []
    for whole in small_files(tmp_path):
        path.write_bytes(whole)
        for _ in range(1000):
            flips = [
                (rng.randrange(len(whole)), rng.randrange(256))
                for _ in range(rng.choice((1, 1, 2, 8)))
            ]
            with path.open("r+b") as file:
                file.write(flipped(whole, flips))
            try:
                tensors = read_weights(path).tensors
            except WeightFileError as error:
                said.append(str(error))
            else:
                assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())
                arrays += 1
    assert min(arrays, len(said)) > 500
    assert "\n" not in "".join(said)
