"""The loop over images of many sizes; what it writes is seen in tests/test_train.py."""

import contextlib
import re
import time
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import (
    AlternatingConfig,
    AlternatingStep,
    Config,
    DataConfig,
    DiagnosticsConfig,
    OptimizerConfig,
    TrainConfig,
)
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.planning import training_buckets
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.detector import COLLECTIONS, build
from jaxrcnn.ops.roi_align import roi_align
from jaxrcnn.training.errors import NonFiniteLossError
from jaxrcnn.training.finite import LastSteps
from jaxrcnn.training.loop import Log, Loop, evaluates_after
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Batch
from tests.tiny import MODEL

TRACES = []


def counted_roi_align(features, *arguments):
    """Called once a trace: the shapes of the maps tell the bucket."""
    TRACES.append(features[0].shape)
    return roi_align(features, *arguments)


def grey(record):
    return np.full((record.height, record.width, 3), 128, np.uint8)


def dataset_of_many_sizes(images):
    rng = np.random.default_rng(0)
    records = [
        make_record(
            number, f"p{number}", "", (height, width), np.array([[2, 2, 20, 20]]), [1], [number]
        )
        for number, (height, width) in enumerate(rng.integers(30, 90, (images, 2)).tolist())
    ]
    return Dataset("sizes", tuple(records), ("a", "b", "c"), (1, 2, 3), grey)


def run_steps(config, programs, state, *around, **others):
    """The state after the last of a loop's steps."""
    return Loop(config, programs, *around, **others).run(state)


class Kept:
    """In place of the checkpoints, the log and its progress: what they are asked to do."""

    unwatched = staticmethod(contextlib.nullcontext)

    def __init__(self):
        self.saved, self.metrics, self.flushed, self.shown = [], [], [], []
        self.compiled, self.followed, self.activities = [], [], []
        self.progress, self.checked = self, 0

    def save(self, state):
        self.saved.append(int(state.step))

    def check(self):
        self.checked += 1

    def is_due(self, minutes):
        return minutes == 5 and self.checked % 2 == 0

    def add(self, metrics, padded):
        assert 0 <= padded < 1
        self.metrics.append(metrics)

    def show(self, step):
        self.shown.append(step)

    def flush(self, step):
        self.flushed.append(step)

    def compile(self, name, program, state, batch, stage):
        self.compiled.append((int(state.step), name))

    def follow(self, step, loss):
        self.followed.append(step)

    @contextlib.contextmanager
    def activity(self, *words):
        self.activities.append(words)
        yield

    def restart(self):
        pass

    def message(self, text):
        raise AssertionError(text)


@pytest.mark.slow
def test_two_epochs_of_many_sizes_trace_once_for_each_bucket():
    config = Config(
        model=MODEL,
        data=DataConfig(short_side=32, long_side=64, train_short_sides=(20, 26, 32)),
        train=TrainConfig(
            batch_size=2,
            steps=12,
            log_every=5,
            eval_every=0,
            checkpoint_every=8,
            optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=0),
        ),
    )
    dataset = dataset_of_many_sizes(12)
    assert len(np.unique(dataset.sizes, axis=0)) == 12
    buckets = training_buckets(dataset, config).shapes
    assert set(buckets) == {(32, 64), (64, 32)}
    programs = compile_programs(build(config.model, roi_op=counted_roi_align), config)
    kept, judged = Kept(), []
    state = programs.create_state()
    TRACES.clear()
    with contextlib.closing(train_batches(dataset, config)) as stream:
        batches, create = (lambda _: stream), programs.create_state
        state = run_steps(config, programs, state, batches, kept, kept, judged.append, create)
    assert int(state.step) == len(kept.metrics) == 12
    assert len(TRACES) == len(set(TRACES)) == len(buckets)
    assert kept.saved == [8, 12]
    assert kept.shown == [1]
    assert kept.followed == list(range(1, 13))
    assert kept.flushed == [5, 8, 10, 12]
    assert len(judged) == 1


PHASES = (AlternatingStep("rpn", steps=3), AlternatingStep("fast_rcnn", steps=2))
TWO_PHASES = Config(
    train=TrainConfig(scheme="alternating", alternating=AlternatingConfig(PHASES), steps=5)
)


def state_of(step):
    """A state without a parameter in it."""
    variables = {c: {part: {} for part in ("backbone", "rpn_head")} for c in COLLECTIONS}
    return TrainState(jnp.int32(step), variables, None, None)


