"""What is printed after a run of each kind; a whole run's lines are in tests/test_train.py."""

import pathlib

from jaxrcnn.cli.report import next_commands
from jaxrcnn.config import AlternatingConfig, AlternatingStep, Config, TrainConfig


def test_the_commands_that_come_next_can_be_pasted():
    def commands(trains="joint"):
        steps = (AlternatingStep(trains=trains, steps=2),) if trains != "joint" else ()
        scheme = "alternating" if steps else "joint"
        config = Config(
            train=TrainConfig(scheme=scheme, alternating=AlternatingConfig(steps), steps=2)
        )
        return next_commands(config, pathlib.Path("my run"))

    evaluate = "python -m jaxrcnn evaluate 'my run'"
    assert commands() == ["python -m jaxrcnn predict 'my run' IMAGES --out found", evaluate]
    assert commands("rpn") == ["python -m jaxrcnn proposals 'my run'"]
    assert commands("fast_rcnn") == [evaluate]
    given = next_commands(Config(), pathlib.Path("a"), "my_fork:build")
    assert [command.endswith(" --pieces my_fork:build") for command in given] == [True, True]
