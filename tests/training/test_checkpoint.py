import contextlib
import errno
import itertools
import os
import pathlib
import re
import shutil
import threading
from concurrent.futures import wait
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training import arrays, checkpoint, reminders, retries
from jaxrcnn.training.checkpoint import Checkpoints, last_step
from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.optimizer import build_optimizer
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.state import TrainState
from tests.damaged import spoil
from tests.store import Played
from tests.tiny import MODEL, make_batch, make_variables

CONFIG = Config(
    model=MODEL,
    train=TrainConfig(
        batch_size=2, optimizer=OptimizerConfig(learning_rate=0.01, warmup_steps=3, ema_decay=0.9)
    ),
)


def make_state(seed=0):
    variables = jax.tree.map(jnp.asarray, make_variables(build(MODEL), seed))
    params = variables["params"]
    average = jax.tree.map(lambda x: x + 1.0, params)
    opt_state = build_optimizer(CONFIG).init(params)
    return TrainState(jnp.asarray(seed, jnp.int32), variables, opt_state, average)


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_is_restored_is_what_was_saved_bit_for_bit(tmp_path):
    state = make_state(seed=3)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state)
        checkpoints.save(state)  # of a step that is there already
        checkpoints.wait()
        assert checkpoints.steps == [3]
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        restored = checkpoints.restore(make_state())
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    assert_same(restored, state)