def batch_of(name, height=4, width=6):
    """A batch that can be told from others."""
    images, sizes = np.zeros((1, height, width, 3)), np.array([[height, width]])
    return Batch(images, sizes, name, np.ones(1), *[None] * 5)


LOSS = {"loss": np.float32(1)}


def test_after_the_first_step_of_each_phase_its_loss_is_shown_and_the_rest_begins_to_compile():
    calls, kept = [], Kept()

    def train_step(state, batch, stage):
        calls.append(f"step {state.step + 1}")
        return state._replace(step=state.step + 1), LOSS

    def look_ahead(state, batch, stage):
        assert kept.shown[-1] == state.step
        calls.append(("look ahead", int(state.step), batch.image_index, stage))

    programs = Programs(lambda draw: state_of(0), train_step, None, lambda batch: batch, None, None)
    run_steps(
        TWO_PHASES,
        programs,
        state_of(0),
        lambda state: iter([batch_of(f"{state.step}+{k}") for k in range(5)]),
        *(kept, kept, print, lambda: state_of(0)),
        look_ahead=look_ahead,
    )
    assert calls == [
        *("step 1", ("look ahead", 1, "0+0", "rpn"), "step 2", "step 3"),
        *("step 4", ("look ahead", 4, "3+0", "fast_rcnn"), "step 5"),
    ]
    assert kept.shown == [1, 4]
    assert [words[0] for words in kept.activities] == [
        "preparing the first batch",
        "preparing step 2 of alternating training",
        "preparing the first batch",
    ]


def test_a_program_that_a_step_waits_for_has_a_name():
    def train_step(state, batch, stage):
        assert kept.compiled[-1][0] == state.step  # asked for before the call
        return state._replace(step=state.step + 1), LOSS

    def names(config, *sizes):
        batches = (lambda _: iter([batch_of("", *size) for size in sizes]), kept, kept)
        run_steps(config, programs, state_of(0), *batches, print, lambda: state_of(0))
        return [name for _, name in kept.compiled]

    programs = Programs(lambda draw: state_of(0), train_step, None, lambda batch: batch, None, None)
    kept = Kept()
    joint = Config(train=TrainConfig(steps=4))
    assert names(joint, (6, 4), (4, 6), (6, 4), (4, 4)) == [
        "the training step",
        "the training step for landscape images",
        "the training step for portrait images",
        "the training step for square images",
    ]
    kept = Kept()
    assert names(TWO_PHASES, *[(6, 4)] * 4) == [
        "the RPN's training step",
        *["the RPN's training step for portrait images"] * 2,
        "Fast R-CNN's training step",
        "Fast R-CNN's training step for portrait images",
    ]


AHEAD = (
    *("step 1", "show 1", "step 2", "step 3", "flush 2", "step 4", "step 5", "flush 4"),
    *("step 6", "flush 6", "step 7", "flush 6", "flush 7"),  # the second has nothing to write
)
ONE_BY_ONE = (
    *("step 1", "show 1", "step 2", "flush 2", "step 3", "step 4", "flush 4", "step 5"),
    *("step 6", "flush 6", "flush 6", "step 7", "flush 7"),
)


@pytest.mark.parametrize(("backend", "wanted"), [("gpu", AHEAD), ("cpu", ONE_BY_ONE)])
def test_a_device_has_the_next_step_while_metrics_are_waited_for_but_a_cpu_has_not(
    backend, wanted, monkeypatch
):
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    calls = mock.Mock()
    calls.progress = mock.MagicMock()

    def train_step(state, batch, stage):
        calls.step(state.step + 1)
        return state._replace(step=state.step + 1), LOSS

    config = Config(train=TrainConfig(steps=7, log_every=2, eval_every=0, checkpoint_every=6))
    programs = Programs(None, train_step, None, lambda batch: batch, None, None)
    run_steps(
        *(config, programs, TrainState(0, None, None, None)),
        lambda _: iter([batch_of("")] * 7),
        *(mock.Mock(), calls, mock.Mock(), mock.Mock()),
    )
    kinds = ("step", "show", "flush")
    told = [f"{call[0]} {call.args[0]}" for call in calls.mock_calls if call[0] in kinds]
    assert tuple(told) == wanted


