import threading
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.training import program as module
from jaxrcnn.training.program import AHEAD, Program

TRACES: list = []


def wait_for_the_background():
    for compiled in AHEAD.values():
        compiled.exception()


def here(traces):
    """Which were traced in this thread."""
    return [thread is threading.current_thread() for _, thread in traces]


@pytest.fixture
def program():
    """times * state + sign * sum of x; it notes the shape and the thread that traced it."""

    def traced(times, state, x, sign):  # a function of its own: jax keeps what it traced
        if sign not in (1, -1):
            raise ValueError("no such sign")
        TRACES.append((x.shape, threading.current_thread()))
        return times * state + sign * x.sum()

    TRACES.clear()
    jitted = jax.jit(traced, static_argnums=0, static_argnames="sign", donate_argnums=1)
    return Program(jitted, (3,), lambda state, x, sign=1: ((state, x), {"sign": sign}))


def test_a_call_of_a_new_shape_traces_in_the_callers_thread(program):
    assert program(jnp.float32(2), jnp.ones(4)) == 3 * 2 + 4
    assert program(jnp.float32(1), jnp.ones(4)) == 3 * 1 + 4
    ((shape, thread),) = TRACES
    assert shape == (4,)
    assert thread is threading.current_thread()


def test_what_is_compiled_ahead_is_traced_once_and_in_the_background(program):
    program.compile_ahead(jnp.float32(0), jax.ShapeDtypeStruct((5,), np.float32))
    program.compile_ahead(jnp.float32(0), jnp.ones(5))
    program.compile_ahead(jnp.float32(0), jnp.ones(5), sign=-1)
    wait_for_the_background()
    assert program(jnp.float32(2), jnp.ones(5)) == 3 * 2 + 5
    assert program(jnp.float32(2), jnp.ones(5), sign=-1) == 3 * 2 - 5
    assert program(jnp.float32(2), jnp.ones(6)) == 3 * 2 + 6
    assert [shape for shape, _ in TRACES] == [(5,), (5,), (6,)]
    assert here(TRACES) == [False, False, True]


def test_programs_of_the_same_function_share_what_was_compiled(program):
    same = Program(program._jitted, (3,), program._bind)
    other = Program(program._jitted, (4,), lambda state, x: ((state, x), {"sign": 1}))
    program.compile_ahead(jnp.float32(0), jnp.ones(5))
    wait_for_the_background()
    assert same(jnp.float32(2), jnp.ones(5)) == 3 * 2 + 5
    assert other(jnp.float32(2), jnp.ones(5)) == 4 * 2 + 5  # of another static argument
    assert here(TRACES) == [False, True]


def test_the_state_may_be_gone_before_the_compiler_begins(program):
    state = jnp.float32(2)
    gate = threading.Event()
    waiting = Program(mock.Mock(lower=lambda: gate.wait()), (), lambda: ((), {}))
    waiting.compile_ahead()  # keeps the only thread busy
    program.compile_ahead(state, jnp.ones(5))
    state.delete()
    gate.set()
    wait_for_the_background()
    assert program(jnp.float32(2), jnp.ones(5)) == 3 * 2 + 5
    assert len(TRACES) == 1


def test_an_error_in_the_background_is_raised_by_the_call(program):
    program.compile_ahead(jnp.float32(0), jnp.ones(5), sign=7)
    wait_for_the_background()
    assert not program.is_ready(jnp.float32(0), jnp.ones(5), sign=7)
    with pytest.raises(ValueError, match="no such sign"):
        program(jnp.float32(2), jnp.ones(5), sign=7)


@pytest.fixture
def busy():
    """The only thread of the background has something to do; a call lets it end."""
    gate = threading.Event()
    waiting = Program(mock.Mock(lower=lambda: gate.wait()), (), lambda: ((), {}))
    waiting.compile_ahead()
    yield gate.set
    gate.set()
    wait_for_the_background()
    AHEAD.clear()


def test_what_has_not_begun_can_be_left_out(program, busy):
    program.compile_ahead(jnp.float32(0), jnp.ones(5))
    program.forget()
    busy()
    assert program(jnp.float32(2), jnp.ones(5)) == 3 * 2 + 5
    assert here(TRACES) == [True]


def test_what_is_queued_is_compiled_by_who_needs_it(program, busy):
    for length in (5, 6):
        program.compile_ahead(jnp.float32(0), jnp.ones(length))
        assert not program.is_ready(jnp.float32(0), jnp.ones(length))
    program.compile(jnp.float32(0), jnp.ones(5))
    assert program.is_ready(jnp.float32(0), jnp.ones(5))
    assert program(jnp.float32(2), jnp.ones(6)) == 3 * 2 + 6
    assert here(TRACES) == [True, True]


def test_programs_are_compiled_in_their_order_one_at_a_time(program, busy):
    for length in (7, 5, 6):
        program.compile_ahead(jnp.float32(0), jnp.ones(length))
    assert TRACES == []
    busy()
    wait_for_the_background()
    assert [shape for shape, _ in TRACES] == [(7,), (5,), (6,)]
    assert all(program.is_ready(jnp.float32(0), jnp.ones(length)) for length in (5, 6, 7))


def test_what_the_background_is_at_is_waited_for(program):
    began, gate = threading.Event(), threading.Event()

    def slow(x):
        began.set()
        gate.wait()
        return 2 * x

    slow_program = Program(jax.jit(slow), (), lambda x: ((x,), {}))
    slow_program.compile_ahead(jnp.ones(3))
    began.wait()
    assert not slow_program.is_ready(jnp.ones(3))
    threading.Timer(0.05, gate.set).start()
    slow_program.compile(jnp.ones(3))
    assert slow_program.is_ready(jnp.ones(3))
    np.testing.assert_array_equal(slow_program(jnp.ones(3)), [2, 2, 2])


def test_what_is_compiled_here_is_ready_and_not_traced_again(program):
    assert not program.is_ready(jnp.float32(0), jnp.ones(5))
    program.compile(jnp.float32(0), jnp.ones(5))
    program.compile(jnp.float32(0), jnp.ones(5))
    program.compile_ahead(jnp.float32(0), jnp.ones(5))
    assert program.is_ready(jnp.float32(0), jnp.ones(5))
    assert not program.is_ready(jnp.float32(0), jnp.ones(6))
    assert not program.is_ready(jnp.float32(0), jnp.ones(5), sign=-1)
    assert program(jnp.float32(2), jnp.ones(5)) == 3 * 2 + 5
    assert here(TRACES) == [True]


def test_an_error_here_is_raised_and_leaves_nothing(program):
    with pytest.raises(ValueError, match="no such sign"):
        program.compile(jnp.float32(0), jnp.ones(5), sign=7)
    assert not program.is_ready(jnp.float32(0), jnp.ones(5), sign=7)


def test_several_processes_meet_once_at_a_place_that_has_a_number_before_it_can_be_left(
    program, monkeypatch
):
    """Else one that leaves the compiler earlier would number what comes next differently."""
    done = []

    def barrier(doing, key):
        done.append((doing, key, threading.current_thread() is threading.main_thread()))

    monkeypatch.setattr(module, "several", lambda: True)
    monkeypatch.setattr(module, "barrier", barrier)
    monkeypatch.setattr(module, "next_key", lambda what: done.append(len(TRACES)) or what)
    program.compile(jnp.float32(0), jnp.ones(5))
    assert done == [0, ("compiling a program", "barrier", False)]
    assert program.is_ready(jnp.float32(0), jnp.ones(5))
    assert len(TRACES) == 1
