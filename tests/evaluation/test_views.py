import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.config import ConfigError, DataConfig
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.fast import decoding
from jaxrcnn.data.records import read_file
from jaxrcnn.data.unannotated import open_images
from jaxrcnn.evaluation.tiling import Window
from jaxrcnn.evaluation.views import TestTime, View, make_views


def data_set(images):
    return open_images(images, ("a",), (1,), FaultLog("raise"))


def test_boxes_of_a_mirrored_tile_are_those_of_the_image():
    view = View(0, Window(10, 100, 60, 180), mirrored=True)  # 80 wide
    boxes = view.to_image(np.array([(5, 1, 25, 11)], np.float32))
    np.testing.assert_array_equal(boxes, [(100 + 80 - 25, 11, 100 + 80 - 5, 21)])
    image = np.arange(200 * 300).reshape(200, 300)
    np.testing.assert_array_equal(view.cut(image)[0], image[10, 179:99:-1])


def test_an_image_is_decoded_once_for_all_of_its_tiles():
    images = [np.full((200, 300, 3), n, np.uint8) for n in range(3)]
    reads = []
    dataset = data_set(images)
    counted = replace(
        dataset, reader=lambda record: reads.append(record.name) or dataset.reader(record)
    )
    views = make_views(counted, TestTime(flip=True, tile=100, overlap=0.3))
    assert len(views.views) == 3 * 2 * 12
    for index in range(len(views.dataset)):
        assert views.dataset.read_image(index).shape == (100, 100, 3)
    assert reads == ["images[0]", "images[1]", "images[2]"]


def test_tiles_are_cut_from_all_pixels_of_an_image(tmp_path):
    """However few suffice for a tile."""
    pytest.importorskip("simplejpeg")
    pixels = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    file = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(file)
    dataset = replace(data_set([file]), reader=read_file)
    views = make_views(dataset, TestTime(tile=200)).dataset
    with decoding(DataConfig(decoder="fast"), (50, 50)):
        assert dataset.read_image(0).shape == (50, 63, 3)
        read = [views.read_image(place) for place in range(len(views))]
    np.testing.assert_array_equal(read[0], dataset.read_image(0)[:200, :200])
    np.testing.assert_array_equal(read[-1], dataset.read_image(0)[200:, 300:])


def test_workers_can_read_views():
    views = make_views(data_set_of_files(), TestTime(flip=True)).dataset
    copy = pickle.loads(pickle.dumps(views.reader))
    np.testing.assert_array_equal(copy(views.records[1]), views.read_image(1))


def read(record):
    return np.arange(40 * 64 * 3, dtype=np.uint8).reshape(40, 64, 3)


def data_set_of_files():
    return replace(data_set([np.zeros((40, 64, 3), np.uint8)]), reader=read)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"tile": 31}, "tile=31 must be a side in pixels, from 32"),
        ({"tile": -1}, "tile=-1 must be"),
        ({"tile": 64.0}, r"tile=64\.0 must be"),
        ({"overlap": 0.95}, r"overlap=0\.95 must be a number from 0 to 0\.9"),
        ({"overlap": float("nan")}, "overlap=nan must be"),
        ({"scales": (600, 600)}, r"scales=\(600, 600\) must be different short sides"),
        ({"scales": (0,)}, r"scales=\(0,\) must be"),
        ({"scales": 800}, "scales=800 must be a list"),
        ({"scales": "800"}, "scales='800' must be a list"),
        ({"overlap": "0.2"}, r"overlap='0\.2' must be a number"),
    ],
)
def test_views_that_cannot_be_are_refused(wrong, line):
    with pytest.raises(ConfigError, match=line):
        TestTime(**wrong)


def test_numbers_of_numpy_are_numbers():
    numpy_ones = TestTime(scales=[np.int64(600)], tile=np.int32(64), overlap=np.float32(0.5))
    assert numpy_ones == TestTime(scales=(600,), tile=64, overlap=0.5)


def test_names_say_what_is_asked_for():
    assert TestTime().is_plain
    assert TestTime().name == ""
    assert TestTime(True, (600, 800), 500).name == "flip_scales_600_800_tile_500"


@pytest.mark.parametrize(
    "test_time",
    [TestTime(), TestTime(flip=True, scales=(64, 96)), TestTime(flip=True, tile=100, overlap=0.3)],
    ids=lambda one: one.name,
)
def test_the_number_of_views_is_that_of_those_that_are_made(test_time):
    dataset = data_set([np.zeros((*size, 3), np.uint8) for size in ((200, 300), (90, 150))])
    scales = max(1, len(test_time.scales))
    made = len(make_views(dataset, test_time).views) * scales
    assert test_time.number_of_views(dataset) == made >= 2
