import pytest

from jaxrcnn.config import Config, ConfigError, TrainConfig
from jaxrcnn.training.best import BestSoFar, best_so_far, check_metric, choose
from jaxrcnn.training.history import Change, append_history
from jaxrcnn.training.metrics import MetricsWriter


def config_of(metric="eval/AP", patience=0):
    return Config(train=TrainConfig(keep_best=metric, patience=patience))


def best_of(*scores, metric="eval/AP"):
    rows = [{"step": step, metric: score} for step, score in enumerate(scores, 1)]
    return BestSoFar(config_of(metric), rows).best


def test_the_highest_score_is_the_best_and_of_equal_ones_the_earlier():
    assert best_of(0.1, 0.3, 0.2, 0.3) == (2, 0.3)
    assert best_of(0.0, 0.0) == (1, 0.0)


def test_of_losses_the_lowest_is_the_best():
    assert best_of(3.0, 1.0, 2.0, 1.0, metric="eval/loss") == (2, 1.0)
    assert best_of(3.0, 4.0, metric="eval/loss_box_reg") == (1, 3.0)


def test_an_undefined_score_is_never_the_best():
    assert best_of(None, float("nan"), float("inf"), 0.1, None) == (4, 0.1)
    assert best_of(None, float("-inf"), metric="eval/loss") is None


def test_each_evaluation_is_told_whether_it_is_the_best():
    so_far = BestSoFar(config_of())
    scores = (0.2, 0.2, 0.3, float("nan"))
    told = [so_far.add(step, {"eval/AP": score}) for step, score in enumerate(scores)]
    assert told == [True, False, True, False]


def test_without_a_metric_none_is_the_best_and_nothing_ends():
    so_far = BestSoFar(config_of(""), [{"step": 1, "eval/AP": 0.5}])
    assert (so_far.best, so_far.is_over) == (None, False)


@pytest.mark.parametrize(
    ("scores", "over"),
    [
        ((0.3, 0.2), False),
        ((0.3, 0.2, 0.3), True),  # an equal score is not better
        ((0.3, 0.2, 0.4), False),
        ((None, None), True),
        ((0.3, 0.2, 0.4, 0.1, None), True),
    ],
)
def test_training_ends_after_evaluations_in_a_row_that_are_not_better(scores, over):
    rows = [{"step": 10 * k, "eval/AP": score} for k, score in enumerate(scores)]
    rows.insert(1, {"step": 5, "train/loss": 1.0})  # is no evaluation
    assert BestSoFar(config_of(patience=2), rows).is_over == over
    assert not BestSoFar(config_of(patience=0), rows).is_over


def test_the_end_is_said_in_one_line():
    rows = [{"step": 10 * k, "eval/AP": 0.5 - k / 10} for k in (1, 2, 3)]
    assert BestSoFar(config_of(patience=2), rows).describe_end(30) == (
        "training ended at step 30: 2 evaluations without a better eval/AP than 0.400 at step 10 "
        "(train.patience=2)"
    )


def test_a_metric_that_there_is_not_is_named_with_those_that_there_are():
    check_metric(config_of(""), [])
    check_metric(config_of(), ["eval/AP"])
    message = r"^train.keep_best=eval/mAP is not .* has eval/AP, eval/AP50$"
    with pytest.raises(ConfigError, match=message):
        check_metric(config_of("eval/mAP"), ["eval/AP50", "step", "eval/AP"])


@pytest.fixture
def workdir(tmp_path):
    """A run whose best score is that of step 20."""
    with MetricsWriter(tmp_path, 0) as writer:
        for step, score in ((10, 0.1), (20, 0.4), (30, 0.3)):
            writer.write(step, {"train/loss": 1.0})
            writer.write(step, {"eval/AP": score, "eval/loss": 1.0})
    return tmp_path


def test_a_run_is_read_from_its_folder(workdir, tmp_path_factory):
    assert best_so_far(workdir, config_of()).best == (20, 0.4)
    assert best_so_far(tmp_path_factory.mktemp("new"), config_of()).best is None


@pytest.mark.parametrize("field", ["train.keep_best", "eval.metric"])
def test_what_was_evaluated_before_another_score_counted_does_not_count(workdir, field):
    append_history(workdir, [Change(10, "train.steps", 20, 30)])
    assert best_so_far(workdir, config_of()).best == (20, 0.4)
    append_history(workdir, [Change(30, field, "", "eval/AP")])
    assert best_so_far(workdir, config_of()).best == (30, 0.3)  # the state that it went on from


STEPS = [20, 30]


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (None, (20, "eval/AP")),
        ("best", (20, "eval/AP")),
        ("last", (30, "")),
        (30, (30, "")),
        (20, (20, "eval/AP")),
    ],
)
def test_the_best_checkpoint_is_taken_unless_another_is_asked_for(workdir, asked, chosen):
    assert choose(workdir, config_of(), STEPS, asked) == chosen


def test_a_run_without_a_best_one_has_its_last(workdir, tmp_path_factory):
    new = tmp_path_factory.mktemp("new")
    assert choose(workdir, config_of(""), STEPS) == (30, "")
    assert choose(new, config_of(), []) == (None, "")
    for folder, metric, reason in (
        (workdir, "", "train.keep_best was not set"),
        (new, "eval/AP", "no evaluation has eval/AP yet"),
    ):
        with pytest.raises(ConfigError, match=rf"has no best checkpoint \({reason}\)"):
            choose(folder, config_of(metric), STEPS, "best")


def test_a_best_checkpoint_that_is_gone_is_one_line(workdir):
    message = r"checkpoints lacks the checkpoint of step 20, the best by eval/AP; available: 30$"
    with pytest.raises(ConfigError, match=message):
        choose(workdir, config_of(), [30])


@pytest.mark.parametrize("asked", ["first", True, 1.5])
def test_anything_else_is_refused(workdir, asked):
    with pytest.raises(ConfigError, match=r"must be 'best', 'last' or a step"):
        choose(workdir, config_of(), STEPS, asked)