def test_batches_are_asked_for_at_the_first_step_and_as_each_phase_begins():
    def train_step(state, batch, stage):
        taken.append((int(state.step), batch.image_index, stage))
        return state._replace(step=state.step + 1), LOSS

    def batches(state):
        asked.append(int(state.step))
        return iter([batch_of(f"{state.step}+{k}") for k in range(5)])

    programs = Programs(lambda draw: state_of(0), train_step, None, lambda batch: batch, None, None)
    kept = Kept()
    for first, expected in ((0, [0, 3]), (2, [2, 3]), (3, [3]), (4, [4]), (5, [])):
        asked, taken = [], []
        run_steps(
            TWO_PHASES, programs, state_of(first), batches, kept, kept, print, lambda: state_of(0)
        )
        assert asked == expected
        sources = {step: max(x for x in expected if x <= step) for step in range(first, 5)}
        assert taken == [
            (step, f"{source}+{step - source}", "rpn" if step < 3 else "fast_rcnn")
            for step, source in sources.items()
        ]


def test_an_evaluation_may_end_the_training():
    config = Config(train=TrainConfig(steps=9, log_every=9, eval_every=2, checkpoint_every=3))

    def train_step(state, batch, stage):
        return state._replace(step=state.step + 1), LOSS

    programs = Programs(None, train_step, None, lambda batch: batch, None, None)
    kept, judged = Kept(), []

    def evaluate(state):
        judged.append(int(state.step))
        return state.step == 6

    state = run_steps(
        *(config, programs, TrainState(0, None, None, None)),
        *(lambda _: iter([batch_of("")] * 9), kept, kept, evaluate, None),
    )
    assert (state.step, judged) == (6, [2, 4, 6])
    assert kept.saved == [3, 6]


def test_a_state_is_saved_after_steps_or_after_minutes_and_errors_of_saves_come_out():
    def train_step(state, batch, stage):
        return state._replace(step=state.step + 1), LOSS

    def saved(**fields):
        kept = Kept()
        config = Config(train=TrainConfig(steps=5, eval_every=0, checkpoint_every=3, **fields))
        programs = Programs(None, train_step, None, lambda batch: batch, None, None)
        run_steps(
            *(config, programs, TrainState(0, None, None, None)),
            *(lambda _: iter([batch_of("")] * 5), kept, kept, print, None),
        )
        assert kept.checked == 5  # once a step
        assert set(kept.saved) <= set(kept.flushed)
        return kept.saved

    assert saved() == [3, 5]
    assert saved(checkpoint_minutes=5) == [2, 3, 4, 5]


def test_a_trace_ends_behind_the_metrics_of_its_steps_and_before_those_of_others():
    config = Config(train=TrainConfig(steps=5, log_every=9, eval_every=0))
    calls = mock.Mock()
    calls.progress = mock.MagicMock()
    calls.profiler.ends.side_effect = lambda done: done == 3
    state = TrainState(0, None, None, None)

    def train_step(state, batch, stage):
        calls.step(state.step)
        return state._replace(step=state.step + 1), LOSS

    programs = Programs(None, train_step, None, lambda batch: batch, None, None)
    batches = mock.Mock(return_value=iter([batch_of("")] * 5))
    run_steps(
        *(config, programs, state, batches, calls, calls, mock.Mock(), mock.Mock()),
        profiler=calls.profiler,
    )
    begins = [call.args for call in calls.profiler.begin.call_args_list]
    assert begins == [(done, state._replace(step=done)) for done in range(5)]
    names = [call[0] for call in calls.mock_calls]
    others = ("add", "check")
    names = [name for name in names if name not in others and not name.startswith("progress.")]
    third = [i for i, name in enumerate(names) if name == "step"][2]
    assert names[third + 1 : third + 6] == [
        *("profiler.ends", "flush", "profiler.end", "restart", "profiler.begin")
    ]


def test_an_rpn_that_is_trained_is_not_evaluated():
    steps = (AlternatingStep("rpn", steps=4), AlternatingStep("fast_rcnn", steps=3))
    train = TrainConfig(
        scheme="alternating", alternating=AlternatingConfig(steps), steps=7, eval_every=2
    )
    assert [step for step in range(8) if evaluates_after(Config(train=train), step)] == [6, 7]


def test_evaluations_come_at_their_interval_and_at_the_end():
    def steps(every):
        config = Config(train=TrainConfig(steps=10, eval_every=every))
        return [step for step in range(11) if evaluates_after(config, step)]

    assert steps(4) == [4, 8, 10]
    assert steps(0) == [10]