def test_a_checkpoint_that_was_copied_in_part_is_one_line(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(make_state(3))
    data = max((tmp_path / "checkpoints").rglob("*"), key=lambda path: path.stat().st_size)
    data.unlink()
    with Checkpoints(tmp_path) as checkpoints:
        for restore in (
            lambda: checkpoints.restore(make_state()),
            lambda: checkpoints.restore_variables(make_state().variables),
        ):
            with pytest.raises(ConfigError, match=rf"^{data}: No such file or directory; copy"):
                restore()


def write_steps(workdir, *steps):
    with Checkpoints(workdir, keep=len(steps)) as checkpoints:
        for step in steps:
            checkpoints.save(make_state(step))
    return checkpoints.folder


def test_a_damaged_checkpoint_is_one_line_that_names_the_last_good_one(tmp_path):
    folder = write_steps(tmp_path, 2, 4, 6)
    for step in (4, 6):
        spoil(folder / str(step))
    variables = make_state().variables
    with Checkpoints(tmp_path) as checkpoints:
        for restore, advice in (
            (lambda: checkpoints.restore(make_state()), ": train.on_bad_checkpoint=last_good"),
            (lambda: checkpoints.restore_variables(variables), ""),
            (lambda: checkpoints.restore_variables(variables, step=4), ""),
        ):
            with pytest.raises(CheckpointError) as caught:
                restore()
            said = str(caught.value)
            assert re.search(r"/state/\S+ is damaged( \(array [\w.]+\))?; ", said)
            assert f"The last good checkpoint is that of step 2{advice}" in said
            assert "\n" not in said
            assert "inner_state" not in said
            assert len(said.replace(str(tmp_path), "")) < 300
        assert_same(checkpoints.restore_variables(variables, 2)["params"], make_state(2).average)
        spoil(folder / "2")
        with pytest.raises(CheckpointError, match=r"No other checkpoint is intact$"):
            checkpoints.restore(make_state())


def test_the_origin_is_kept_with_each_checkpoint(tmp_path):
    write_steps(tmp_path, 1)
    with Checkpoints(tmp_path, keep=2, origin={"git": "abc", "files": [1, 2]}) as checkpoints:
        checkpoints.save(make_state(2))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.origin(1) is None
        assert checkpoints.origin(2) == {"git": "abc", "files": [1, 2]}


class Held:
    """Orbax' part of a save, which goes on when it may."""

    def __init__(self, monkeypatch):
        self.may_go, self.begun, self.write = threading.Event(), [], checkpoint.write_arrays
        monkeypatch.setattr(checkpoint, "write_arrays", self)

    def __call__(self, path, tree, origin):
        self.begun.append(int(tree.step))
        assert self.may_go.wait(60)
        self.write(path, tree, origin)


@pytest.mark.parametrize("ends", ["in order", "by an error"])
def test_a_save_that_hangs_is_said_while_the_run_waits_for_it(tmp_path, monkeypatch, ends):
    monkeypatch.setattr(reminders.Reminder.__init__, "__defaults__", ((0.05,),))
    held, lines = Held(monkeypatch), []

    def say(line):
        lines.append(line)
        held.may_go.set()

    with (
        contextlib.suppress(KeyError),
        Checkpoints(tmp_path, keep=1, say=say) as checkpoints,
    ):
        checkpoints.save(make_state(1))
        if ends == "by an error":
            raise KeyError
    assert lines[:1] == [f"note: still writing a checkpoint in {tmp_path / 'checkpoints'} … 0 s"]


def test_a_state_may_be_given_away_while_it_is_written(tmp_path, monkeypatch):
    held = Held(monkeypatch)
    give_away = jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        state = make_state(1)
        checkpoints.save(state)
        other = give_away(state)
        jax.block_until_ready(other)
        assert checkpoints.steps == []  # not before it is whole
        assert last_step(tmp_path) == 0
        checkpoints.check()
        threading.Timer(0.1, held.may_go.set).start()
        checkpoints.save(other)  # waits for the first
        assert checkpoints.steps == [1]
    assert held.begun == [1, 2]
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore_variables(make_state().variables, 1)
    assert_same(restored["params"], make_state(1).average)  # of before it was given away


def test_the_end_of_a_run_waits_for_its_last_save_whatever_ended_it(tmp_path, monkeypatch):
    held = Held(monkeypatch)

    def train():
        with Checkpoints(tmp_path, keep=1) as checkpoints:
            checkpoints.save(make_state(3))
            threading.Timer(0.1, held.may_go.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        train()
    assert last_step(tmp_path) == 3


FULL = OSError(errno.ENOSPC, "No space left on device")


def fail_to_write(monkeypatch, times):
    """Full disks in the middle of saves; the files so far are left there."""
    left, write = itertools.chain([FULL] * times, itertools.repeat(None)), checkpoint.write_arrays

    def fill(path, tree, origin):
        error = next(left)
        write(path, tree, origin)
        if error:
            (path / "files.json").unlink()
            raise error

    monkeypatch.setattr(checkpoint, "write_arrays", fill)
    monkeypatch.setattr(retries, "PAUSES", (0.0, 0.0))


def test_a_disk_that_is_full_for_a_while_costs_lines_and_no_checkpoint(tmp_path, monkeypatch):
    write_steps(tmp_path, 1)
    fail_to_write(monkeypatch, 2)
    lines = []
    with Checkpoints(tmp_path, keep=1, say=lines.append) as checkpoints:
        checkpoints.save(make_state(2))
    assert checkpoints.steps == [2]
    assert [path.name for path in checkpoints.folder.iterdir()] == ["2"]
    assert len(lines) == 2
    assert all(
        "checkpoints/2 was not written (No space left on device); trying" in x for x in lines
    )


@pytest.mark.parametrize("end", ["check", "wait", "save", "close"])
def test_a_disk_that_stays_full_ends_the_run_and_leaves_the_checkpoint_before(
    end, tmp_path, monkeypatch
):
    write_steps(tmp_path, 1)
    fail_to_write(monkeypatch, 99)
    checkpoints = Checkpoints(tmp_path, keep=1, say=lambda _: None)
    checkpoints.save(make_state(2))
    if end == "check":
        checkpoints._background._begun.exception(60)
    with pytest.raises(CheckpointError, match="No space left on device, 3 tries"):
        checkpoints.save(make_state(3)) if end == "save" else getattr(checkpoints, end)()
    checkpoints.close()
    assert [path.name for path in checkpoints.folder.iterdir()] == ["1"]
    with Checkpoints(tmp_path) as there:
        assert_same(there.restore(make_state()), make_state(1))


def test_a_folder_in_which_one_may_not_write_is_one_line_and_nothing_else(
    tmp_path, monkeypatch, capfd
):
    write_steps(tmp_path, 1)
    mkdir = pathlib.Path.mkdir

    def refuse(path, *words, **options):
        if path.suffix == ".partial":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        mkdir(path, *words, **options)

    monkeypatch.setattr(pathlib.Path, "mkdir", refuse)
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(make_state(2))
    with pytest.raises(CheckpointError, match=r"/2 could not be written \(Permission de"):
        checkpoints.close()
    assert checkpoints.steps == [1]
    assert capfd.readouterr() == ("", "")


def test_what_ended_the_training_comes_before_a_save_that_failed_too(tmp_path, monkeypatch):
    fail_to_write(monkeypatch, 99)
    lines = []

    def train():
        with Checkpoints(tmp_path, keep=1, say=lines.append) as checkpoints:
            checkpoints.save(make_state(1))
            raise KeyError

    with pytest.raises(KeyError):
        train()
    assert "could not be written" in lines[-1]


def snapshots(monkeypatch, workdir, folder):
    """Copies of a run's folder, which are what a kill at that moment would leave there."""
    taken = []

    def around(function):
        def call(*words, **options):
            for _ in range(2):
                taken.append(shutil.copytree(workdir, folder / str(len(taken))))
                if len(taken) % 2:
                    result = function(*words, **options)
            return result

        return call

    for owner, name in (
        *((checkpoint, "write_arrays"), (arrays, "write_list"), (arrays.ocp, "save")),
        *((pathlib.Path, "rename"), (shutil, "rmtree")),
    ):
        monkeypatch.setattr(owner, name, around(getattr(owner, name)))
    return taken


def test_a_kill_at_any_moment_of_a_save_leaves_whole_checkpoints_alone(tmp_path):
    workdir = tmp_path / "run"
    write_steps(workdir, 1, 2)
    with pytest.MonkeyPatch.context() as patch:
        taken = snapshots(patch, workdir, tmp_path)
        with Checkpoints(workdir, keep=2) as checkpoints:
            checkpoints.save(make_state(3))
    assert len(taken) >= 12
    lasts = []
    for path in taken:
        with Checkpoints(path, keep=2) as checkpoints:
            lasts.append(checkpoints.steps[-1])
            assert [checkpoints.fault(step) for step in checkpoints.steps] == [""] * len(
                checkpoints.steps
            )
            assert len(checkpoints.steps) >= 2
            assert all(path.name.isdecimal() for path in checkpoints.folder.iterdir())
    assert sorted(set(lasts)) == [2, 3]


def test_what_the_first_of_two_processes_cannot_write_is_an_error_of_both(tmp_path, monkeypatch):
    played = Played(monkeypatch)
    monkeypatch.setattr(retries, "PAUSES", ())
    monkeypatch.setattr(checkpoint, "write_arrays", mock.Mock(side_effect=FULL))
    for number in (0, 1):
        played.become(number)
        checkpoints = Checkpoints(tmp_path, keep=1)
        checkpoints.save(make_state(1))
        with pytest.raises(CheckpointError, match=r"1 could not be written \(No space left"):
            checkpoints.wait()
        checkpoints.save(make_state(2))
        until_done(checkpoints)
        with pytest.raises(CheckpointError, match=r"2 could not be written \(No space left"):
            checkpoints.check()


def until_done(checkpoints):
    begun = checkpoints._background._begun
    if begun is not None:  # in the first process
        wait([begun], 60)


def test_the_first_of_two_processes_says_which_checkpoints_are_there(tmp_path, monkeypatch):
    write_steps(tmp_path / "seen", 3)
    played = Played(monkeypatch)
    with Checkpoints(tmp_path / "seen", keep=1) as checkpoints:
        assert checkpoints.steps == [3]
    played.become(1)
    with Checkpoints(tmp_path / "not yet seen", keep=1) as checkpoints:
        assert checkpoints.steps == [3]
    assert not (tmp_path / "not yet seen").exists()


def flushed_or_renamed(monkeypatch):
    """What is flushed to the disk, (path, None), and renamed, (path, new path), in order."""
    done, rename = [], pathlib.Path.rename

    def note_flush(file):
        done.append((pathlib.Path(os.readlink(f"/proc/self/fd/{file}")), None))

    def note_rename(path, new):
        done.append((path, pathlib.Path(new)))
        return rename(path, new)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(pathlib.Path, "rename", note_rename)
    return done


def test_a_power_failure_leaves_no_checkpoint_without_its_files_and_metrics(tmp_path, monkeypatch):
    metrics, folder = tmp_path / "metrics.jsonl", write_steps(tmp_path, 1)
    metrics.write_text("{}")
    done = flushed_or_renamed(monkeypatch)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(make_state(2))
        checkpoints.wait()
        partial, new = folder / "2.partial", folder / "2"
        whole = done.index((partial, new))
        flushed = {path for path, _ in done[:whole]}
        names = [path.relative_to(new) for path in new.rglob("*")]
        assert len(names) > 5
        assert {partial, metrics, tmp_path, *(partial / name for name in names)} <= flushed
        assert done[whole + 1 :] == [(folder, None), (folder / "1", folder / "1.deleted")]
        checkpoints.keep_best(2)
        checkpoints.save(make_state(3))
        checkpoints.wait()
        done.clear()
        checkpoints.keep_best(3)  # its score is in the metrics by now
    assert done == [(metrics, None), (tmp_path, None), (new, folder / "2.deleted")]


def test_a_save_is_due_so_many_minutes_after_the_last_one_began(tmp_path):
    now = [100.0]
    with Checkpoints(tmp_path, keep=1, clock=lambda: now[0]) as checkpoints:
        now[0] += 179
        assert checkpoints.is_due(2)
        assert not checkpoints.is_due(3)
        checkpoints.save(make_state(1))
        now[0] += 119
        assert not checkpoints.is_due(2)
        now[0] += 1
        assert checkpoints.is_due(2)


def test_the_last_ones_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(make_state(step))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.wait()
        assert checkpoints.steps == [2, 3]
        assert_same(checkpoints.restore(make_state()), make_state(3))


def test_the_best_one_is_kept_besides_the_last_ones(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(make_state(1))
        checkpoints.keep_best(1)
        for step in (2, 3, 4):
            checkpoints.save(make_state(step))
        checkpoints.wait()
        assert checkpoints.steps == [1, 3, 4]
        checkpoints.save(make_state(5))  # the best one until it is said that this one is
        checkpoints.wait()
        assert checkpoints.steps == [1, 4, 5]
        checkpoints.keep_best(5)
        assert checkpoints.steps == [4, 5]
        assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["4", "5"]
        for step in (6, 7):
            checkpoints.save(make_state(step))
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.wait()
        assert checkpoints.steps == [5, 6, 7]
        checkpoints.keep_best(5)
        checkpoints.save(make_state(8))
        checkpoints.wait()
        assert checkpoints.steps == [5, 7, 8]
        variables = checkpoints.restore_variables(make_state().variables, step=5)
        assert_same(variables["params"], make_state(5).average)


def test_the_last_step_is_that_of_whole_checkpoints(tmp_path):
    assert last_step(tmp_path) == 0
    for name in ("8", "10", "12.orbax-checkpoint-tmp-1"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert last_step(tmp_path) == 10


def test_a_restart_ends_where_the_whole_run_ends(tmp_path):
    programs = compile_programs(build(MODEL), CONFIG)

    def train(state, steps):
        for step in steps:
            state, _ = programs.train_step(state, programs.put_batch(make_batch(seed=step)))
        return state

    whole = train(make_state(), range(4))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(train(make_state(), range(2)))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        half = checkpoints.restore(make_state(seed=5))
    assert half.step == 2
    assert_same(train(half, range(2, 4)), whole)


def test_a_checkpoint_of_another_model_names_the_array(tmp_path):
    state = make_state()
    params = dict(state.variables["params"])
    head = params["box_head"]
    params["box_head"] = {**head, "fc6": {**head["fc6"], "bias": jnp.zeros(99)}}
    other = {**state.variables, "params": params}
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state)
        for restore, like in (
            (checkpoints.restore, state._replace(variables=other)),
            (checkpoints.restore_variables, other),
        ):
            with pytest.raises(ConfigError) as caught:
                restore(like)
            message = str(caught.value)
            assert "params/box_head/fc6/bias is (16,) there, (99,) here" in message
            assert "\n" not in message


def test_an_array_that_is_missing_is_named(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(make_state()._replace(average=None))
        with pytest.raises(ConfigError, match=r"average/.* is nothing there"):
            checkpoints.restore(make_state())


def test_variables_to_evaluate_have_the_average_where_there_is_one(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(make_state(1)._replace(average=None))
        checkpoints.save(make_state(2))
        like = make_state().variables
        assert_same(checkpoints.restore_variables(like, step=1), make_state(1).variables)
        assert_same(checkpoints.restore_variables(like)["params"], make_state(2).average)


def test_no_checkpoint_is_said_in_one_line(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        with pytest.raises(ConfigError, match="has no checkpoint; available: none"):
            checkpoints.restore(make_state())
        checkpoints.save(make_state(2))
        with pytest.raises(ConfigError, match="has no checkpoint for step 7; available: 2"):
            checkpoints.restore_variables(make_state().variables, step=7)


def test_reading_makes_nothing_and_leaves_what_is_being_written(tmp_path):
    with pytest.raises(ConfigError, match="has no checkpoints"):
        Checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []
    folder = tmp_path / "checkpoints"
    unfinished = [
        "3.orbax-checkpoint-tmp-1",
        "4.partial",
        "4.partial.orbax-checkpoint-tmp",
        "1.deleted",
    ]
    for name in (*unfinished, "bad_2", "notes"):
        (folder / name).mkdir(parents=True)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps == []
    assert all((folder / name).is_dir() for name in unfinished)
    with Checkpoints(tmp_path, keep=1):
        assert sorted(path.name for path in folder.iterdir()) == ["bad_2", "notes"]
