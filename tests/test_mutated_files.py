"""Files with random damage: each is read, or refused in one clear line, in bounded time and memory.

The readers of data sets' text files are tested so in tests/data/test_mutations.py.
"""

import contextlib
import io
import json
import pickle
import resource
import signal
import warnings

import jax
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import FORMAT_VERSION, config_from_json, config_to_dict, config_to_json
from jaxrcnn.data import table
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.images import image_size, read_header, read_image
from jaxrcnn.data.proposals import ImageProposals, read_proposals, write_proposals
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.split_file import read_split
from jaxrcnn.detector import build
from jaxrcnn.interop.weight_files import read_weights
from jaxrcnn.training.history import read_history
from jaxrcnn.training.metrics import read_rows
from jaxrcnn.training.pieces import named_pieces
from jaxrcnn.training.weights import load_variables, save_variables
from jaxrcnn.training.workdir import read_classes, read_config
from tests.data.folders import write
from tests.data.mutations import damaged, mutated, restructured
from tests.interop.recorded import DATA
from tests.tiny import MODEL, make_variables

LONGEST = 20  # seconds of a reading
ROOM = 2**30  # bytes of address space that a reading may take beyond what there is
TURNS = [
    8,
    pytest.param(120, marks=pytest.mark.slow),
    pytest.param(2500, marks=pytest.mark.soak),
]


def too_long(*_):
    raise RuntimeError(f"a reading took more than {LONGEST} seconds")


@contextlib.contextmanager
def bounded_memory():
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    room = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def check_line(line, path):
    assert line.splitlines() == [line]
    assert len(line) < 3000, line
    assert line.isprintable(), line
    assert path.name in line or str(path.parent) in line
    assert "MemoryError" not in line


def read_many(path, content, change, read, turns, seed, named=None):
    """Read a file with so many kinds of damage; how many were refused."""
    signal.signal(signal.SIGALRM, too_long)
    rng = np.random.default_rng([turns, *seed.encode()])
    refused = 0
    for turn in range(turns):
        changed = change(content, rng)
        path.write_bytes(changed)
        signal.alarm(LONGEST)
        try:
            with bounded_memory(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path)
        except (ConfigError, DataError) as error:
            refused += 1
            check_line(str(error), named or path)
        except BaseException as error:
            error.add_note(f"turn {turn}: {len(changed)} bytes, {changed[:3000]!r}")
            raise
        finally:
            signal.alarm(0)
    return refused


def picture(kind, mode="RGB", size=(23, 17), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = (
        options if kind in ("GIF", "BMP", "PPM", "TGA", "JPEG2000") else {"exif": exif, **options}
    )
    file = io.BytesIO()
    image.convert(mode).save(file, kind, **options)
    return file.getvalue()


IMAGES = {
    "jpeg": picture("JPEG"),
    "progressive jpeg": picture("JPEG", "CMYK", progressive=True),
    "png": picture("PNG", "RGBA"),
    "palette png": picture("PNG", "P"),
    "gif": picture("GIF", "P"),
    "bmp": picture("BMP"),
    "tiff": picture("TIFF"),
    "packed tiff": picture("TIFF", compression="tiff_lzw"),
    "webp": picture("WEBP"),
    "ppm": picture("PPM"),
    "tga": picture("TGA", compression="tga_rle"),
    "jpeg 2000": picture("JPEG2000"),
}


def read_pixels(path):
    pixels = read_image(path, 2**20)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.size <= 3 * 2**20
    assert image_size(path, 2**20) == pixels.shape[:2]


def read_beginning(path):
    height, width = read_header(path, 2**20).size
    assert 0 < height * width <= 2**20


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("kind", IMAGES)
def test_damaged_images(tmp_path, kind, turns):
    path = tmp_path / "a.img"
    assert read_many(path, IMAGES[kind], damaged, read_pixels, turns, kind)
    read_many(path, IMAGES[kind], damaged, read_beginning, turns, kind)


def read_config_of(path):
    config = read_config(path.parent)
    text = config_to_json(config)
    assert config_to_json(config_from_json(text)) == text


def read_names(path):
    classes = read_classes(path.parent)
    assert all(isinstance(name, str) for name in classes.names)
    assert all(isinstance(number, int) for number in classes.ids)


def read_changes(path):
    for change in read_history(path.parent):
        assert isinstance(change.step, int)


RECORDS = tuple(
    make_record(i, f"p{i}.png", "", (30, 40), np.array([[1, 2, 3, 4]]), [1]) for i in range(4)
)
DATASET = Dataset("train", RECORDS, ("a",))

TREES = {
    "config.json": ({"format_version": FORMAT_VERSION, **config_to_dict(Config())}, read_config_of),
    "classes.json": ({"names": ["cat", "dog"], "ids": [3, 8]}, read_names),
    "history.json": (
        [{"step": 5, "field": "train.steps", "before": 5, "after": 9, "date": "2026-01-01"}],
        read_changes,
    ),
    "pieces.json": (
        {"backbone": {"name": "a.b", "source": "0" * 64}, "loss": {"name": "c", "source": None}},
        lambda path: named_pieces(path.parent),
    ),
    "split.json": (
        {"seed": 1, "share": 0.5, "train": ["p0.png", "p1.png"], "val": ["p2.png", "p3.png"]},
        lambda path: read_split(path.parent, DATASET),
    ),
    "metrics.jsonl": ({"step": 3, "loss": 1.5, "eval/AP": None}, read_rows),
}


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("name", TREES)
def test_damaged_files_of_a_run(tmp_path, name, turns):
    tree, read = TREES[name]
    path = tmp_path / name
    path.write_text(json.dumps(tree))
    read(path)
    text = path.read_bytes() * (3 if name == "metrics.jsonl" else 1)
    read_many(path, tree, restructured, read, 4 * turns, name)
    read_many(path, text, mutated, read, turns, name)


def weights():
    rng = np.random.default_rng(0)
    tensors = {f"a.{i}.weight": rng.normal(size=(3, i + 1)).astype(np.float32) for i in range(4)}
    return {
        "zip.pth": (DATA / "torch_2.13/zip.pth").read_bytes(),
        "legacy.pth": (DATA / "torch_2.13/legacy.pth").read_bytes(),
        "python2.pkl": (DATA / "python2/pickle_detectron2.pkl").read_bytes(),
        "plain.pkl": pickle.dumps({"model": tensors, "__author__": "x"}, 4),
        "a.safetensors": safetensors.numpy.save(tensors, {"format": "pt"}),
    }


def read_tensors(path):
    for tensor in read_weights(path).tensors.values():
        assert tensor.nbytes <= 2**28
        np.asarray(tensor).sum()


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize(
    "name", ["zip.pth", "legacy.pth", "python2.pkl", "plain.pkl", "a.safetensors"]
)
def test_damaged_weight_files(tmp_path, name, turns):
    read_many(tmp_path / name, weights()[name], damaged, read_tensors, 3 * turns, name)


def safetensors_of(tree, rng):
    """With a header whose entries are changed, and the length of it right."""
    header = restructured(tree, rng)
    return len(header).to_bytes(8, "little") + header + bytes(100)


@pytest.mark.parametrize("turns", TURNS)
def test_headers_of_safetensors_that_lie(tmp_path, turns):
    tree = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 5], "data_offsets": [0, 40]},
        "b": {"dtype": "BF16", "shape": [30], "data_offsets": [40, 100]},
    }
    read_many(tmp_path / "a", tree, safetensors_of, read_tensors, 3 * turns, "headers")