def test_diagnostics_have_a_line_of_their_own_that_is_no_mean():
    lines = []
    writer = mock.Mock(write=lambda step, values: lines.append((step, dict(values))))
    progress = mock.MagicMock(clock=time.monotonic)
    log = Log(Config(train=TrainConfig(batch_size=2)), writer, progress)
    rows = [{"loss": np.float32(k), "learning_rate": np.float32(1)} for k in (1, 2, 3)]
    log.add(rows[0])
    log.add({**rows[1], "diagnostics/width/1": np.float32(7), "diagnostics/cosine/open": np.nan})
    log.add(rows[2])
    log.flush(12)  # what is not finite there stops no run
    (first, measured), (last, means) = lines
    assert first == 11
    assert measured.pop("diagnostics/width/1") == 7
    assert np.isnan(measured.pop("diagnostics/cosine/open"))
    assert measured == {}
    assert last == 12
    assert means["train/loss"] == 2
    assert means.keys() == {"train/loss", "train/learning_rate", "train/images_per_second"}


def test_the_padded_share_is_a_mean_over_the_steps_of_a_line():
    writer, progress = mock.Mock(), mock.MagicMock(clock=time.monotonic)
    log = Log(Config(), writer, progress)
    for shares in ((0.25, 0.5), (0.125,)):
        for share in shares:
            log.add({"loss": np.float32(1)}, share)
        log.flush(4)
    written = [call.args[1]["data/padded_share"] for call in writer.write.call_args_list]
    assert written == [0.375, 0.125]


def test_the_speed_is_that_of_the_steps_alone():
    """The progress's clock leaves out what is no training, such as compiling."""
    now = [100.0]
    writer, progress = mock.Mock(), mock.MagicMock(clock=lambda: now[0])
    log = Log(Config(train=TrainConfig(batch_size=8)), writer, progress)
    row = {"loss": np.float32(2.5), "learning_rate": np.float32(1)}
    log.add(row)
    log.show(1)
    progress.log.assert_called_once_with(1, 2.5)
    log.add(row)
    now[0] += 4
    log.flush(2)
    (written,) = writer.write.call_args_list
    assert written.args[1]["train/images_per_second"] == 2 * 8 / 4
    progress.log.assert_called_with(2, 2.5, 4.0)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where():
    log = Log(
        Config(),
        mock.Mock(),
        mock.MagicMock(clock=time.monotonic),
        lambda index: f"image-{index}.jpg",
    )
    row = {"loss": np.float32(1), "loss_box_reg": np.float32(1), "learning_rate": np.float32(1)}
    origin = {"origin_place": 4, "origin_image": 8, "origin_box": 17}
    corners = {f"origin_{name}": 0.5 * k for k, name in enumerate(("x0", "y0", "x1", "y1"))}
    log.add(row)
    log.add({**row, "loss": np.nan, "loss_box_reg": np.inf, **origin, **corners, "skipped": 1})
    log.add({**row, "skipped": 1})  # begun before the one before it was looked at
    expected = (
        "step 12: loss, loss_box_reg are not finite (first seen in the box head's box deltas for "
        "image image-8.jpg, RoI 17 at (0.0, 0.5, 1.0, 1.5)). Its update was not made"
    )
    with pytest.raises(NonFiniteLossError, match=re.escape(expected)) as caught:
        log.flush(13)
    assert caught.value.step == 12


def test_a_norm_that_overflows_is_no_divergence_but_a_gradient_that_is_not_finite_is_one():
    log = Log(Config(), mock.Mock(), mock.MagicMock(clock=time.monotonic))
    row = {"loss": np.float32(1), "gradient_norm": np.inf, "learning_rate": np.float32(1)}
    log.add({**row, "origin_place": -1, "origin_image": -1, "skipped": 0})
    log.flush(4)
    log.add({**row, "origin_place": 7, "origin_image": -1, "skipped": 1})
    with pytest.raises(NonFiniteLossError, match=r"step 5: gradient_norm is .*'s gradient"):
        log.flush(5)


