"""What the command makes of its config; whole studies are in tests/study."""

from jaxrcnn.cli.study import in_steps
from jaxrcnn.config import Config, DataConfig, ModelConfig, TrainConfig
from jaxrcnn.study.schemes import SCHEMES
from jaxrcnn.validation import check


def test_epochs_are_steps_before_a_scheme_shares_them_out(capsys):
    config = Config(
        model=ModelConfig(num_classes=4),
        data=DataConfig(format="shapes", num_train_images=10),
        train=TrainConfig(batch_size=4, epochs=16),
    )
    found = in_steps(config)
    assert (found.train.steps, found.train.epochs) == (40, 0.0)
    assert capsys.readouterr().out.startswith("train.epochs=16, 10 images each: 40 steps of 4 ")
    check(SCHEMES["alternating"](found))
    assert in_steps(found) is found
