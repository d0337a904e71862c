import pytest

from jaxrcnn.recipe.schedule import choose_batch_size, choose_epochs, choose_eval_every


@pytest.mark.parametrize(
    ("platform", "devices", "images", "size"),
    [
        ("cpu", 1, 200, 4),
        ("gpu", 1, 200, 8),
        ("tpu", 8, 200, 64),
        ("cpu", 1, 3, 2),
        ("cpu", 1, 1, 1),
        ("gpu", 4, 2, 4),  # one image of each device is the least, though there are fewer
    ],
)
def test_batch_size(platform, devices, images, size):
    assert choose_batch_size(platform, devices, images) == size


@pytest.mark.parametrize(
    ("images", "batch", "pretrained", "epochs"),
    [
        (205, 4, True, 20),  # 1000 * 4 / 205 = 19.5
        (205, 4, False, 40),  # 2000 * 4 / 205 = 39.02
        (100_000, 16, True, 4),
        (100_000, 16, False, 12),
        (10, 4, True, 50),
        (10, 4, False, 150),
    ],
)
def test_epochs(images, batch, pretrained, epochs):
    assert choose_epochs(images, batch, pretrained) == epochs


@pytest.mark.parametrize(("steps", "every"), [(1000, 100), (1025, 103), (4, 50)])
def test_about_ten_evaluations(steps, every):
    assert choose_eval_every(steps) == every
