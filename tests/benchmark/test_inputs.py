import pytest

from jaxrcnn.benchmark import inputs
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.config import Config, DataConfig


@pytest.fixture(scope="module")
def dataset():
    with inputs.drawn_files() as dataset:
        yield dataset


CONFIG = Config(data=DataConfig(format="shapes"))


def test_the_files_are_photographs_of_one_size(dataset):
    assert len(dataset) == 16
    assert {tuple(size) for size in dataset.sizes.tolist()} == {(480, 640)}
    image = dataset.read_image(0).astype(float)
    rough = abs(image[:, 1:] - image[:, :-1]).mean()
    assert 3 < rough < 40  # neither flat nor noise alone


def test_images_are_counted_by_the_second(dataset, monkeypatch):
    made = []
    monkeypatch.setattr(inputs, "make_train_batch", lambda *args: made.append(args))
    clock = iter([1.0, 3.0])
    monkeypatch.setattr(inputs.time, "perf_counter", lambda: next(clock))
    assert inputs.images_a_second(dataset, CONFIG, steps=5) == 16 * 5 / 2
    assert len(made) == 6  # the first warms up
    _, config, bucket, indices, _ = made[0]
    assert config.data.horizontal_flip == 1
    assert bucket == (800, 1088)
    assert sorted(indices) == list(range(16))


def test_the_parts_of_a_image_are_told_apart(dataset):
    split = inputs.split_of(dataset, CONFIG, rounds=2)
    assert min(split) > 0
    assert split.resize > split.flip


@pytest.mark.parametrize(
    ("delays", "late", "seconds"), [((0, 0, 0, 0), 0, 0), ((0, 9, 0, 2), 2, 11)]
)
def test_a_step_waits_where_its_batch_comes_late(dataset, monkeypatch, delays, late, seconds):
    now = [0.0]

    class Stream:
        def __init__(self):
            self.delays = iter((5, 5, *delays))  # the first two are not counted

        def __next__(self):
            now[0] += next(self.delays)
            return "batch"

        def close(self):
            pass

    class Program:
        def __init__(self, config, shape, build):
            pass

        def step_on(self, batch):
            assert batch == "batch"
            now[0] += 100

    monkeypatch.setattr(inputs, "Training", Program)
    monkeypatch.setattr(inputs, "train_batches", lambda dataset, config: Stream())
    monkeypatch.setattr(inputs.time, "perf_counter", lambda: now[0])
    waits = inputs.waits_of_training(dataset, CONFIG, Shape(2, 64, 96), steps=4)
    assert waits == (late / 4, seconds, 4)
