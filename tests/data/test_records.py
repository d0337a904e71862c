import pickle

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.errors import DataError, fault
from jaxrcnn.data.records import Dataset, make_record, read_file


def record_of(file, size, boxes=(), **more):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = range(1, len(boxes) + 1)
    return make_record(7, "name", str(file), size, boxes, labels, labels, **more)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK"])
def test_any_kind_of_image_is_read_as_rgb(tmp_path, mode):
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (5, 3), (102, 102, 102)).convert(mode).save(file)
    pixels = read_file(record_of(file, (3, 5)))
    assert pixels.shape == (3, 5, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == 102).all()


def test_an_image_is_read_as_it_is_seen_or_as_it_is_stored(tmp_path):
    stored = np.zeros((3, 5, 3), np.uint8)
    stored[0, 0] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    file = tmp_path / "a.png"
    Image.fromarray(stored).save(file, exif=exif)
    np.testing.assert_array_equal(read_file(record_of(file, (5, 3))), np.rot90(stored, -1))
    np.testing.assert_array_equal(read_file(record_of(file, (3, 5), as_stored=True)), stored)
    for size, as_stored in (((3, 5), False), ((5, 3), True)):
        with pytest.raises(DataError, match=r"image name: the image is .* annotated as"):
            read_file(record_of(file, size, as_stored=as_stored))


def test_an_image_above_the_limit_is_refused(tmp_path):
    Image.new("RGB", (5, 3)).save(tmp_path / "a.png")
    record = record_of(tmp_path / "a.png", (3, 5))
    assert read_file(record, 15).shape == (3, 5, 3)
    with pytest.raises(
        DataError, match=r"image name: .*its 5x3 pixels are more than data\.max_pixels"
    ):
        read_file(record, 14)


