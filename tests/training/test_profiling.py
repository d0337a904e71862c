import dataclasses
import gzip
import json

import jax
import jax.numpy as jnp
import pytest

from jaxrcnn.config import Config, ProfileConfig
from jaxrcnn.training.profiling import PERFETTO, Profiler


def profiler_of(folder, start, steps, first_step=0):
    said = []
    config = dataclasses.replace(Config(), profile=ProfileConfig(start, steps))
    return Profiler(config, folder, said.append, first_step), said


@jax.jit
def take_step(x):
    with jax.named_scope("backbone"):
        return jnp.cumsum(jax.lax.sort(x), axis=0)


def run_steps(profiler, first, last):
    """Steps like those of a run, and after how many of them the profiler ended."""
    ended = []
    x = take_step(jnp.ones((64, 64)))
    for step in range(first, last + 1):
        profiler.begin(step - 1, x)
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            x = take_step(x)
        if profiler.ends(step):
            profiler.end(x)
            ended.append(step)
    return ended


def test_the_steps_asked_for_are_traced_under_their_scopes(tmp_path):
    profiler, said = profiler_of(tmp_path, start=2, steps=3)
    assert run_steps(profiler, 1, 7) == [5]
    (path,) = tmp_path.rglob(PERFETTO)
    assert said == [
        f"profile: steps 3 to 5; open {path} at https://ui.perfetto.dev, "
        f"or see all of it by: xprof --logdir {tmp_path / 'profile'}"
    ]
    assert list(path.parent.glob("*.xplane.pb"))
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    steps = [event for event in events if event["name"].startswith("train")]
    assert [event["name"] for event in steps] == ["train 3", "train 4", "train 5"]
    sorts = [event for event in events if event["name"] == "jit(take_step)/backbone/sort"]
    assert len(sorts) % 3 == 0 < len(sorts)  # the same instructions in each of the steps
    assert {event["args"]["hlo_module"] for event in sorts} == {"jit_take_step"}
    assert all(event["ts"] > steps[0]["ts"] and event["dur"] > 0 for event in sorts)
    titles = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert "/host:CPU" in titles
    assert len(titles) > 2  # its threads, whose names are the system's


@pytest.mark.parametrize(("start", "steps", "first_step"), [(4, 0, 0), (4, 0, 6), (9, 2, 0)])
def test_no_other_steps_are(tmp_path, start, steps, first_step):
    profiler, said = profiler_of(tmp_path, start, steps, first_step)
    assert run_steps(profiler, first_step + 1, 8) == said == list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_behind_the_start_says_so(tmp_path):
    profiler, said = profiler_of(tmp_path, start=4, steps=3, first_step=5)
    assert said == ["profile: none, the run goes on from step 5, and profile.start is 4"]
    assert run_steps(profiler, 6, 9) == list(tmp_path.iterdir()) == []


def test_a_run_that_goes_on_at_the_start_is_traced(tmp_path):
    profiler, said = profiler_of(tmp_path, start=4, steps=1, first_step=4)
    assert said == []
    assert run_steps(profiler, 5, 6) == [5]
    assert len(list(tmp_path.rglob(PERFETTO))) == 1


def test_a_run_that_breaks_off_leaves_room_for_another_trace(tmp_path):
    profiler, said = profiler_of(tmp_path, start=1, steps=3)
    assert run_steps(profiler, 1, 2) == []
    profiler.close()
    profiler.close()
    with jax.profiler.trace(tmp_path / "other"):
        pass
    assert said == []
