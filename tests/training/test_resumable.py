"""Every field of the config is in one of the two lists below, so that a new one is decided."""

import dataclasses
import typing

import pytest

from jaxrcnn.config import AlternatingStep, Config, ConfigError, OptimizerConfig, TrainConfig
from jaxrcnn.config_io import UNKEPT, field_types, field_values, replace_fields
from jaxrcnn.training.history import Change
from jaxrcnn.training.resumable import describe_changes, resumed_config

ALLOWED = (
    *("train.steps", "train.epochs", "train.optimizer.milestones"),
    *("train.log_every", "train.eval_every", "train.checkpoint_every", "train.keep_checkpoints"),
    *("train.keep_best", "train.patience", "train.trackers"),
    *("train.diagnostics.every", "train.diagnostics.curvature"),
    *("eval.metric", "eval.batch_size", "eval.images", "data.workers", "data.test_split"),
    *("data.read_timeout", "data.max_skipped_share"),
    *("train.checkpoint_minutes", "train.on_bad_checkpoint"),
    *("train.on_changed_data", "train.on_nonfinite", "train.max_skipped", "train.stop_seconds"),
    *("train.watchdog", "train.mesh.data", "train.mesh.fsdp"),
    *("eval.backend", "eval.max_detections"),
    *("profile.start", "profile.steps"),
)
REFUSED_GROUPS = ("model",)
REFUSED = (
    "seed",
    *("data.format", "data.root", "data.image_roots"),
    *("data.train_splits", "data.eval_split", "data.val_share"),
    *("data.classes", "data.rename", "data.columns", "data.repeat_threshold"),
    *("data.short_side", "data.long_side", "data.resize", "data.canvas", "data.train_short_sides"),
    *("data.decoder", "data.max_buckets"),
    *("data.horizontal_flip", "data.vertical_flip", "data.train_proposals", "data.eval_proposals"),
    *("data.augment", "data.min_visible"),
    *("data.keep_difficult", "data.voc_one_based", "data.max_pixels", "data.skip_empty"),
    *("data.on_error", "data.num_train_images", "data.num_eval_images"),
    *("train.scheme", "train.alternating.steps", "train.alternating.keep_proposals"),
    *("train.batch_size", "train.init", "train.init_strict", "train.init_keep_classes"),
    *("train.init_restart", "train.freeze"),
    *("train.optimizer.name", "train.optimizer.learning_rate"),
    *("train.optimizer.reference_batch_size", "train.optimizer.momentum"),
    *("train.optimizer.weight_decay", "train.optimizer.decay_norms"),
    *("train.optimizer.decay_biases", "train.optimizer.bias_rate_factor"),
    *("train.optimizer.rate_factors", "train.optimizer.warmup_steps"),
    *("train.optimizer.warmup_factor", "train.optimizer.schedule"),
    *("train.optimizer.drop_factor", "train.optimizer.clip_norm", "train.optimizer.accumulate"),
    "train.optimizer.ema_decay",
)
DONE = 50000  # steps


