"""Decoding by simplejpeg and resizing by OpenCV, against Pillow."""

import contextlib
import dataclasses
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data import fast
from jaxrcnn.data.batches import make_eval_batch, make_train_batch
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.fast import decoding, enlarge, fraction_for, require_decoder, turned
from jaxrcnn.data.images import read_image, read_scaled
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.transforms import resize
from jaxrcnn.data.unannotated import open_images

pytest.importorskip("simplejpeg")
pytest.importorskip("cv2")

FAST = DataConfig(decoder="fast")
SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data" / "coco_mini"
BOXES = np.array([[8, 4, 120, 77]], np.float32)


@contextlib.contextmanager
def without_pillow(monkeypatch):
    """Pillow may look at headers, and decodes nothing."""

    def refuse(*_):
        raise AssertionError("decoded by Pillow")

    with monkeypatch.context() as patch:
        patch.setattr("jaxrcnn.data.images.to_rgb", refuse)
        yield


def photograph(height, width, seed=0):
    """Something smooth with some noise, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.normal(0, 6, (height, width, 1))
    return np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)


def save(path, pixels, mode="RGB", **options):
    Image.fromarray(pixels).convert(mode).save(path, "JPEG", quality=90, **options)
    return path


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def by_pillow(pixels, size):
    resized = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized).astype(int)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_are_pillow_s(tmp_path, monkeypatch, mode, options):
    file = save(tmp_path / "a.jpg", photograph(61, 83), mode, **options)
    expected = read_image(file)
    with without_pillow(monkeypatch), decoding(FAST):
        np.testing.assert_array_equal(read_image(file), expected)


@pytest.mark.parametrize("as_stored", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_tag_turns_them_as_pillow_does(tmp_path, monkeypatch, orientation, as_stored):
    file = save(tmp_path / "a.jpg", photograph(31, 42), exif=exif(orientation))
    expected = read_image(file, as_stored=as_stored)
    with without_pillow(monkeypatch), decoding(FAST):
        np.testing.assert_array_equal(read_image(file, as_stored=as_stored), expected)


def test_other_files_are_read_by_pillow(tmp_path):
    grey = (photograph(20, 30)[..., 0].astype(np.uint16) * 257)[..., None].repeat(1, 2)[..., 0]
    Image.fromarray(grey).save(tmp_path / "deep.png")
    Image.fromarray(photograph(20, 30)).save(tmp_path / "a.png")
    save(tmp_path / "cmyk.jpg", photograph(20, 30), "CMYK")
    for name in ("deep.png", "a.png", "cmyk.jpg"):
        expected = read_image(tmp_path / name)
        with decoding(FAST):
            np.testing.assert_array_equal(read_image(tmp_path / name), expected)


def test_what_only_pillow_can_decode_falls_back_to_it(tmp_path):
    """Garbage between two segments: libjpeg warns of it, Pillow does not mind."""
    content = save(tmp_path / "a.jpg", photograph(20, 30)).read_bytes()
    at = content.index(b"\xff\xdb")
    (tmp_path / "b.jpg").write_bytes(content[:at] + b"\0\0\0" + content[at:])
    expected = read_image(tmp_path / "a.jpg")
    with decoding(FAST):
        np.testing.assert_array_equal(read_image(tmp_path / "b.jpg"), expected)


def test_a_long_tail_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(fast, "LARGEST_HEADER", 100)
    file = save(tmp_path / "a.jpg", photograph(20, 30))
    expected = read_image(file)
    file.write_bytes(file.read_bytes() + bytes(3 * 20 * 30))
    monkeypatch.setitem(sys.modules, "simplejpeg", None)  # so that an import of it fails
    with decoding(FAST), pytest.raises(DataError, match="simplejpeg"):
        read_image(save(tmp_path / "b.jpg", photograph(20, 30)))
    with decoding(FAST):
        np.testing.assert_array_equal(read_image(file), expected)


def test_faults_have_the_same_words(tmp_path):
    whole = save(tmp_path / "a.jpg", photograph(80, 90)).read_bytes()
    (tmp_path / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.jpg").write_bytes(b"no image")
    for name, limit in (("torn.jpg", 10**6), ("none.jpg", 10**6), ("a.jpg", 80 * 90 - 1)):
        with pytest.raises(DataError) as expected:
            read_image(tmp_path / name, limit)
        with decoding(FAST), pytest.raises(DataError) as got:
            read_image(tmp_path / name, limit)
        assert str(got.value) == str(expected.value)


def test_as_much_is_decoded_as_is_needed():
    with decoding(FAST, (100, 150)):
        assert fraction_for((199, 400)) == 1
        assert fraction_for((200, 300)) == 2
        assert fraction_for((799, 1201)) == 4
        assert fraction_for((8000, 9000)) == 8
        assert fraction_for((803, 1201), orientation=3) == 1
        assert fraction_for((804, 1202), orientation=6) == 2
    for data in (DataConfig(), DataConfig(decoder="fast", resize="torchvision")):
        with decoding(data, (10, 10)):
            assert fraction_for((800, 800)) == 1
    with decoding(FAST):
        assert fraction_for((800, 800)) == 1


def test_a_fraction_knows_the_whole_size(tmp_path):
    file = save(tmp_path / "a.jpg", photograph(161, 203))
    with decoding(FAST, (40, 50)):
        pixels, size = read_scaled(file)
        assert (pixels.shape, size) == ((41, 51, 3), (161, 203))
        assert read_image(file).shape == (161, 203, 3)  # what others read is whole
    turned_file = save(tmp_path / "b.jpg", photograph(160, 208), exif=exif(6))
    with decoding(FAST, (52, 40)):
        assert read_scaled(turned_file).size == (208, 160)
        assert read_scaled(turned_file).pixels.shape == (52, 40, 3)


def test_a_turn_of_each_kind():
    stored = np.arange(6).reshape(2, 3, 1)
    rows = {
        1: [[0, 1, 2], [3, 4, 5]],
        2: [[2, 1, 0], [5, 4, 3]],
        3: [[5, 4, 3], [2, 1, 0]],
        4: [[3, 4, 5], [0, 1, 2]],
        5: [[0, 3], [1, 4], [2, 5]],
        6: [[3, 0], [4, 1], [5, 2]],
        7: [[5, 2], [4, 1], [3, 0]],
        8: [[2, 5], [1, 4], [0, 3]],
    }
    for orientation, expected in rows.items():
        np.testing.assert_array_equal(turned(stored, orientation)[..., 0], expected)


def real_images(tmp_path):
    """Images of coco_mini where they are there, else drawn ones; (H, W, 3) uint8."""
    files = sorted(SHARED.rglob("*.jpg"))[:12]
    return files or [save(tmp_path / f"{i}.jpg", photograph(427, 640, i)) for i in range(3)]


def test_enlarged_images_differ_from_pillow_s_by_one_at_most(tmp_path):
    for file in real_images(tmp_path):
        image = read_image(file)
        size = round(image.shape[0] * 1.7), round(image.shape[1] * 1.7)
        differences = np.abs(enlarge(image, size).astype(int) - by_pillow(image, size))
        assert differences.max() <= 1
        assert differences.mean() < 0.3


def test_shrunk_images_are_pillow_s(tmp_path):
    for file in real_images(tmp_path)[:3]:
        image = read_image(file)
        size = round(image.shape[0] * 0.7), round(image.shape[1] * 0.7)
        shrunk = resize(_sample(image), size, decoder="fast").image
        np.testing.assert_array_equal(shrunk, by_pillow(image, size))


@pytest.mark.parametrize("short_side", [180, 107, 60])
def test_images_decoded_at_a_fraction_are_close_to_pillow_s(tmp_path, short_side):
    config = config_for(short_side)
    for file in real_images(tmp_path):
        dataset = open_images([file], ("a",), (), FaultLog("raise"))
        batch = batch_of(dataset, config)
        plain = batch_of(dataset, config_for(short_side, decoder="pillow"))
        np.testing.assert_array_equal(batch.image_sizes, plain.image_sizes)
        assert dataset.sizes.min() >= 2 * short_side  # so that a fraction is decoded
        differences = np.abs(batch.images.astype(int) - plain.images)
        assert 0 < differences[batch.images > 0].mean() < 3
        assert np.percentile(differences, 99) <= 24


def test_the_fraction_of_a_thin_image_is_known(tmp_path):
    file = save(tmp_path / "a.jpg", photograph(97, 2000))  # at an eighth 13 rows: 97 / 13 is 7.5
    dataset = open_images([file], ("a",), (), FaultLog("raise"))
    quick, plain = (
        make_eval_batch(
            *(dataset, Config(data=DataConfig(decoder=x, short_side=12, long_side=250))),
            *((32, 256), [0]),
        )[0].batch
        for x in ("fast", "pillow")
    )
    np.testing.assert_array_equal(quick.image_sizes, [(12, 247)])
    differences = np.abs(quick.images.astype(int) - plain.images)
    assert differences[plain.images > 0].mean() < 3


def test_the_parts_of_every_size_are_known():
    sizes = [(height, width) for height in range(8, 40) for width in (8, 97, 400)]
    for parts in (1, *fast.FRACTIONS):
        for size in sizes:
            assert fast.parts_of(size, fast.divided(size, parts)) == parts


def test_boxes_are_scaled_by_the_size_of_the_whole(tmp_path):
    file = save(tmp_path / "a.jpg", photograph(161, 203))
    record = make_record(1, "a", str(file), (161, 203), BOXES, [1], [1])
    dataset = Dataset("one", (record,), ("a",))
    plain, quick = (batch_of(dataset, config_for(40, x)) for x in ("pillow", "fast"))
    np.testing.assert_array_equal(quick.boxes, plain.boxes)
    np.testing.assert_array_equal(quick.image_sizes, plain.image_sizes)
    np.testing.assert_allclose(quick.boxes[0, 0], BOXES[0] * ((50 / 203, 40 / 161) * 2), rtol=0.02)
    assert (quick.images != plain.images).any()


def test_transforms_see_all_pixels(tmp_path):
    seen = []

    def look(sample, record, rng):
        seen.append(sample.image.shape)
        return sample

    file = save(tmp_path / "a.jpg", photograph(160, 200))
    dataset = open_images([file], ("a",), (), FaultLog("raise"))
    batch_of(dataclasses.replace(dataset, transforms=(look,)), config_for(40))
    assert seen == [(160, 200, 3)]


def test_evaluation_is_fed_alike(tmp_path):
    file = save(tmp_path / "a.jpg", photograph(160, 200))
    dataset = open_images([file], ("a",), (), FaultLog("raise"))
    config = config_for(40)
    batch, _ = make_eval_batch(dataset, config, canvas_for(config), [0])[0]
    np.testing.assert_array_equal(batch.images, batch_of(dataset, config).images)


@pytest.mark.parametrize("missing", ["simplejpeg", "cv2"])
def test_without_the_extra_a_line_says_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    fast._opencv.cache_clear()
    with pytest.raises(ConfigError, match=rf"{missing}.*: pip install 'jaxrcnn\[fast\]'$"):
        require_decoder(FAST)
    require_decoder(DataConfig())


def _sample(image):
    from jaxrcnn.data.sample import empty_sample

    return dataclasses.replace(empty_sample(1, 1), image=image)


def config_for(short_side, decoder="fast"):
    data = DataConfig(
        short_side=short_side, long_side=10 * short_side, decoder=decoder, horizontal_flip=0
    )
    return dataclasses.replace(Config(), data=data)


def batch_of(dataset, config):
    return make_train_batch(dataset, config, canvas_for(config), [0], 0)[0]


def canvas_for(config):
    return 2 * config.data.short_side, 2 * config.data.short_side
