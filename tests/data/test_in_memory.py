import io

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.errors import DataError
from jaxrcnn.data.in_memory import check_list, to_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
GREY = PIXELS[..., 0]


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def complaint(call, *arguments):
    with pytest.raises(DataError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("grey", [GREY, GREY[..., None], GREY.tolist()], ids=["2d", "3d", "list"])
def test_grey_arrays_are_grey_in_colour(grey):
    grey = np.array(grey, np.uint8) if isinstance(grey, list) else grey
    np.testing.assert_array_equal(to_pixels(grey, "x"), PIXELS[..., [0, 0, 0]])


def test_colour_arrays_are_taken_as_they_are():
    for image in (PIXELS, np.asfortranarray(PIXELS), PIXELS[::-1, ::-1][::-1, ::-1]):
        np.testing.assert_array_equal(to_pixels(image, "x"), PIXELS)


def test_what_is_transparent_in_an_array_lies_on_white():
    alpha = np.array([[0, 255], [128, 255]], np.uint8)
    image = np.dstack([np.full((2, 2, 3), 100, np.uint8), alpha])
    expected = np.array([[255, 100], [100 * 128 / 255 + 255 - 128, 100]])  # c a + 255 (1 - a)
    found = to_pixels(image[:, ::-1][:, ::-1], "x")
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, expected[..., None].repeat(3, 2), atol=1)


def test_bytes_and_open_files_are_seen_as_the_file_would_be(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    data = encode(PIXELS, exif=exif)
    turned = PIXELS[::-1].transpose(1, 0, 2)
    (tmp_path / "a.png").write_bytes(data)
    with open(tmp_path / "a.png", "rb") as file:
        for image in (data, bytearray(data), memoryview(data), io.BytesIO(data), file, file):
            np.testing.assert_array_equal(to_pixels(image, "x"), turned)
        assert not file.closed  # it is the caller's


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (b"", "x: these bytes are not an image file that Pillow can read; a path is a str"),
        (b"street.jpg", "x: these bytes are not an image file"),
        (io.BytesIO(b"\0\0\0\x18ftypmp42" + bytes(100)), "x: these bytes are not an image file"),
        (encode(np.tile(PIXELS, (90, 90, 1)))[:-500], "x: cannot be read ("),
        (io.StringIO("text"), 'x: the file is open as text; use open(path, "rb")'),
    ],
    ids=["empty", "path", "video", "torn", "text"],
)
def test_bytes_that_are_no_image_are_one_line(image, said):
    assert complaint(to_pixels, image, "x").startswith(said)


def test_a_file_with_more_pixels_than_allowed_is_one_line():
    said = complaint(to_pixels, encode(PIXELS), "x", 20)
    assert "its 5x6 pixels are more than data.max_pixels=20" in said


BATCH = "list(images) gives the images of a batch one by one"
FLOATS = "(255 * image).round() as uint8 may be meant"
LAST = "(1, 2, 0) puts channels last"
SCALE = "scale its values to 0..255 and convert it to uint8"


@pytest.mark.parametrize(
    ("image", "got", "advice"),
    [
        (PIXELS[None], "uint8 (1, 6, 5, 3)", BATCH),
        (PIXELS[None] / np.float32(255), "float32 (1, 6, 5, 3)", f"{BATCH}, {FLOATS}"),
        (PIXELS / np.float32(255), "float32 (6, 5, 3)", FLOATS),
        (GREY / 255, "float64 (6, 5)", FLOATS),
        (PIXELS.astype(np.float32), "float32 (6, 5, 3)", "image.round() as uint8 may be meant"),
        (PIXELS.astype(np.int64), "int64 (6, 5, 3)", SCALE),
        (GREY.astype(np.uint16), "uint16 (6, 5)", SCALE),
        (PIXELS > 9, "bool (6, 5, 3)", SCALE),
        (PIXELS.transpose(2, 0, 1), "uint8 (3, 6, 5)", f"image.transpose{LAST}"),
        (PIXELS[..., :2], "uint8 (6, 5, 2)", "it has neither 1, 3 nor 4 channels"),
        (PIXELS[0, 0], "uint8 (3,)", "it has neither 2 nor 3 dimensions"),
        (PIXELS[:0], "uint8 (0, 5, 3)", "it has no pixels"),
    ],
)  # fmt: skip
def test_other_arrays_are_refused_with_what_to_do(image, got, advice):
    expected = f"x: got {got}, expected uint8 (height, width, 3), RGB: {advice}"
    assert complaint(to_pixels, image, "x") == expected


class Tensor:
    """A torch tensor as far as numpy looks at one."""

    __module__ = "torch"

    def __init__(self, array, error=None):
        self.array, self.error, self.shape = array, error, array.shape

    def __array__(self, dtype=None, copy=None):
        if self.error:
            raise self.error
        return self.array


def test_tensors_are_arrays_and_what_to_do_is_in_their_words():
    np.testing.assert_array_equal(to_pixels(Tensor(PIXELS), "x"), PIXELS)
    said = complaint(to_pixels, Tensor(PIXELS.transpose(2, 0, 1)), "x")
    assert said.endswith("RGB: image.permute(1, 2, 0) puts channels last")
    error = TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
    said = complaint(to_pixels, Tensor(PIXELS, error), "x")
    assert said == f"x: a Tensor cannot be read as an array ({error})"


@pytest.mark.parametrize(
    ("image", "kind"),
    [(None, "a NoneType"), (3, "an int"), (object(), "an object"), ({"a": PIXELS}, "a dict")],
)
def test_what_is_no_image_at_all_is_refused(image, kind):
    said = complaint(to_pixels, image, "x")
    assert said.startswith(f"x: got {kind}, expected a path, Pillow's image, ")


def test_lists_and_tuples_are_lists():
    for images in ([], (), ["a.png"], (PIXELS, "a.png")):
        check_list(images)


@pytest.mark.parametrize(
    ("images", "got", "hint"),
    [
        ("a.png", "a str", "[image]"),
        (encode(PIXELS), "a bytes", "[image]"),
        (io.BytesIO(), "a BytesIO", "[image]"),
        (Image.fromarray(PIXELS), "an Image", "[image]"),
        (PIXELS, "an array of shape (6, 5, 3)", "[image]"),
        (GREY, "an array of shape (6, 5)", "[image]"),
        (PIXELS[None], "an array of shape (1, 6, 5, 3)", "list(images) is one"),
        (Tensor(PIXELS[None]), "an array of shape (1, 6, 5, 3)", "list(images) is one"),
        (np.array(["a.png", "b.png"]), "an array of shape (2,)", "list(images) is one"),
        ((x for x in "ab"), "a generator", "list(images) is one"),
        (map(str, "ab"), "a map", "list(images) is one"),
        ({"a.png"}, "a set", "list(images) is one"),
        ({"a": PIXELS}, "a dict", "list(images.values()) is one"),
        (None, "a NoneType", "[image]"),
    ],
)  # fmt: skip
def test_something_else_than_a_list_is_refused_with_what_to_do(images, got, hint):
    said = complaint(check_list, images)
    assert said.startswith(f"expected a list of images, got {got}; ")
    assert said.endswith(hint)