def test_a_run_keeps_the_numbers_of_the_measured_steps_alone():
    config = Config(train=TrainConfig(steps=7, diagnostics=DiagnosticsConfig(every=3)))

    def train_step(state, batch, stage):
        assert stage == "joint"
        row = {"loss": np.float32(1), "diagnostics/width/1": np.float32(state.step)}
        return state._replace(step=state.step + 1), row

    batch = batch_of("")
    programs = Programs(None, train_step, None, lambda batch: batch, None, None)
    kept = mock.Mock(spec=["save", "check", "add", "show", "flush", "restart", "progress"])
    kept.progress = mock.MagicMock()
    state = TrainState(0, None, None, None)
    batches = mock.Mock(return_value=iter([batch] * 7))
    run_steps(config, programs, state, batches, kept, kept, mock.Mock(), mock.Mock())
    rows = [call.args[0] for call in kept.add.call_args_list]
    there = {k: row["diagnostics/width/1"] for k, row in enumerate(rows) if len(row) > 1}
    assert there == {0: 0, 3: 3, 6: 6}
    assert [row.get("diagnostics/seconds", -1) >= 0 for row in rows] == [False] * 3 + [True] + (
        [False] * 2 + [True]
    )
    kept.progress.message.assert_called_once()


def test_steps_that_are_skipped_are_counted_said_and_in_no_mean():
    written, said = [], []
    writer = mock.Mock(write=lambda step, values: written.append((step, dict(values))))
    progress = mock.MagicMock(clock=iter(range(100)).__next__, message=said.append)
    log = Log(Config(train=TrainConfig(on_nonfinite="skip", max_skipped=2)), writer, progress)
    fine, bad = {"origin_place": -1, "origin_image": -1}, {"origin_place": 7, "origin_image": -1}
    log.add({"loss": np.float32(3), "skipped": 0, **fine})
    log.add({"loss": np.nan, "skipped": 1, **bad})
    log.flush(2)
    log.add({"loss": np.nan, "skipped": 1, **bad})
    log.flush(3)
    assert said[0].startswith("step 2: loss is not finite (first seen in the backbone's gradient)")
    assert len(said) == 2
    assert [(step, row["train/skipped"], row.get("train/loss")) for step, row in written] == [
        *((2, 1, 3), (3, 1, None))
    ]
    log.add({"loss": np.nan, "skipped": 2, **bad})
    with pytest.raises(NonFiniteLossError, match=r"step 4: .*the last of 2 such steps in a row"):
        log.flush(4)


@pytest.mark.parametrize("backend", ["gpu", "cpu"])
def test_the_count_goes_from_step_to_step_and_is_looked_at_as_soon_as_it_is_there(
    backend, monkeypatch
):
    """A step behind the bad one is begun on a device, and none on a CPU."""
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    config = Config(train=TrainConfig(steps=9, log_every=100, eval_every=0))
    calls, last = [], LastSteps(config)

    def train_step(state, batch, stage, skipped=0):
        bad = state.step == 3 or skipped
        calls.append((state.step + 1, skipped))
        row = {"loss": np.nan if bad else 1.0, "skipped": int(bool(bad))}
        return state._replace(step=state.step + (not bad)), {
            **row,
            "origin_place": -1,
            "origin_image": -1,
        }

    programs = Programs(None, train_step, None, lambda batch: batch, None, None)
    log = Log(config, mock.Mock(), mock.MagicMock(clock=time.monotonic))
    batches = iter([batch_of(k) for k in range(1, 10)])
    with pytest.raises(NonFiniteLossError, match="step 4: loss is not finite"):
        run_steps(
            *(config, programs, TrainState(0, None, None, None), lambda _: batches),
            *(mock.Mock(), log, mock.Mock(), mock.Mock()),
            last=last,
        )
    behind = [(4, 1)] if backend == "gpu" else []
    assert calls == [(1, 0), (2, 0), (3, 0), (4, 0), *behind]
    assert last.state.step == 3
    assert last.taken[4].batch.image_index == 4


def test_a_forecast_comes_before_each_step():
    calls = []

    def train_step(state, batch, stage):
        calls.append("step")
        return state._replace(step=state.step + 1), LOSS

    programs = Programs(None, train_step, None, lambda batch: batch, None, None)
    run_steps(
        *(Config(train=TrainConfig(steps=2, eval_every=0)), programs),
        *(TrainState(0, None, None, None), lambda _: iter([batch_of("")] * 2)),
        *(Kept(), Kept(), print, None),
        forecast=lambda state, batch, stage: calls.append(("forecast", state.step, stage)),
    )
    assert calls == [("forecast", 0, "joint"), "step", ("forecast", 1, "joint"), "step"]
