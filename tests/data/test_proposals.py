import dataclasses

import numpy as np
import pytest

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.proposals import (
    ImageProposals,
    join_proposals,
    read_proposals,
    write_proposals,
)
from jaxrcnn.data.records import Dataset, make_record

NO_BOXES = np.zeros((0, 4))
SIZES = ((480, 640), (30, 20), (100, 100))
NAMES = ("a.jpg", "dossier/é.png", "c.jpg")
DATASET = Dataset(
    "train",
    tuple(
        make_record(image_id, name, "", size, NO_BOXES, (), ())
        for image_id, name, size in zip((42, 7, 581929), NAMES, SIZES, strict=True)
    ),
    ("cat",),
    (1,),
)
FIRST = ImageProposals(
    np.array([(0, 0, 640, 480), (1.25, 2, 3, 2), (5, 6, 7, 8)], np.float32),
    np.array([3.5, 3.5, -0.25], np.float32),
)
LAST = ImageProposals(np.array([(10, 20, 30, 40)], np.float32), np.array([1e-8], np.float32))
PROPOSALS = {2: LAST, 0: FIRST}  # none for the second image


@pytest.fixture
def path(tmp_path):
    write_proposals(tmp_path / "p.npz", DATASET, PROPOSALS)
    return tmp_path / "p.npz"


def change(path, **arrays):
    """Write the file again with other arrays, without those that are None."""
    with np.load(path) as old:
        new = {**old, **arrays}
    np.savez_compressed(path, **{name: x for name, x in new.items() if x is not None})


def complaint(path, dataset=None):
    with pytest.raises(DataError) as error:
        read_proposals(path, dataset)
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said


def test_what_is_written_is_read(path):
    stored = read_proposals(path, DATASET)
    assert stored.image_ids.tolist() == [42, 7, 581929]
    assert stored.file_names.tolist() == list(NAMES)
    assert stored.sizes.tolist() == [list(size) for size in SIZES]
    assert stored.offsets.tolist() == [0, 3, 3, 4]
    for index in range(3):
        empty = ImageProposals(NO_BOXES, np.zeros(0))
        for found, written in zip(stored.of(index), PROPOSALS.get(index, empty), strict=True):
            np.testing.assert_array_equal(found, written)
            assert found.dtype == np.float32


def test_joined_in_memory_they_are_as_in_the_file(path):
    stored, joined = read_proposals(path), join_proposals(DATASET, PROPOSALS)
    for one, other in zip(stored, joined, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_the_file_needs_nothing_but_numpy(path):
    with np.load(path, allow_pickle=False) as arrays:
        names = {"image_ids", "file_names", "sizes", "offsets", "boxes", "scores"}
        assert set(arrays) == {"version", *names}
        start, stop = arrays["offsets"][:2]
        np.testing.assert_array_equal(arrays["boxes"][start:stop], FIRST.boxes)
        assert (arrays["boxes"].dtype, arrays["scores"].dtype) == (np.float32, np.float32)


def test_a_file_is_written_by_its_very_name_and_over_an_older_one(tmp_path):
    write_proposals(tmp_path / "dump", DATASET, PROPOSALS)
    write_proposals(tmp_path / "dump", DATASET, {})
    assert [file.name for file in tmp_path.iterdir()] == ["dump"]
    assert read_proposals(tmp_path / "dump").offsets.tolist() == [0, 0, 0, 0]


def test_no_images_are_a_file_too(tmp_path):
    nothing = dataclasses.replace(DATASET, records=())
    write_proposals(tmp_path / "p.npz", nothing, {})
    assert read_proposals(tmp_path / "p.npz", nothing).boxes.shape == (0, 4)


def test_a_missing_file_is_one_line(tmp_path):
    assert "No such file" in complaint(tmp_path / "none.npz")
    assert "directory" in complaint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no arrays\nat all", "torn", "flipped", "npy", "object"])
def test_a_file_of_another_kind_or_a_torn_one_is_one_line(path, content):
    whole = path.read_bytes()
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif content == "object":
        np.savez(path, version=np.array([None], object))
    else:
        middle = len(whole) // 2
        torn, flipped = whole[:middle], whole[:80] + bytes(40) + whole[120:]
        path.write_bytes({"torn": torn, "flipped": flipped}.get(content, content))
    assert "torn" in complaint(path)


@pytest.mark.parametrize(
    ("arrays", "part"),
    [
        ({"boxes": None}, "no array 'boxes'"),
        ({"version": None}, "no array 'version'"),
        ({"version": np.int64(2)}, "of version 2, this program reads 1"),
        ({"scores": np.zeros(4)}, "'scores' is float64 (4,) instead of float32 (4,)"),
        ({"boxes": np.zeros((3, 4), np.float32)}, "'boxes' is float32 (3, 4)"),
        ({"boxes": np.zeros((4, 5), np.float32)}, "instead of float32 (4, 4)"),
        ({"offsets": np.array([0, 4])}, "'offsets' is int64 (2,) instead of int64 (4,)"),
        ({"file_names": np.arange(3)}, "'file_names' is int64 (3,) instead of str (3,)"),
        ({"sizes": np.ones((2, 2), np.int32)}, "'sizes'"),
        ({"image_ids": np.int64(3)}, "'image_ids'"),
        ({"offsets": np.array([0, 3, 2, 4])}, "its offsets"),
        ({"offsets": np.array([0, 3, 3, 5])}, "its offsets"),
        ({"offsets": np.array([1, 3, 3, 4])}, "its offsets"),
        # The first image gets its neighbour's only box, which is scored between.
        ({"offsets": np.array([0, 4, 4, 4])}, "image 42 has scores"),
        ({"scores": np.array([3, 2, np.nan, 0], np.float32)}, "image 42 has scores"),
        ({"scores": np.array([3, 2, 1, np.inf], np.float32)}, "image 581929 has scores"),
    ],
)
def test_what_does_not_fit_together_is_named(path, arrays, part):
    change(path, **arrays)
    assert part in complaint(path)


@pytest.mark.parametrize(
    "box", [(20, 20, 10, 40), (10, 20, 30, 10), (10, 20, 101, 40), (-1, 0, 5, 5), (1, 2, np.nan, 4)]
)
def test_a_box_that_cannot_be_is_named(path, box):
    boxes = np.array([*FIRST.boxes, box], np.float32)
    change(path, boxes=boxes)
    assert "image 581929 has a box" in complaint(path)


def test_proposals_for_other_images_are_refused(path):
    first, *rest = DATASET.records
    for other, part in (
        (
            dataclasses.replace(first, name="b.jpg"),
            "image 42 (a.jpg, 640x480), not image 42 (b.jpg",
        ),
        (dataclasses.replace(first, image_id=1), "not image 1 (a.jpg, 640x480)"),
        (dataclasses.replace(first, width=100), "not image 42 (a.jpg, 100x480)"),
    ):
        said = complaint(path, dataclasses.replace(DATASET, records=(other, *rest)))
        assert "other images than train" in said
        assert part in said
    said = complaint(path, dataclasses.replace(DATASET, records=(first,)))
    assert "for 3 images, train has 1" in said
    swapped = dataclasses.replace(DATASET, records=DATASET.records[::-1])
    assert "other images" in complaint(path, swapped)
