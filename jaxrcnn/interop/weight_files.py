"""Weight files of any format as named arrays, and .safetensors written."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

import ml_dtypes  # noqa: F401  (once it is loaded, safetensors knows bfloat16)
import numpy as np

from jaxrcnn.interop.state_dicts import find_state_dict
from jaxrcnn.interop.tensors import ANEW, WeightFileError
from jaxrcnn.interop.torch_files import MAX_GROWTH, Pickled, read_pickle, read_zip
from jaxrcnn.opening import check_regular, open_file

HEAD = 512
"""Bytes that tell the format."""

SLACK = 2**20
"""Bytes that the tensors of even the smallest file may take."""

FOREIGN = (
    (b"version https://git-lfs", "a git-lfs pointer instead of the file; run git lfs pull"),
    (b"<", "a web page that a server sent instead of the file; download it again"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them"),
)
"""First bytes behind white space, and what begins with them."""


class WeightFile(NamedTuple):
    """What a weight file holds."""

    tensors: dict[str, np.ndarray]  # not to be written to; may share memory
    author: str = ""  # who wrote it by its own account: "Detectron2 Model Zoo", "torchvision"
    matching_heuristics: bool = False  # Detectron2's: names are to be matched by their ends
    notes: tuple[str, ...] = ()  # which entry was read, what was taken off names and left out


def read_weights(path: str | os.PathLike[str], key: str = "") -> WeightFile:
    """Read the named tensors of a file without running what is in it.

    The format is told by the content: what torch.save wrote of a state dict or of a checkpoint (in
    both formats), a .safetensors, or a pickle of numpy arrays. Where the weights are in it, and
    what a training loop has put before their names, `find_state_dict` finds out.

    Args:
        path: of the file.
        key: of the weights in the file, where it holds several; see `find_state_dict`.

    Returns:
        The tensors in the file's types; bfloat16 is that of ml_dtypes.

    Raises:
        WeightFileError: the file is missing, torn or foreign, or holds no tensors, several
            networks, or weights that only code could make.
    """
    with _naming(path), open_file(path) as file:
        return _read(file, path, key)


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """All tensors of a .safetensors, under the names that they have there.

    Raises:
        WeightFileError: the file is missing, torn, or holds no tensors.
    """
    with _naming(path):
        check_regular(path)
        return _load_safetensors(path)


def _read(file: BinaryIO, path: str | os.PathLike[str], key: str) -> WeightFile:
    head = file.read(HEAD)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if head[:2] == b"PK":
        return _weights(read_zip(file), size, key)
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return _weights(read_pickle(file), size, key)
    if head[8:9] == b"{":
        tensors, notes = find_state_dict(_load_safetensors(path), key)
        return WeightFile(tensors, notes=notes)
    raise WeightFileError(f"is {_foreign(head)}")


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a .safetensors beside, and rename it when it is whole.

    Args:
        path: of the file.
        tensors: by name, of any layout in memory.
        metadata: texts for the header, beside ``format``, which is ``pt`` as torch's programs
            expect it.

    Raises:
        WeightFileError: it cannot be written, or has a type that the format lacks.
    """
    from safetensors.numpy import save

    path = pathlib.Path(path)
    temporary = path.with_name(path.name + ".tmp")
    # Of a view, safetensors would write what lies behind it in memory.
    dense = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    with _naming(path):
        try:
            content = save(dense, {"format": "pt", **(metadata or {})})
        except Exception as error:  # the library's own, KeyErrors, TypeErrors
            raise WeightFileError(f"cannot be written ({_line(error)})") from error
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except OSError as error:
        raise WeightFileError(f"{os.fspath(path)}: {error.strerror or error}") from error
    except WeightFileError as error:
        raise WeightFileError(f"{os.fspath(path)}: {error}") from error


def _foreign(head: bytes) -> str:
    """What a file is, if it is nothing that can be read."""
    if not head:
        return "empty; download it again"
    if head[257:262] == b"ustar":
        return "a tar archive, as torch before 0.1.10 wrote it; load and save it with a newer torch"
    for begin, what in FOREIGN:
        if head.lstrip().startswith(begin):
            return what
    return "no weight file: neither of torch.save, nor a .safetensors, nor a pickle"


def _load_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except Exception as error:  # the library's own, KeyErrors, ValueErrors
        raise WeightFileError(f"is a torn .safetensors ({_line(error)}); {ANEW}") from error
    if not tensors:
        raise WeightFileError("holds no tensors")
    return tensors


def _weights(pickled: Pickled, file_size: int, key: str) -> WeightFile:
    records, notes = find_state_dict(pickled.tree, key)
    if sum(record.nbytes for record in records.values()) > MAX_GROWTH * file_size + SLACK:
        raise WeightFileError(f"is a bomb: more than {MAX_GROWTH} times its size is in its tensors")
    arrays = {name: record.array(pickled.storage_bytes) for name, record in records.items()}
    author = pickled.tree.get("__author__")
    return WeightFile(
        arrays,
        author if isinstance(author, str) else "",
        pickled.tree.get("matching_heuristics") is True,
        notes,
    )


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
