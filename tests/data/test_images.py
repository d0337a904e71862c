import contextlib
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from jaxrcnn.data import images
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_files import check_size
from jaxrcnn.data.images import (
    MAX_PIXELS,
    TooManyPixels,
    image_size,
    read_header,
    read_image,
    to_rgb,
)
from jaxrcnn.data.in_memory import to_pixels

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (3, 5, 3), np.uint8)
GREY = COLOURS[..., 0]
DEEP = np.array([[0, 1, 128, 129, 257], [300, 32767, 32768, 65000, 65535]], np.uint16)

# A pixel of the upright image by the pixels that are stored, for the eight orientations of EXIF.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: stored[::-1].transpose(1, 0, 2),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: stored[:, ::-1].transpose(1, 0, 2),
}


def three(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def on_white(colours, alpha):
    share = (np.asarray(alpha) / 255)[..., None]
    return np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)


def check(file, expected):
    pixels = read_image(file)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)
    assert image_size(file) == expected.shape[:2]


def write_png(file, values, depth, colour_type, *chunks):
    """A PNG from its specification: of kinds that Pillow reads and does not write."""
    rows = values.astype({8: ">u1", 16: ">u2"}[depth]).reshape(len(values), -1)
    header = struct.pack(">2I5B", values.shape[1], len(values), depth, colour_type, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", content), (b"IEND", b"")]
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in parts
        )
    )


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm"])
def test_colours_and_grey_are_read_as_they_are(tmp_path, ending):
    Image.fromarray(COLOURS).save(tmp_path / f"a.{ending}")
    check(tmp_path / f"a.{ending}", COLOURS)
    Image.fromarray(GREY).save(tmp_path / f"b.{ending}")
    check(tmp_path / f"b.{ending}", three(GREY))


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "pbm"])
def test_one_bit_is_black_and_white(tmp_path, ending):
    Image.fromarray(GREY > 100).save(tmp_path / f"a.{ending}")
    check(tmp_path / f"a.{ending}", three(np.where(GREY > 100, 255, 0)))


def test_a_palette_gives_its_colours(tmp_path):
    index = np.arange(15, dtype=np.uint8).reshape(3, 5)
    palette = RNG.integers(0, 256, (256, 3), np.uint8)
    for ending in ("png", "gif", "bmp"):
        image = Image.fromarray(index)
        image.putpalette(palette.tobytes())
        image.save(tmp_path / f"a.{ending}")
        check(tmp_path / f"a.{ending}", palette[index])


def test_a_palette_with_alpha_lies_on_white(tmp_path):
    index = np.arange(15).reshape(3, 5)
    palette = RNG.integers(0, 256, (15, 3), np.uint8)
    alpha = RNG.integers(0, 256, 15, np.uint8)
    chunks = (b"PLTE", palette.tobytes()), (b"tRNS", alpha.tobytes())
    write_png(tmp_path / "a.png", index, 8, 3, *chunks)
    check(tmp_path / "a.png", on_white(palette[index], alpha[index]))


def test_the_transparent_colour_of_a_gif_is_white(tmp_path):
    index = np.arange(15, dtype=np.uint8).reshape(3, 5)
    palette = RNG.integers(0, 200, (256, 3), np.uint8)
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "a.gif", transparency=7)
    check(tmp_path / "a.gif", np.where((index == 7)[..., None], 255, palette[index]))


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_alpha_lies_on_white(tmp_path, ending):
    alpha = RNG.integers(0, 256, (3, 5), np.uint8)
    alpha[0, :2] = 0, 255
    content = np.dstack([COLOURS, alpha])
    Image.fromarray(content).save(tmp_path / f"a.{ending}", lossless=True, exact=True)
    check(tmp_path / f"a.{ending}", on_white(COLOURS, alpha))


def test_grey_with_alpha_lies_on_white(tmp_path):
    alpha = RNG.integers(0, 256, (3, 5), np.uint8)
    Image.fromarray(np.dstack([GREY, alpha])).save(tmp_path / "a.png")
    check(tmp_path / "a.png", on_white(three(GREY), alpha))