def another(name):
    """A value of a field that the default config has not; of numbers a larger one."""
    value, kind = field_values(Config())[name], field_types()[name]
    if typing.get_origin(kind) is typing.Literal:
        return next(choice for choice in typing.get_args(kind) if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if name == "train.alternating.steps":
        return (*value, AlternatingStep())
    if "..." in str(kind):
        return (*value, "x" if "str" in str(kind) else 100000) if value else ("x",)
    return tuple(x + 1 for x in value)


def test_every_field_is_decided():
    in_groups = {x for x in field_types() if x.partition(".")[0] in REFUSED_GROUPS}
    assert field_types().keys() == {*ALLOWED, *REFUSED, *in_groups}
    assert len({*ALLOWED, *REFUSED}) == len([*ALLOWED, *REFUSED])


@pytest.mark.parametrize("name", ALLOWED)
def test_these_may_change(name):
    there, value = Config(), another(name)
    here = dataclasses.replace(there)
    here = _with(there, name, value)
    config, changes = resumed_config(there, here, DONE)
    assert config == here
    if name.partition(".")[0] in UNKEPT:
        assert changes == []
    else:
        assert changes == [Change(DONE, name, field_values(there)[name], value)]


@pytest.mark.parametrize("name", [x for x in field_types() if x not in ALLOWED])
def test_these_decide_what_is_done(name):
    there, value = Config(), another(name)
    with pytest.raises(ConfigError) as caught:
        resumed_config(there, _with(there, name, value), DONE)
    message = str(caught.value)
    assert f"({name} is {field_values(there)[name]!r} there, {value!r} here)" in message
    assert f"which would have changed the {DONE} steps already done" in message
    assert "another --workdir" in message
    assert "--from with this workdir" in message


def _with(config, name, value):
    """The config with another value, whatever its type."""
    group, _, field = name.rpartition(".")
    if not group:
        return dataclasses.replace(config, **{field: value})
    parent = config
    for part in group.split("."):
        parent = getattr(parent, part)
    changed = dataclasses.replace(parent, **{field: value})
    return changed if not group else _with(config, group, changed)


def test_the_root_may_change_where_the_data_were_compared():
    where = {"data.root": ("x", "y"), "data.image_roots": ("z",)}
    here = replace_fields(Config(), {**where, "train.log_every": 5})
    changes = resumed_config(Config(), here, DONE, moved=True)[1]
    assert [change.field for change in changes] == [*where, "train.log_every"]
    with pytest.raises(ConfigError, match="seed is 0 there, 1 here"):
        resumed_config(Config(), replace_fields(here, {"seed": 1}), DONE, moved=True)


def test_before_the_first_step_there_are_no_weights_to_start_from():
    with pytest.raises(ConfigError) as caught:
        resumed_config(Config(), Config(seed=1), 0)
    assert str(caught.value) == (
        "it holds a run with a different config (seed is 0 there, 1 here). Use the same values to "
        "resume it, or another --workdir to start a new run"
    )


def test_only_what_is_refused_is_named():
    here = replace_fields(Config(), {"seed": 1, "train.steps": 95000, "train.log_every": 5})
    with pytest.raises(ConfigError) as caught:
        resumed_config(Config(), here, DONE)
    assert "train.steps" not in str(caught.value)
    assert "log_every" not in str(caught.value)


def test_steps_may_be_fewer_but_not_than_are_done():
    def resumed(steps):
        return resumed_config(Config(), replace_fields(Config(), {"train.steps": steps}), DONE)

    assert resumed(DONE)[0].train.steps == DONE
    with pytest.raises(
        ConfigError, match=r"^train.steps=49999 is less than the 50000 steps already"
    ):
        resumed(DONE - 1)


@pytest.mark.parametrize(
    ("milestones", "fine"),
    [
        ((40000, 50000), True),  # the next step, after 50000, is the first that sees it
        ((40000,), True),
        ((40000, 60000, 80000, 85000), True),
        ((40000, 49999, 80000), False),
        ((80000,), False),
    ],
)
def test_milestones_may_change_where_no_step_has_seen_them(milestones, fine):
    there = replace_fields(Config(), {"train.optimizer.milestones": (40000, 80000)})
    here = replace_fields(Config(), {"train.optimizer.milestones": milestones})
    if fine:
        assert resumed_config(there, here, DONE)[0] == here
    else:
        with pytest.raises(ConfigError, match=r"before step 50000, keep \(40000,\)$"):
            resumed_config(there, here, DONE)


def test_longer_epochs_keep_the_warm_up_and_the_milestones_that_were():
    def of_epochs(epochs, factor):
        return replace_fields(
            Config(),
            {
                "train.epochs": epochs,
                "train.steps": 100 * factor,
                "train.optimizer.warmup_steps": 10 * factor,
                "train.optimizer.milestones": (60 * factor, 80 * factor),
            },
        )

    there, here = of_epochs(10.0, 1), of_epochs(20.0, 2)
    config, changes = resumed_config(there, here, 100)
    assert config.train.steps == 200
    assert config.train.optimizer == there.train.optimizer
    assert [change.field for change in changes] == ["train.steps", "train.epochs"]


def test_an_alternating_run_keeps_its_phases():
    steps = (AlternatingStep(steps=4),)
    there = replace_fields(
        Config(),
        {"train.scheme": "alternating", "train.alternating.steps": steps, "train.steps": 4},
    )
    longer = replace_fields(
        there, {"train.alternating.steps": (*steps, AlternatingStep(steps=4)), "train.steps": 8}
    )
    with pytest.raises(ConfigError, match=r"train\.alternating\.steps is .*; train\.steps is 4"):
        resumed_config(there, longer, 4)
    more = replace_fields(there, {"train.log_every": 1})
    assert resumed_config(there, more, 4)[0] == more


def test_changes_are_said_and_a_stretched_cosine_too():
    changes = [Change(60, "train.steps", 60, 100), Change(60, "train.log_every", 20, 5)]
    lines = ["from step 60 on, train.steps=100 (was 60)", "from step 60 on, train.log_every=5"]
    constant = Config(train=TrainConfig(optimizer=OptimizerConfig(schedule="constant")))
    assert describe_changes(constant, changes) == [lines[0], f"{lines[1]} (was 20)"]
    cosine = Config(train=TrainConfig(optimizer=OptimizerConfig(schedule="cosine")))
    (kept,) = describe_changes(cosine, [Change(60, "train.epochs", 6.0, 9.0)])[1:]
    assert kept == (
        "train.optimizer.warmup_steps=1000 and milestones=(60000, 80000) stay as they were: "
        "train.epochs does not change them"
    )
    last = describe_changes(cosine, changes)[-1]
    assert last.startswith("train.optimizer.schedule=cosine depends on train.steps: the first 60")
    assert "the rate jumps here" in last
    assert describe_changes(cosine, [Change(0, "train.steps", 60, 100)]) == [
        "from step 0 on, train.steps=100 (was 60)"
    ]
