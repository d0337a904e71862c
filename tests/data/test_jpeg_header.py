"""Every answer is compared with Pillow's, and ordinary files have to have one."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.jpeg_header import Found, read_jpeg_header
from tests.data.mutations import mutated

ORIENTATION = 0x0112


def jpeg(mode="RGB", size=(40, 24), exif=None, **options):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 4), np.uint8)
    image = Image.fromarray(pixels, "RGBA").convert("RGB").convert(mode)
    image.save(stream, "JPEG", **options, **({} if exif is None else {"exif": exif}))
    return stream.getvalue()


def exif(order="<", **tags):
    found = Image.Exif()
    found.endian = order
    tags = {0x010F: "a camera's maker", 0x011A: 72.0, 0x0128: 2} | {
        int(key[1:], 16): value for key, value in tags.items()
    }
    for key, value in tags.items():
        found[key] = value
    return found.tobytes()


def by_pillow(content):
    """Pillow's answer; None where it refuses the file or has something to say about it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(content)) as image:
                if image.format not in ("JPEG", "MPO"):
                    return None
                return Found(image.size[::-1], image.getexif().get(ORIENTATION))
    except Exception:
        return None


def segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segment(*segments):
    """A file with more segments behind its first bytes."""
    content = jpeg()
    return content[:2] + b"".join(segments) + content[2:]


THUMBNAIL = exif() + jpeg(size=(8, 8), exif=exif(x0112=3))

ORDINARY = {
    "baseline": jpeg(),
    "grey": jpeg("L"),
    "CMYK": jpeg("CMYK"),
    "progressive": jpeg(progressive=True),
    "optimised": jpeg(optimize=True),
    "restart markers": jpeg(restart_marker_rows=1),
    "subsampled": jpeg(subsampling="4:2:0", quality=20),
    "comment": jpeg(comment=b"a comment \xff\xd8\xff\xda"),
    "ICC": jpeg(icc_profile=b"a profile " * 50),
    "tall": jpeg(size=(7, 501)),
    "thumbnail": jpeg(exif=THUMBNAIL),
    "EXIF without a tag": jpeg(exif=exif()),
    **{f"{order}{tag}": jpeg(exif=exif(order, x0112=tag)) for order in "<>" for tag in range(10)},
}

LEFT_TO_PILLOW = {
    "XMP": jpeg(xmp=b'<x tiff:Orientation="6"/>'),
    "EXIF and XMP": jpeg(exif=exif(), xmp=b'<x tiff:Orientation="6"/>'),
    "EXIF twice": with_segment(*[segment(0xE1, exif(x0112=tag)) for tag in (6, 3)]),
    "a resolution in a byte": jpeg(exif=exif().replace(b"\x1a\1\5\0", b"\x1a\1\1\0")),
    "Photoshop": with_segment(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0")),
    "short JFIF": with_segment(segment(0xE0, b"JFIF\0")),
    "short Adobe": with_segment(segment(0xEE, b"Adobe")),
    "bad tables": with_segment(segment(0xDB, b"\0" * 12)),
    "padding": with_segment(b"\xff\xff\xff"),
    "junk": with_segment(b"abc"),
    "PNG": b"\x89PNG\r\n\x1a\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_an_ordinary_file_is_read_as_pillow_reads_it(kind):
    content = ORDINARY[kind]
    assert by_pillow(content) is not None
    assert read_jpeg_header(content) == by_pillow(content)
    assert read_jpeg_header(content + b"more") == by_pillow(content)


@pytest.mark.parametrize("kind", LEFT_TO_PILLOW)
def test_what_is_not_ordinary_is_left_to_pillow(kind):
    assert read_jpeg_header(LEFT_TO_PILLOW[kind]) is None


def test_several_images_in_a_file_are_left_to_pillow():
    stream = io.BytesIO()
    first, second = (Image.new("RGB", (40, 24), colour) for colour in ("red", "blue"))
    first.save(stream, "MPO", save_all=True, append_images=[second])
    assert read_jpeg_header(stream.getvalue()) is None


@pytest.mark.parametrize("kind", ["progressive", "thumbnail", "ICC", ">6"])
def test_a_file_that_is_cut_short_is_read_as_pillow_reads_it_or_not_at_all(kind):
    content = ORDINARY[kind]
    answers = {read_jpeg_header(content[:end]) for end in range(len(content))}
    assert answers == {None, by_pillow(content)}
    for end in range(len(content)):
        if read_jpeg_header(content[:end]):
            assert by_pillow(content[:end]) == by_pillow(content)


def test_a_damaged_file_is_read_as_pillow_reads_it_or_not_at_all():
    rng = np.random.default_rng(0)
    files = [*ORDINARY.values(), *LEFT_TO_PILLOW.values()]
    answered = 0
    for number in range(4000):
        content = mutated(files[number % len(files)][:900], rng)
        found = read_jpeg_header(content)
        if found is not None:
            assert found == by_pillow(content)
            answered += 1
    assert answered > 400