def test_a_palette_with_an_alpha_plane_lies_on_white():
    image = Image.new("PA", (1, 1))
    image.putpalette(bytes((10, 20, 30)))
    image.putpixel((0, 0), (0, 51))
    np.testing.assert_array_equal(to_rgb(image), [[[206, 208, 210]]])  # a fifth, and 4 * 51


@pytest.mark.parametrize(
    ("depth", "colour_type", "values", "key"),
    [
        (8, 0, GREY, [GREY[1, 1]]),
        (8, 2, COLOURS, COLOURS[1, 1]),
        (16, 0, DEEP, [DEEP[1, 1]]),
    ],
)
def test_a_png_may_name_one_colour_that_is_transparent(tmp_path, depth, colour_type, values, key):
    write_png(
        tmp_path / "a.png",
        values,
        depth,
        colour_type,
        (b"tRNS", struct.pack(f">{len(key)}H", *key)),
    )
    key = values == key if values.ndim == 2 else (values == key).all(axis=2)
    plain = np.rint(values / (257 if depth == 16 else 1)).astype(np.uint8)
    plain = plain if values.ndim == 3 else three(plain)
    assert key[1, 1]
    check(tmp_path / "a.png", np.where(key[..., None], 255, plain))


@pytest.mark.parametrize(
    ("ending", "order", "mode"),
    [("png", "<", "I;16"), ("tif", "<", "I;16"), ("tif", ">", "I;16B"), ("pgm", "<", "I")],
)
def test_sixteen_bits_are_scaled_to_eight(tmp_path, ending, order, mode):
    file = tmp_path / f"a.{ending}"
    Image.fromarray(DEEP.astype(f"{order}u2")).save(file)
    with Image.open(file) as image:
        assert image.mode == mode
    check(file, three(np.array([[0, 0, 0, 1, 1], [1, 127, 128, 253, 255]], np.uint8)))


def test_sixteen_bits_in_colour_are_scaled_to_eight(tmp_path):
    write_png(tmp_path / "a.png", np.array([[[0, 32896, 65535]]]), 16, 2)  # 32896 is 128 * 257
    check(tmp_path / "a.png", np.array([[[0, 128, 255]]]))


def test_integers_and_floats_of_32_bits_are_scaled(tmp_path):
    Image.fromarray(DEEP.astype(np.int32)).save(tmp_path / "int.tif")
    check(tmp_path / "int.tif", three(np.rint(DEEP / 257).astype(np.uint8)))
    share = np.array([[0, 0.25, 0.5, 1]], np.float32)
    Image.fromarray(share).save(tmp_path / "float.tif")
    check(tmp_path / "float.tif", three(np.array([[0, 64, 128, 255]], np.uint8)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0, 65536]], np.int32), "0 to 65536, those of such an image from 0 to 65535"),
        (np.array([[-1, 3]], np.int32), "-1 to 3"),
        (np.array([[0, 1.5]], np.float32), "0 to 1.5, those of such an image from 0 to 1"),
        (np.array([[0, np.nan]], np.float32), "nan to nan"),
    ],
)
def test_values_without_a_known_white_are_refused(tmp_path, values, said):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(DataError) as error:
        read_image(tmp_path / "a.tif")
    assert said in str(error.value)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"]
)
@pytest.mark.parametrize("strip", [1, 11, 15])  # a row at a time, two rows, the whole image
def test_a_large_image_is_converted_in_strips(monkeypatch, mode, strip):
    values = Image.fromarray(DEEP[:1].repeat(3, axis=0).copy())  # 3 x 5 pixels of 16 bits
    image = values if mode == "I;16" else Image.fromarray(COLOURS).convert(mode)
    if mode == "F":
        image = image.point(lambda value: value / 255)
    expected = to_rgb(image)
    monkeypatch.setattr(images, "STRIP", strip)
    np.testing.assert_array_equal(to_rgb(image), expected)


