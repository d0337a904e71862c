import numpy as np

from jaxrcnn.benchmark import augmentations, inputs
from jaxrcnn.benchmark.augmentations import augmentation_costs
from jaxrcnn.config import Config, DataConfig
from jaxrcnn.data.augment import AUGMENTATIONS

CONFIG = Config(data=DataConfig(format="shapes"))


def test_a_cost_is_what_an_image_takes_longer_than_without(monkeypatch):
    now, seen = [0.0], []

    def make(dataset, config, bucket, indices, step):
        assert bucket == (800, 1088)
        assert len(indices) == 16
        sample = dataset.read_sample(0)
        assert sample.image.shape == (480, 640, 3)
        assert len(sample.boxes) == 8
        assert (sample.boxes >= 0).all()
        assert (sample.boxes <= np.array([640, 480, 640, 480])).all()
        assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
        seen.append((config.data.augment, step))
        now[0] += {(): 1.6, ("mosaic(p=1.0)",): 4.8}.get(config.data.augment, 1.6)

    monkeypatch.setattr(augmentations, "make_train_batch", make)
    monkeypatch.setattr(augmentations.time, "thread_time", lambda: now[0])
    with inputs.drawn_files() as dataset:
        costs = augmentation_costs(dataset, CONFIG, batches=2)
    assert costs.keys() == AUGMENTATIONS.keys()
    np.testing.assert_allclose(costs["mosaic"], 200)  # 3.2 s of 16 images
    np.testing.assert_allclose(costs["cutout"], 0, atol=1e-9)
    assert [step for entries, step in seen if not entries] == [0, 0, 1]  # the first warms up
