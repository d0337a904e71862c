import dataclasses

import numpy as np
import pytest

from jaxrcnn.checking.anchors import check_anchors, ious, kmeans, suggest_anchors
from jaxrcnn.config import AnchorConfig, BackboneConfig, Config, DataConfig, ModelConfig, NeckConfig
from jaxrcnn.data.records import Dataset, make_record


def test_ious_of_rectangles_that_share_a_corner_by_hand():
    found = ious(np.array([[2.0, 4.0], [4.0, 4.0]]), np.array([[4.0, 2.0], [4.0, 4.0]]))
    # 2 x 2 of 8 + 8 - 4; 2 x 4 of 16; 4 x 2 of 16; the same
    np.testing.assert_allclose(found, [[4 / 12, 8 / 16], [8 / 16, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_means_of_separate_clusters_are_their_medians(seed):
    small = np.array([[9.0, 10], [10, 10], [11, 10]])
    wide = np.array([[100.0, 20], [104, 20], [96, 20]])
    tall = np.array([[20.0, 100], [20, 110], [20, 90]])
    means = kmeans(np.concatenate([small, wide, tall]), 3, seed)
    np.testing.assert_allclose(means[np.lexsort(means.T)], [[10, 10], [100, 20], [20, 100]])


def test_there_are_no_more_means_than_rectangles():
    assert len(kmeans(np.array([[4.0, 4.0]] * 5), 3, 0)) == 1


def test_suggested_anchors_have_the_objects_sizes_and_ratios():
    rng = np.random.default_rng(0)
    sizes, ratios = rng.choice([10.0, 40, 160], 300), rng.choice([0.5, 2], 300)
    sides = np.stack([sizes / np.sqrt(ratios), sizes * np.sqrt(ratios)], axis=1)
    corners = np.concatenate([np.zeros((300, 2)), sides], axis=1)
    anchors = AnchorConfig(sizes=((32.0,), (64.0,), (128.0,)), ratios=(1.0, 3.0))
    found = suggest_anchors(corners, anchors, 0)
    assert found.sizes == ((10,), (40,), (160,))
    assert found.ratios == (0.5, 2)
    shared = dataclasses.replace(anchors, sizes=((32.0, 64.0, 128.0),) * 2)
    assert suggest_anchors(corners, shared, 0).sizes == ((10, 40, 160),) * 2


def test_what_anchors_miss_of_resized_objects_by_hand():
    model = ModelConfig(
        backbone=BackboneConfig("resnet18"),
        neck=NeckConfig("c4"),
        anchors=AnchorConfig(sizes=((32.0,),), ratios=(1.0,)),
    )
    config = Config(model=model, data=DataConfig(short_side=128, long_side=128))
    # Twice as large after resizing: 32 x 32 about (64, 64), an anchor; 32 x 20, IoU 0.625; a dot.
    boxes = [[24, 24, 40, 40], [24, 27, 40, 37], [24, 24, 26, 26]]
    dataset = Dataset("d", (make_record(1, "a", "", (64, 64), boxes, [1, 1, 1]),), ("cat",))
    found = check_anchors(dataset, config)
    assert found is not None
    assert found["missed"] == {"0.5": pytest.approx(1 / 3), "0.7": pytest.approx(2 / 3)}
    # k-means finds 25, the median of 32, 25.3 and 4, which reaches the second alone.
    assert found["suggested_sizes"] is found["suggested_missed"] is None
    other = dataclasses.replace(model, anchors=AnchorConfig(sizes=((200.0,),), ratios=(1.0,)))
    found = check_anchors(dataset, dataclasses.replace(config, model=other))
    assert found["missed"] == {"0.5": 1, "0.7": 1}
    assert found["suggested_sizes"] == ((25,),)
    assert found["suggested_missed"]["0.5"] < 1
    empty = Dataset("d", (make_record(1, "a", "", (64, 64), np.zeros((0, 4)), []),), ("cat",))
    assert check_anchors(empty, config) is None
