"""Whether a step fits, by figures that are given, and errors where it does not."""

import subprocess
import sys
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from jaxrcnn.config import Config, ConfigError, DataConfig, TrainConfig
from jaxrcnn.runtime.room import Room
from jaxrcnn.training.memory import (
    Forecast,
    Need,
    OutOfMemoryError,
    check_memory,
    is_out_of_memory,
    memory_errors,
    need_of,
    remedy,
)
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Batch

CONFIG = Config(data=DataConfig(short_side=600, long_side=1000), train=TrainConfig(batch_size=8))
STATE = TrainState(None, {"params": {"w": np.zeros(25_000_000, np.float32)}}, None, None)
BATCH = Batch(np.zeros((8, 250, 500, 3), np.uint8), *[None] * 8)
PLANNED = mock.Mock(
    temp_size_in_bytes=4_000_000_000,
    argument_size_in_bytes=700_000_000,
    output_size_in_bytes=650_000_000,
    alias_size_in_bytes=600_000_000,
    generated_code_size_in_bytes=50_000_000,
)
STEP, INPUTS = 4_100_000_000, 8 * 3_000_000  # two batches for each of four threads


def room_of(free, most=None):
    return Room(int(free), int(free if most is None else most), "memory of X")


def check(device, host, config=CONFIG):
    lines = []
    check_memory(PLANNED, STATE, BATCH, config, lines.append, lambda: (device, host))
    return lines


def test_what_a_step_takes_besides_what_is_there():
    assert need_of(PLANNED, STATE, BATCH, CONFIG) == Need(STEP, 100_000_000, INPUTS)
    workers = replace(CONFIG, data=replace(CONFIG.data, workers=6))
    assert need_of(PLANNED, STATE, BATCH, workers).inputs == 6 * 2 * 3_000_000


def test_what_does_not_fit_on_an_accelerator_is_an_error_with_the_fields_that_help():
    with pytest.raises(OutOfMemoryError) as caught:
        check(room_of(STEP - 1), room_of(1e12))
    assert str(caught.value).startswith(
        "the training step needs about 4.1 GB more memory of X, and 4.1 GB are free: lower "
        "train.batch_size (now 8), about 2.1 GB with half of it, or data.short_side and "
        "data.long_side (now 600 and 1000)"
    )
    assert isinstance(caught.value, ConfigError)
    assert "\n" not in str(caught.value)


def test_what_nearly_fills_an_accelerator_is_said():
    assert check(room_of(STEP / 0.9 + 1e6), room_of(1e12)) == []
    (line,) = check(room_of(STEP / 0.9 - 1e6), room_of(1e12))
    assert line.startswith("note: the training step needs about 4.1 GB more memory of X, and 4.6")


def test_a_host_is_warned_of_what_others_take_and_stops_at_what_can_never_fit():
    assert check(None, room_of((STEP + INPUTS) / 0.9 + 1e6)) == []
    (line,) = check(None, room_of(1e9, most=STEP + INPUTS))
    assert line.startswith("note: the training step needs about 4.1 GB more memory of X, and 1.0")
    with pytest.raises(OutOfMemoryError, match=r"needs about 4\.1 GB more"):
        check(None, room_of(1e9, most=STEP + INPUTS - 1))


def test_batches_made_ahead_are_the_hosts():
    with pytest.raises(OutOfMemoryError, match="24 MB more memory of X, and 20 MB are free"):
        check(room_of(1e12), room_of(20e6))


def test_where_nothing_is_known_nothing_is_said():
    assert check(None, None) == []
    check_memory(None, STATE, BATCH, CONFIG, print, lambda: (room_of(0), room_of(0)))


def test_each_program_is_checked_once(monkeypatch):
    program = mock.Mock(planned=mock.Mock(return_value=None))
    forecast = Forecast(CONFIG, program, print)
    for shape in ((8, 4, 6, 3), (8, 6, 4, 3), (8, 4, 6, 3)):
        forecast(STATE, BATCH._replace(images=np.zeros(shape)), "joint")
    assert [call.args[1].images.shape for call in program.planned.call_args_list] == [
        *((8, 4, 6, 3), (8, 6, 4, 3))
    ]


def test_the_fields_that_help_are_those_that_are_there_to_change():
    one = replace(CONFIG, data=replace(CONFIG.data, workers=2))
    assert "lower data.workers (now 2)" in remedy(one)
    assert "workers" not in remedy(CONFIG)
    single = replace(CONFIG, train=replace(CONFIG.train, batch_size=1))
    assert "accumulate" not in remedy(single)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((2, 3), np.dtype(np.float32)),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.\nBuffers: ..."),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_errors_for_want_of_memory_are_one_line_of_the_config(error):
    assert is_out_of_memory(error)
    wanted = r"^out of memory \(.*\): lower train.batch"
    with pytest.raises(OutOfMemoryError, match=wanted) as got, memory_errors(CONFIG):
        raise error
    assert got.value.exit_code == 2
    assert "\n" not in str(got.value)
    assert got.value.__cause__ is error


def test_other_errors_stay_what_they_are():
    for error in (ValueError("Out of memory"), RuntimeError("boom"), ConfigError("x")):
        with pytest.raises(type(error)) as caught, memory_errors(CONFIG):
            raise error
        assert caught.value is error


LIMITED = """
import resource, sys
import jax, jax.numpy as jnp, numpy as np
from jaxrcnn.cli.errors import one_line_errors
from jaxrcnn.config import Config
from jaxrcnn.training.memory import memory_errors
jnp.zeros(3).block_until_ready()
used = int(next(x for x in open("/proc/self/status") if x.startswith("VmSize")).split()[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))
with one_line_errors(), memory_errors(Config() if sys.argv[1] == "run" else None):
    make = jnp.ones if sys.argv[2] == "jax" else np.ones
    print(make((20000, 20000)).sum())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of Linux")
@pytest.mark.parametrize("words", [("run", "jax"), ("run", "numpy"), ("other", "numpy")])
def test_a_process_with_too_little_address_space_ends_in_one_line(words):
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 2, ended.stderr
    (line,) = [x for x in ended.stderr.splitlines() if x.startswith("error: ")]
    assert line.startswith("error: out of memory (")
    assert "Traceback" not in ended.stderr
