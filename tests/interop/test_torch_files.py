import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from jaxrcnn.interop import torch_files
from jaxrcnn.interop.weight_files import read_weights
from tests.interop.recorded import DATA, TORCH, assert_equal, complaint, expected_of


@pytest.mark.parametrize("name", ["zip.pth", "protocol4.pth", "legacy.pth"])
@pytest.mark.parametrize("folder", TORCH)
def test_recorded_tensors_are_read(folder, name):
    read = read_weights(DATA / folder / name)
    assert_equal(read.tensors, expected_of(folder))
    assert (read.author, read.matching_heuristics) == ("", False)


@pytest.mark.parametrize("name", ["checkpoint_zip.pth", "checkpoint_legacy.pth"])
@pytest.mark.parametrize("folder", TORCH)
def test_a_checkpoint_is_opened_to_its_weights(folder, name):
    tensors = read_weights(DATA / folder / name).tensors
    shapes = {"0.weight": (2, 2), "0.bias": (2,), "1.weight": (2,), "1.bias": (2,)}
    shapes |= {"1.running_mean": (2,), "1.running_var": (2,)}
    expected = {
        name: np.full(shape, index + 0.5, np.float32)
        for index, (name, shape) in enumerate(shapes.items())
    }
    assert_equal(tensors, {**expected, "1.num_batches_tracked": np.int64(6)})


@pytest.mark.parametrize("folder", TORCH)
def test_a_whole_model_is_refused(folder):
    said = complaint(DATA / folder / "model.pth")
    assert "torch.nn.modules.linear.Linear" in said
    assert "save model.state_dict() alone" in said


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
def test_tensors_of_one_storage_share_memory(name):
    tensors = read_weights(DATA / "torch_1.13" / name).tensors
    assert np.shares_memory(tensors["views.whole"], tensors["views.sliced"])
    assert np.shares_memory(tensors["tied.first"], tensors["tied.second"])
    assert not np.shares_memory(tensors["views.whole"], tensors["views.channels_last"])


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "checkpoint_legacy.pth"])
def test_a_file_that_is_cut_anywhere_is_one_line(name, tmp_path):
    path = tmp_path / name
    path.write_bytes((DATA / "torch_1.13" / name).read_bytes())
    for length in range(path.stat().st_size - 1, -1, -7):
        os.truncate(path, length)
        assert complaint(path)


