from jaxrcnn.config import Config, TrainConfig
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.run_start import describe_training
from jaxrcnn.training.optimizer import default_optimizer


def test_a_schedule_that_training_is_too_short_for_is_said_unless_the_optimiser_is_ones_own():
    config = Config(train=TrainConfig(steps=20))
    record = make_record(1, "one", "", (16, 24), [[2, 2, 8, 8]], [1], [1])
    dataset = Dataset("small", (record,), ("a",))
    assert [line[:35] for line in describe_training(config, dataset, default_optimizer)] == [
        "warning: training ends at step 20, "
    ] * 2
    assert describe_training(config, dataset, lambda config, first_step: None) == []
