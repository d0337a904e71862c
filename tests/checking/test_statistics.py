import numpy as np
import pytest

from jaxrcnn.checking.statistics import describe_split, quantiles
from jaxrcnn.data.records import Dataset, make_record

NONE = np.zeros((0, 4))


def test_numbers_of_a_small_set_by_hand():
    records = (
        make_record(1, "a", "", (100, 200), [[0, 0, 10, 40], [0, 0, 40, 40]], [1, 2]),
        make_record(2, "b", "", (300, 200), [[0, 0, 200, 50]], [1], crowd=[True]),
        make_record(3, "c", "", (100, 200), NONE, []),
    )
    found = describe_split(Dataset("d", records, ("cat", "dog", "owl")))
    assert (found["images"], found["boxes"], found["boxes_to_ignore"]) == (3, 3, 1)
    assert (found["empty_images"], found["empty_share"]) == (1, pytest.approx(1 / 3))
    assert (found["small"], found["medium"], found["large"]) == (1, 1, 1)  # 400, 1600, 10000
    assert found["boxes_per_image"]["median"] == 1
    assert found["boxes_per_image"]["75%"] == 1.5  # of 0, 1, 2
    assert found["aspect_ratios"]["min"] == 0.25
    assert found["aspect_ratios"]["max"] == 4
    assert found["image_heights"]["max"] == 300
    assert list(found["classes"]) == ["cat", "dog"]
    cat = found["classes"]["cat"]
    assert (cat["boxes"], cat["images"]) == (2, 2)
    assert cat["box_sizes"]["median"] == 60  # of 20 and 100
    assert quantiles(np.zeros(0)) is None