def parts_of(name="torch_2.13/zip.pth"):
    with zipfile.ZipFile(DATA / name) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def write_zip(path, parts, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_was_packed_again_is_read(method, tmp_path):
    path = write_zip(tmp_path / "packed.pth", parts_of(), method)
    assert_equal(read_weights(path).tensors, expected_of("torch_2.13"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"zip/byteorder": b"big"}, "big-endian"),
        ({"zip/code/__torch__.py": b""}, "is a TorchScript program; save model.state_dict()"),
        ({"zip/constants.pkl": b""}, "is a TorchScript program"),
        ({"zip/data.pkl": None}, "without the data.pkl of torch.save"),
        ({"other/data.pkl": b""}, "without the data.pkl of torch.save"),
        ({"zip/data/0": None}, "lacks its part data/0;"),
        ({"zip/data/0": b"\0" * 47}, "lacks numbers: 6 of float64 should be in its storage 0;"),
        ({"zip/data/0": b"\0" * 49}, "lacks numbers"),
        (
            {"zip/data.pkl": pickle.dumps(print, 2)},
            "an object of __builtin__.print, which was not run",
        ),
        ({"zip/data.pkl": b"\x80\x02"}, "torn pickle"),
        ({"zip/data.pkl": pickle.dumps([1], 2)}, "holds no tensors by name, but one list"),
        ({"/etc/passwd": b""}, "has a part /etc/passwd that leads out of it"),
        ({"zip/../../x": b""}, "has a part zip/../../x that leads out of it"),
    ],
)
def test_a_changed_archive_is_one_line(changed, said, tmp_path):
    parts = {k: v for k, v in {**parts_of(), **changed}.items() if v is not None}
    assert said in complaint(write_zip(tmp_path / "changed.pth", parts))


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("a bomb was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", never)
    small, large = {"a/data.pkl": b"\x80\x02}."}, {"a/data/0": bytes(10**6)}
    path = write_zip(tmp_path / "bomb.pth", small | large, zipfile.ZIP_DEFLATED)
    assert "has a part a/data/0 that is a zip bomb" in complaint(path)
    # Each member below its limit, all of them together above theirs.
    many = {f"a/data/{index}": b"0123456789" * 100 for index in range(9)}
    path = write_zip(tmp_path / "bombs.pth", small | many, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(torch_files, "MAX_GROWTH", 3)
    assert "is a zip bomb: more than 3 times its size is in it" in complaint(path)
    path = write_zip(tmp_path / "rare.pth", small | large, zipfile.ZIP_BZIP2)
    assert "compressed in a rare way" in complaint(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice_is_refused(tmp_path):
    path = write_zip(tmp_path / "twice.pth", parts_of())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("zip/data.pkl", b"other")
    assert "has a part zip/data.pkl that occurs twice" in complaint(path)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = write_zip(tmp_path / "closed.pth", parts_of())
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flags in the table of contents
    path.write_bytes(content)
    assert "that is encrypted" in complaint(path)


def test_a_flipped_number_is_noticed_by_its_checksum(tmp_path):
    path = write_zip(tmp_path / "flipped.pth", parts_of())
    content = bytearray(path.read_bytes())
    content[content.index(parts_of()["zip/data/0"])] ^= 1
    path.write_bytes(content)
    assert "has a torn part data/0; download or save it again" in complaint(path)


MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def write_legacy(path, machine, content, keys, storages=b""):
    pickles = (MAGIC, VERSION, machine)
    head = b"".join(pickle.dumps(part, 2) for part in pickles)
    path.write_bytes(head + content + pickle.dumps(keys, 2) + storages)
    return path


def tensor(key, size, offset=0):
    """The pickle of {"x": a tensor of `size` float32}."""
    fields = b"X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + key + b"X\3\0\0\0cpu"
    size = b"K" + bytes([size])
    storage = b"(" + fields + size + b"NtQ"
    place = b"K" + bytes([offset]) + size + b"\x85K\1\x85\x89}"
    return b"\x80\2}X\1\0\0\0xctorch._utils\n_rebuild_tensor_v2\n(" + storage + place + b"tRs."


HERE = {"protocol_version": VERSION, "little_endian": True}
TWO = struct.pack("<qff", 2, 1.5, -2.0)


def test_the_older_format_byte_by_byte(tmp_path):
    path = write_legacy(tmp_path / "x.pth", HERE, tensor(b"k", 2), ["k"], TWO)
    found = read_weights(path).tensors["x"]
    assert found.dtype == np.float32
    assert found.tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("machine", "offset", "keys", "storages", "said"),
    [
        ({"little_endian": False}, 0, ["k"], TWO, "big-endian"),
        (HERE, 1, ["k"], TWO, "reaches to element 2 of the storage k with 2 elements"),
        (HERE, 0, ["k"], TWO[:-1], "lacks numbers: 2 of float32 should be in its storage k;"),
        (HERE, 0, ["k"], b"\3" + TWO[1:], "lacks numbers"),
        (HERE, 0, ["k"], b"", "lacks numbers"),
        (HERE, 0, [], b"", "lacks numbers"),
        (HERE, 0, ["other"], TWO, "storages that its pickle does not name"),
        (HERE, 0, [["k"]], TWO, "storages that its pickle does not name"),
        (HERE, 0, "k", TWO, "storages that its pickle does not name"),
    ],
)
def test_a_broken_file_of_the_older_format_is_one_line(
    machine, offset, keys, storages, said, tmp_path
):
    content = tensor(b"k", 2, offset)
    assert said in complaint(write_legacy(tmp_path / "x.pth", machine, content, keys, storages))