def test_a_image_of_another_size_is_refused(tmp_path):
    Image.new("RGB", (5, 3)).save(tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"a\.png: image name: the image is 5x3 .* as 6x3; "
    ) as error:
        read_file(record_of(tmp_path / "a.png", (3, 6)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no image", "truncated"])
def test_a_image_that_cannot_be_decoded_is_refused(tmp_path, content):
    file = tmp_path / "a.jpg"
    if content == "truncated":
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(file)
        content = file.read_bytes()[:900]
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg: image name: the image cannot be decoded"):
        read_file(record_of(file, (64, 64)))


def test_errors_are_one_line_and_survive_pickling():
    error = fault("f.json", "image 3", "broken\n  badly")
    assert str(error).startswith("f.json: image 3: broken badly; ")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_crowds_are_ignored_and_difficult_boxes_unless_they_are_kept():
    boxes = [[0, 0, 2, 3], [0, 0, 4, 4], [1, 1, 2, 2]]
    marks = {"crowd": [True, False, False], "difficult": [False, True, False]}
    record = record_of("", (8, 8), boxes, **marks)
    np.testing.assert_array_equal(record.ignore, [True, True, False])
    np.testing.assert_array_equal(record.area, [6, 16, 1])
    kept = record_of("", (8, 8), boxes, **marks, keep_difficult=True)
    np.testing.assert_array_equal(kept.ignore, [True, False, False])
    np.testing.assert_array_equal(kept.difficult, [False, True, False])


def test_boxes_marked_to_be_ignored_are_kept_from_training_alone():
    boxes = [[0, 0, 2, 3], [0, 0, 4, 4]]
    record = record_of("", (8, 8), boxes, ignore=[True, False], keep_difficult=True)
    np.testing.assert_array_equal(record.ignore, [True, False])
    assert not (record.crowd | record.difficult).any()


def test_an_image_has_its_own_id_unless_its_source_has_another():
    assert record_of("", (8, 8)).source_id == 7
    assert record_of("", (8, 8), source_id="seven").source_id == "seven"


def test_what_one_need_not_say_of_a_record_and_a_data_set():
    record = make_record(3, "three", "", (8, 6), [[0, 0, 2, 2], [1, 1, 3, 3]], [1, 2])
    np.testing.assert_array_equal(record.annotation_ids, [1, 2])
    assert Dataset("d", (record,), ("a", "b", "c")).category_ids == (1, 2, 3)
    assert Dataset("d", (record,), ("a", "b"), (7, 9)).category_ids == (7, 9)
    assert Dataset("d", (), ()).category_ids == ()


def test_a_data_set_of_fields_that_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"^d: 2 class_names, but 1 category_ids; leave them out"):
        Dataset("d", (), ("a", "b"), (1,))
    with pytest.raises(ValueError, match=r"^d: transforms is a tuple; wrap a single one"):
        Dataset("d", (), ("a",), transforms=lambda sample, record, rng: sample)


@pytest.mark.parametrize("field", ["labels", "crowd", "area", "annotation_ids"])
def test_a_record_needs_one_value_for_each_box(field):
    values = {"labels": [1, 2], field: [1]}
    with pytest.raises(ValueError, match=f"^three: 2 boxes, but 1 {field}$"):
        make_record(3, "three", "", (8, 6), [[0, 0, 2, 2], [1, 1, 3, 3]], **values)


def test_a_sample_is_a_copy_of_the_image_and_its_boxes():
    pixels = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    record = record_of("", (3, 5), [[0, 0, 2, 3], [1, 1, 4, 2]], crowd=[False, True])

    def forbidden(sample, record, rng):
        raise AssertionError

    dataset = Dataset("d", (record,), ("a", "b"), reader=lambda _: pixels, transforms=(forbidden,))
    sample = dataset.read_sample(0)
    np.testing.assert_array_equal(sample.image, pixels)
    np.testing.assert_array_equal(sample.boxes, [[0, 0, 2, 3], [1, 1, 4, 2]])
    np.testing.assert_array_equal(sample.labels, [1, 2])
    np.testing.assert_array_equal(sample.ignore, [False, True])
    assert sample.extra == sample.box_extra == {}
    for array in (sample.image, sample.boxes, sample.labels, sample.ignore):
        array[:] = 0
    assert pixels.any()
    np.testing.assert_array_equal(dataset.read_sample(0).boxes, [[0, 0, 2, 3], [1, 1, 4, 2]])
    np.testing.assert_array_equal(dataset.read_sample(0).ignore, [False, True])


@pytest.mark.parametrize(
    "pixels", [np.zeros((5, 3, 3), np.uint8), np.zeros((3, 5, 3)), np.zeros((3, 5), np.uint8)]
)
def test_a_reader_that_gives_something_else_is_refused(pixels):
    dataset = Dataset("d", (record_of("", (3, 5)),), (), reader=lambda _: pixels)
    with pytest.raises(DataError, match=r"^name: the reader gives .* expected uint8 \(3, 5, 3\)"):
        dataset.read_sample(0)


def test_images_without_a_box_to_train_on_are_left_out_and_counted():
    full = make_record(7, "full", "", (8, 8), [[0, 0, 2, 2]], [1])
    crowd = record_of("", (8, 8), [[0, 0, 2, 2]], crowd=[True])
    records = (record_of("", (8, 8)), full, crowd)
    dataset = Dataset("d", records, ("a",), (1,), clipped=4, empty_boxes=2, notes=("note",))
    assert dataset.max_boxes == 1
    kept = dataset.without_empty()
    assert [record.name for record in kept.records] == ["full"]
    assert kept.summary() == (
        "d: 1 image, 1 box (0 to ignore), 1 class; 2 images without objects left out; "
        "4 boxes clipped at the border; 2 boxes without width or height left out; note"
    )


def test_the_first_of_the_faulty_records_is_named():
    lines = tuple(str(fault("f.json", f"image {number}", "is broken")) for number in (3, 4))
    dataset = Dataset("d", (), ("a",), (1,), skipped=lines)
    assert dataset.summary().endswith(
        "; 2 faulty records left out (the first: f.json: image 3: is broken)"
    )


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([{"crowd": [True]}, {"crowd": [True]}], "crowds (iscrowd)"),
        ([{"crowd": [True]}, {"difficult": [True]}], "crowds (iscrowd) or difficult"),
        ([{"difficult": [True]}, {"difficult": [True]}], "difficult"),
        ([{"ignore": [True]}, {"ignore": [True]}], "marked with ignore"),
    ],
)
def test_a_set_without_a_box_to_train_on_says_why(marks, said):
    records = tuple(record_of("", (8, 8), [[0, 0, 2, 2]], **each) for each in marks)
    dataset = Dataset("d", (*records, record_of("", (8, 8))), ("a",), (1,))
    for each in (dataset, dataset.without_empty()):
        assert each.summary().endswith(f"; all 2 boxes are {said}, and so none is trained on")


def test_a_data_set_without_records_has_sizes_and_no_boxes():
    dataset = Dataset("d", (), ("a",), (1,))
    assert dataset.max_boxes == 0
    assert dataset.sizes.shape == (0, 2)
    assert len(dataset) == 0
