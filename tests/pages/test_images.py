import base64
import io

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.pages import png_uri, thumbnail


def opened(uri, kind):
    head, data = uri.split(",")
    assert head == f"data:image/{kind};base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("shape", "size"), [((300, 600), (160, 80)), ((600, 300), (80, 160)), ((20, 30), (30, 20))]
)
def test_a_thumbnail_is_a_small_jpeg_of_the_image(shape, size):
    image = np.full((*shape, 3), (200, 100, 50), np.uint8)
    image[: shape[0] // 2] = (0, 0, 255)
    with opened(thumbnail(image, 160), "jpeg") as small:
        assert small.size == size  # (width, height); a smaller image keeps its size
        pixels = np.asarray(small)
    np.testing.assert_allclose(pixels[2, 5], (0, 0, 255), atol=6)
    np.testing.assert_allclose(pixels[-3, 5], (200, 100, 50), atol=6)


def test_a_plot_is_a_png_from_a_figure_or_from_its_file():
    from matplotlib.figure import Figure

    with opened(png_uri(Figure(figsize=(2, 1), dpi=50)), "png") as image:
        assert image.size == (100, 50)
    assert png_uri(b"\x89PNG") == "data:image/png;base64,iVBORw=="