@pytest.mark.parametrize("turns", TURNS)
def test_damaged_proposals(tmp_path, turns):
    path = tmp_path / "p.npz"
    boxes = np.array([[1, 2, 3, 4], [0, 0, 40, 30]], np.float32)
    found = {i: ImageProposals(boxes, np.array([0.9, 0.5], np.float32)) for i in range(3)}
    write_proposals(path, DATASET, found)
    read = lambda path: read_proposals(path, DATASET)  # noqa: E731
    assert read_many(path, path.read_bytes(), damaged, read, 3 * turns, "proposals")


@pytest.mark.parametrize("turns", TURNS)
def test_damaged_parquet(tmp_path, turns):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write(tmp_path, {}, ("p0.png", "p1.png"))
    sides = {name: [1.0, 2.0, 3.0] for name in ("xmin", "ymin")}
    sides |= {name: [10.0, 20.0, 30.0] for name in ("xmax", "ymax")}
    columns = {"filename": ["p0.png", "p0.png", "p1.png"], "class": ["a", "b", "a"], **sides}
    path = tmp_path / "train.parquet"
    parquet.write_table(pyarrow.table(columns), path)

    def read(_):
        for record in table.read_table(str(tmp_path), ["train"]).records:
            assert np.isfinite(record.boxes).all()

    read(path)
    assert read_many(path, path.read_bytes(), damaged, read, 3 * turns, "parquet", tmp_path)


CHECKPOINTS = [
    6,
    pytest.param(60, marks=pytest.mark.slow),
    pytest.param(3000, marks=pytest.mark.soak),
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax' coroutines
@pytest.mark.parametrize("turns", CHECKPOINTS)
@pytest.mark.parametrize("listed", [True, False])
def test_damaged_weights_of_a_model(tmp_path, turns, listed, caplog):
    """Without files.json, as a stranger could leave it out, orbax and tensorstore see all of it."""
    like = make_variables(build(MODEL))
    save_variables(tmp_path, like)
    if not listed:
        (tmp_path / "weights/files.json").unlink()
    files = sorted(path for path in (tmp_path / "weights").rglob("*") if path.is_file())
    rng = np.random.default_rng(turns)

    def read(path):
        loaded = load_variables(tmp_path, like)
        assert jax.tree.structure(loaded) == jax.tree.structure(like)

    for turn in range(turns):
        path = files[rng.integers(len(files))]
        content = path.read_bytes()
        try:
            read_many(path, content, damaged, read, 1, f"checkpoint {turn}", tmp_path)
        finally:
            path.write_bytes(content)
        caplog.clear()
