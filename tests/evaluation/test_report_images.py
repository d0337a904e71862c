import base64
import io

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.evaluation.analysis.worst import Mistake, WorstImage
from jaxrcnn.evaluation.report_images import KIND_COLORS, draw_worst


def make(size, box, kind="background", **options):
    """What is drawn of an image with one mistake: its caption and its pixels."""
    record = make_record(1, "a.jpg", "", size, [], [])
    dataset = Dataset(
        "one", (record,), ("cat", "dog"), reader=lambda _: np.full((*size, 3), 90, np.uint8)
    )
    mistake = Mistake(kind, np.array(box, float), 1, **options)
    (drawn,) = draw_worst([WorstImage(0, [mistake], np.zeros((0, 4)))], dataset)
    data = base64.b64decode(drawn.uri.removeprefix("data:image/jpeg;base64,"))
    return drawn.caption, np.array(Image.open(io.BytesIO(data)), int)


def is_color(pixels, kind):
    """Whether pixels have a kind's colour, but for what JPEG changes."""
    color = np.array(list(bytes.fromhex(KIND_COLORS[kind][1:])))
    return np.abs(pixels - color).max(axis=-1) < 60


@pytest.mark.parametrize("times", [1, 8])
def test_a_mistake_is_where_it_was_found_at_any_size_of_the_image(times):
    size, box = (300 * times, 400 * times), np.array([100, 120, 300, 240]) * times
    caption, pixels = make(size, box, score=0.5)
    assert caption == "a.jpg: 1 mistake (1 background)"
    scale = pixels.shape[1] / size[1]
    x0, y0, x1, y1 = np.rint(box * scale).astype(int)
    for y, x in (((y0 + y1) // 2, x0), ((y0 + y1) // 2, x1 - 1), (y1 - 1, (x0 + x1) // 2)):
        assert is_color(pixels[y - 2 : y + 3, x - 2 : x + 3], "background").any(), (y, x)
    assert not is_color(pixels[y0 + 30 : y1 - 5, x0 + 5 : x1 - 5], "background").any()


def test_a_missed_object_and_a_wrong_class_have_colours_of_their_own():
    for kind, options in (("missed", {}), ("classification", {"score": 0.5, "meant": 2})):
        caption, pixels = make((300, 400), (100, 120, 300, 240), kind, **options)
        assert caption == f"a.jpg: 1 mistake (1 {kind})"
        assert is_color(pixels, kind).sum() > 500
        assert not is_color(pixels, "background").any()