@pytest.mark.parametrize("ending", ["png", "gif", "tif"])
def test_strips_keep_what_is_transparent(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(images, "STRIP", 5)
    index = np.arange(15, dtype=np.uint8).reshape(3, 5)
    palette = RNG.integers(0, 200, (256, 3), np.uint8)
    image = Image.fromarray(index)
    if ending == "tif":
        image = Image.fromarray(np.dstack([COLOURS, np.where(index == 7, 0, 255)]).astype(np.uint8))
        image.save(tmp_path / "a.tif")
        check(tmp_path / "a.tif", np.where((index == 7)[..., None], 255, COLOURS))
        return
    image.putpalette(palette.tobytes())
    image.save(tmp_path / f"a.{ending}", transparency=7)
    check(tmp_path / f"a.{ending}", np.where((index == 7)[..., None], 255, palette[index]))


INKS = np.array([[(0, 255, 255, 0), (255, 0, 0, 0), (0, 0, 0, 128), (40, 80, 120, 60)]], np.uint8)


def printed(inks):
    """The colour of inks on white paper: each takes its share of the light."""
    inks = inks.astype(float)
    return (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255


def test_inks_are_colours_on_white_paper(tmp_path):
    Image.fromarray(INKS, "CMYK").save(tmp_path / "a.tif")
    pixels = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(pixels, printed(INKS), atol=1)
    np.testing.assert_array_equal(pixels[0, 0], (255, 0, 0))


@pytest.mark.parametrize("inks", INKS[0].tolist())
def test_a_jpeg_of_inks_as_photoshop_writes_it(tmp_path, inks):
    file = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), tuple(inks)).save(file, quality=100)
    np.testing.assert_allclose(read_image(file), three_of(printed(np.array(inks))), atol=3)


def three_of(colour):
    return np.broadcast_to(colour, (16, 16, 3))


def test_a_jpeg_of_inks_in_luma_and_chroma(tmp_path):
    """YCCK: the same file with another number in Adobe's marker, so that its planes mean this."""
    file = tmp_path / "a.jpg"
    stored = np.array([150, 100, 170, 200])  # Y, Cb, Cr, K, in the inverse of Photoshop
    Image.new("CMYK", (16, 16), tuple((255 - stored).tolist())).save(file, quality=100)
    content = bytearray(file.read_bytes())
    transform = content.index(b"\xff\xee\x00\x0eAdobe") + 15
    assert content[transform] == 0
    content[transform] = 2
    file.write_bytes(content)
    y, cb, cr, k = stored
    light = [
        y + 1.402 * (cr - 128),
        y - 0.344 * (cb - 128) - 0.714 * (cr - 128),
        y + 1.772 * (cb - 128),
    ]
    inks = np.array([*light, 255 - k])
    np.testing.assert_allclose(read_image(file), three_of(printed(inks)), atol=3)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("png", {}),
        ("jpg", {"quality": 100, "subsampling": 0}),
        ("tif", {}),
        ("tif", {"compression": "tiff_lzw"}),
        ("webp", {"lossless": True}),
    ],
)
def test_a_image_that_is_stored_turned_is_upright(tmp_path, ending, options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((16, 24, 3), np.uint8)
    stored[:8, :8], stored[:8, 8:] = (200, 30, 30), (30, 30, 200)
    Image.fromarray(stored).save(tmp_path / f"a.{ending}", exif=exif, **options)
    expected = UPRIGHT[orientation](stored)
    pixels = read_image(tmp_path / f"a.{ending}")
    assert image_size(tmp_path / f"a.{ending}") == pixels.shape[:2] == expected.shape[:2]
    np.testing.assert_allclose(pixels, expected, atol=3)


def test_of_several_frames_the_first_is_taken(tmp_path):
    frames = [Image.new("L", (4, 4), grey) for grey in (10, 200)]
    for ending in ("gif", "tif", "webp"):
        options = {"lossless": True} if ending == "webp" else {}
        frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], **options)
        check(tmp_path / f"a.{ending}", np.full((4, 4, 3), 10))


