import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, OptimizerConfig, TrainConfig
from jaxrcnn.detector import build
from jaxrcnn.training.checkpoint import Checkpoints, last_step
from jaxrcnn.training.optimizer import build_optimizer
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.training.state import TrainState
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
    writing = tmp_path / "checkpoints" / "3.orbax-checkpoint-tmp-1"
    writing.mkdir(parents=True)
    with Checkpoints(tmp_path):
        pass
    assert writing.is_dir()
