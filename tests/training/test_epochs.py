from dataclasses import replace

import pytest

from jaxrcnn.config import (
    AlternatingConfig,
    AlternatingStep,
    Config,
    ConfigError,
    DataConfig,
    OptimizerConfig,
    TrainConfig,
)
from jaxrcnn.training.epochs import describe_epochs, describe_schedule, with_epochs


def config_of(epochs=0.0, steps=90000, batch_size=16, *, scheme="joint", alternating=(), **fields):
    """Detectron2's 1x schedule, but for some fields."""
    optimizer = OptimizerConfig(**{"warmup_steps": 1000, "milestones": (60000, 80000), **fields})
    train = TrainConfig(
        scheme=scheme,
        alternating=AlternatingConfig(alternating),
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        optimizer=optimizer,
    )
    return Config(data=DataConfig(format="shapes"), train=train)


def schedule_of(config):
    train = config.train
    return train.steps, train.optimizer.warmup_steps, train.optimizer.milestones


def test_without_epochs_nothing_changes():
    config = config_of()
    assert with_epochs(config, 7) is config
    assert describe_epochs(config, 7) == []


@pytest.mark.parametrize(
    ("epochs", "images", "batch_size", "steps"),
    [
        (1, 32, 16, 2),
        (1, 33, 16, 3),  # the last batch begins another epoch
        (12, 117266, 16, 87950),  # 87949.5
        (0.5, 33, 1, 17),
        (0.1, 30, 3, 1),  # in binary a little more than 1
        (1e-5, 10, 1, 1),
    ],
)
def test_steps_are_the_images_over_the_batch_size_rounded_up(epochs, images, batch_size, steps):
    config = config_of(epochs, batch_size=batch_size, warmup_steps=0, milestones=())
    assert schedule_of(with_epochs(config, images)) == (steps, 0, ())


def test_warmup_and_milestones_are_scaled_with_the_steps():
    config = with_epochs(config_of(24, batch_size=10), 75000)  # twice as many steps
    assert schedule_of(config) == (180000, 2000, (120000, 160000))
    config = with_epochs(config_of(4, batch_size=10), 90000)  # 0.4 of them
    assert schedule_of(config) == (36000, 400, (24000, 32000))


@pytest.mark.parametrize(
    ("steps", "own", "warmup"),
    [
        (3000, 1000, 100),  # scaled it would be 33
        (400, 1000, 40),  # a tenth of training
        (3000, 60, 60),  # as the config has it
        (3000, 0, 0),
    ],
)
def test_warmup_is_not_scaled_to_next_to_nothing(steps, own, warmup):
    config = with_epochs(config_of(1, batch_size=1, warmup_steps=own), steps)
    assert schedule_of(config)[:2] == (steps, warmup)


def test_drops_are_in_order_and_after_the_warmup_however_short_training_is():
    early = config_of(1, batch_size=1, milestones=(2000, 60000, 80000))
    assert schedule_of(with_epochs(early, 900)) == (900, 90, (90, 600, 800))  # and not at 20
    assert schedule_of(with_epochs(config_of(1, batch_size=1), 1)) == (1, 0, (1,))


def test_milestones_that_no_schedule_looks_at_stay():
    config = with_epochs(config_of(1, batch_size=1, schedule="cosine"), 900)
    assert schedule_of(config) == (900, 90, (60000, 80000))


@pytest.mark.parametrize("images", [3, 292, 117266])
def test_what_is_written_to_config_json_stays_as_it_is(images):
    once = with_epochs(config_of(7.3, batch_size=3), images)
    assert once.train.epochs == 7.3
    assert with_epochs(once, images) == once


def test_the_new_config_is_checked():
    config = config_of(1, batch_size=1, accumulate=8)
    with pytest.raises(ConfigError, match=r"accumulate=8 must not exceed train\.steps=4"):
        with_epochs(config, 4)


def test_what_was_computed_is_said_in_a_line():
    config = with_epochs(config_of(12, batch_size=8), 292)
    assert describe_epochs(config, 292) == [
        "train.epochs=12, 292 images each: 438 steps of 8 images, warm-up over 43 steps, "
        "learning rate drops at step 292 and 389"
    ]
    cosine = with_epochs(config_of(2.5, batch_size=8, schedule="cosine"), 16)
    assert describe_epochs(cosine, 16) == [
        "train.epochs=2.5, 16 images each: 5 steps of 8 images, warm-up over 0 steps"
    ]


def test_a_schedule_that_fits_is_not_warned_of():
    assert describe_schedule(config_of()) == []
    assert describe_schedule(config_of(steps=80001)) == []
    assert describe_schedule(config_of(steps=1001, schedule="cosine")) == []
    assert describe_schedule(config_of(steps=1001, schedule="constant")) == []


def test_what_training_is_too_short_for_is_a_warning():
    peak = "the learning rate never reaches its peak"
    assert describe_schedule(config_of(steps=80000)) == [
        "warning: training ends at step 80000, but the learning rate drops at step 80000 "
        "(milestones), which has no effect"
    ]
    assert describe_schedule(config_of(steps=1000)) == [
        "warning: training ends at step 1000, but warm-up takes 1000 steps "
        f"(train.optimizer.warmup_steps): {peak}",
        "warning: training ends at step 1000, but the learning rate drops at step 60000 and 80000 "
        "(milestones), which has no effect",
    ]


def test_each_step_of_alternating_training_has_a_schedule_of_its_own():
    steps = (
        AlternatingStep("rpn", steps=50, milestones=(40, 50)),
        AlternatingStep("fast_rcnn", steps=20, milestones=(15,)),
    )
    config = config_of(
        steps=70, scheme="alternating", alternating=steps, warmup_steps=30, milestones=()
    )
    assert describe_schedule(config) == [
        "warning: alternating step 1 ends at step 50, but the learning rate drops at step 50 "
        "(milestones), which has no effect",
        "warning: alternating step 2 ends at step 20, but warm-up takes 30 steps "
        "(train.optimizer.warmup_steps): the learning rate never reaches its peak",
    ]
    optimizer = replace(config.train.optimizer, warmup_steps=0, schedule="constant")
    assert (
        describe_schedule(replace(config, train=replace(config.train, optimizer=optimizer))) == []
    )