def complaints(file):
    with pytest.raises(DataError) as error:
        read_image(file)
    said = str(error.value)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"", "not an image, or damaged"),
        (b"no image", "not an image, or damaged"),
        ("torn", "cannot be read (image file is truncated"),
        ("flipped", "cannot be read (broken data stream"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, content, said):
    file = tmp_path / "a.png"
    if isinstance(content, str):
        Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(file)
        whole = bytearray(file.read_bytes())
        if content == "torn":
            del whole[900:]
        else:
            whole[60] ^= 255
        content = bytes(whole)
    if content is not None:
        file.write_bytes(content)
    assert said in complaints(file)


def test_a_folder_is_no_image(tmp_path):
    assert complaints(tmp_path).endswith("is a directory, not a regular file")


@pytest.mark.parametrize("pillows", [1, 10_000])
def test_the_limit_of_pixels_is_ours_and_pillows_is_left_as_it_was(tmp_path, monkeypatch, pillows):
    Image.new("L", (8, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows)
    assert read_image(tmp_path / "a.png", 32).shape == (4, 8, 3)
    assert image_size(tmp_path / "a.png", 32) == (4, 8)
    for read in (read_image, image_size, read_header):
        with pytest.raises(DataError) as error:
            read(tmp_path / "a.png", 31)
        assert str(error.value) == (
            f"{tmp_path / 'a.png'}: its 8x4 pixels are more than data.max_pixels=31; "
            "raise that if you trust the file"
        )
    said = pytest.raises(TooManyPixels, match="its 8x4 pixels are more than")
    with open(tmp_path / "a.png", "rb") as file, said, images.open_image(file, 31):
        pass
    assert pillows == Image.MAX_IMAGE_PIXELS


def test_the_limit_is_pillows_own_by_default():
    assert Image.MAX_IMAGE_PIXELS == MAX_PIXELS


def test_pillows_limit_comes_back_after_threads_and_errors(tmp_path):
    Image.new("L", (8, 4)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    before = Image.MAX_IMAGE_PIXELS

    def look(number):
        with contextlib.suppress(DataError):
            image_size(tmp_path / ("b.png" if number % 3 else "a.png"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(200)))
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_the_header_tells_both_sizes_and_the_stored_image_can_be_had(tmp_path, ending, orientation):
    file = tmp_path / f"a.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((16, 24, 3), np.uint8)
    stored[:8, :8], stored[:8, 8:] = (200, 30, 30), (30, 30, 200)
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
    Image.fromarray(stored).save(file, exif=exif, **options.get(ending, {}))
    header = read_header(file)
    assert header == (UPRIGHT[orientation](stored).shape[:2], orientation >= 5)
    assert header.stored_size == (16, 24)
    pixels = read_image(file, as_stored=True)
    expected = stored if orientation >= 5 else UPRIGHT[orientation](stored)
    np.testing.assert_allclose(pixels, expected, atol=3)


def test_the_tag_of_a_png_may_follow_its_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path / "a.png"
    write_png(file, COLOURS, 8, 2)
    whole = file.read_bytes()
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    file.write_bytes(whole[:-12] + chunk + whole[-12:])
    assert read_header(file) == ((3, 5), False)  # it does not look so far
    check(file, UPRIGHT[6](COLOURS))
    assert check_size(str(file), 5, 3, MAX_PIXELS).size == (5, 3)


def test_a_program_that_draws_an_image_is_not_run(tmp_path, monkeypatch):
    Image.new("RGB", (4, 3), "red").save(tmp_path / "a.png", "EPS")
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("it was run"))
    for read in (read_image, read_header):
        with pytest.raises(
            DataError, match=r"EPS is a program, which would have to be run; save it as PNG"
        ):
            read(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"EPS is a program"):
        to_pixels((tmp_path / "a.png").read_bytes(), "images[0]")
