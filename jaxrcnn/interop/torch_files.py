"""What torch.save wrote, in its zip format (torch 1.6 and later) and in the one before."""

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from jaxrcnn.interop.tensors import ANEW, Storage, WeightFileError, printable
from jaxrcnn.interop.unpickling import Unpickler

MAX_MEMBER_GROWTH = 100
"""How many times larger than in the archive a member may be; torch does not compress."""

MAX_GROWTH = 16
"""How many times larger than the file all that comes out of it may be."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
"""The first of five pickles in the older format."""

BIG_ENDIAN = "was written on a big-endian machine; save it again on a little-endian one"


class Pickled(NamedTuple):
    """An unpickled tree, and where the numbers of its Tensors are."""

    tree: Any
    storage_bytes: Callable[[Storage], memoryview]  # raises WeightFileError


def read_zip(file: BinaryIO) -> Pickled:
    """Read the zip format. Storages are read when they are asked for, so keep the file open.

    Raises:
        WeightFileError: it is torn, a bomb, TorchScript, or no file of torch's.
    """
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # what is torn makes zipfile raise nearly any type
        raise WeightFileError(f"is a torn zip archive; {ANEW}") from error
    members = _checked_members(archive, file.seek(0, io.SEEK_END))
    root = _root(members)

    def read(name: str) -> bytes:
        if (path := f"{root}/{name}") not in members:
            raise WeightFileError(f"lacks its part {printable(name)}; {ANEW}")
        try:
            return archive.read(members[path])
        except Exception as error:  # as above; one of them is of a wrong checksum
            raise WeightFileError(f"has a torn part {printable(name)}; {ANEW}") from error

    if f"{root}/byteorder" in members and read("byteorder") != b"little":
        raise WeightFileError(BIG_ENDIAN)
    tree = Unpickler(io.BytesIO(read("data.pkl"))).load()
    parts: dict[str, bytes] = {}

    def storage_bytes(storage: Storage) -> memoryview:
        if storage.key not in parts:
            parts[storage.key] = read(f"data/{storage.key}")
        return _sized(parts[storage.key], storage)

    return Pickled(tree, storage_bytes)


def read_pickle(file: BinaryIO) -> Pickled:
    """Read torch's older format, or a plain pickle.

    Raises:
        WeightFileError: it is torn, or holds other things than weights.
    """
    stream = io.BytesIO(file.read())
    tree = Unpickler(stream).load()
    if isinstance(tree, int) and tree == MAGIC_NUMBER:
        return _read_legacy(stream)
    return Pickled(tree, _find_in({}))


def _read_legacy(stream: io.BytesIO) -> Pickled:
    """Read on behind the magic number: version, machine, tree, keys, and storage by storage."""
    Unpickler(stream).load()
    machine = Unpickler(stream).load()
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise WeightFileError(BIG_ENDIAN)
    unpickler = Unpickler(stream)
    tree = unpickler.load()
    keys = Unpickler(stream).load()
    named = unpickler.storages
    if not isinstance(keys, list) or not all(isinstance(k, str) and k in named for k in keys):
        raise WeightFileError(f"has storages that its pickle does not name; {ANEW}")
    parts = {}
    for key in keys:
        storage = named[key]
        header = stream.read(8)
        if len(header) < 8 or struct.unpack("<q", header) != (storage.size,):
            raise _missing(storage)
        parts[key] = _sized(stream.read(storage.size * storage.dtype.itemsize), storage)
    return Pickled(tree, _find_in(parts))


def _find_in(parts: dict[str, memoryview]) -> Callable[[Storage], memoryview]:
    def storage_bytes(storage: Storage) -> memoryview:
        if storage.key not in parts:
            raise _missing(storage)
        return parts[storage.key]

    return storage_bytes


def _sized(part: bytes, storage: Storage) -> memoryview:
    """The bytes of a storage, if there are as many as it says."""
    if len(part) != storage.size * storage.dtype.itemsize:
        raise _missing(storage)
    return memoryview(part)


def _missing(storage: Storage) -> WeightFileError:
    return WeightFileError(
        f"lacks numbers: {storage.size} of {storage.dtype.name} should be in its storage "
        f"{printable(storage.key)}; {ANEW}"
    )


def _checked_members(archive: zipfile.ZipFile, file_size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, if all of them are such as torch writes."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name, grown = member.filename, MAX_MEMBER_GROWTH * member.compress_size
        problem = (
            ("occurs twice" if name in members else "")
            or ("leads out of it" if name.startswith("/") or ".." in name.split("/") else "")
            or ("is encrypted" if member.flag_bits & 1 else "")
            or ("is compressed in a rare way" if member.compress_type not in METHODS else "")
            or ("is a zip bomb" if member.file_size > grown else "")
        )
        if problem:
            raise WeightFileError(f"has a part {printable(name)} that {problem}")
        members[name] = member
    if sum(member.file_size for member in members.values()) > MAX_GROWTH * file_size:
        raise WeightFileError(f"is a zip bomb: more than {MAX_GROWTH} times its size is in it")
    return members


def _root(members: dict[str, zipfile.ZipInfo]) -> str:
    """The one folder in the archive."""
    parts = [name.split("/", 2) for name in members]
    roots = [root for root, *rest in parts if rest == ["data.pkl"]]
    if len(roots) != 1:
        raise WeightFileError("is a zip archive without the data.pkl of torch.save")
    inside = {rest[0] for root, *rest in parts if root == roots[0] and rest}
    if inside & {"code", "constants.pkl"}:
        raise WeightFileError(
            "is a TorchScript program; save model.state_dict() of the model it was made of"
        )
    return roots[0]
