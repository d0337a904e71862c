"""A long run takes no more memory, files, threads or processes as it goes on."""

import ctypes

import pytest

from tests.growing import Used, used_by_run

STEPS, EVERY = 2000, 100
ROOM = 8 * 2**20
"""Bytes for a thousand steps. The images of a batch, kept by each step, would take 25 MB, and a
state kept by each save 17 MB; a table of Python's that grows to twice its size takes 2 MB, once."""
UNRETURNED = 40 * 2**20
"""Bytes. Threads free what others have allocated, which leaves holes: 12 MB in 6,500 steps."""


def least(rows: list[Used]) -> Used:
    """What is left of it all the time."""
    return Used(*map(min, zip(*rows, strict=True)))


@pytest.mark.soak
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_of_many_steps_does_not_grow(tmp_path, workers, capsys):
    """Three minutes each; a save and an evaluation every hundred steps.

    Compared are the second and the fourth quarter: the first is for what is allocated once.
    """
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("the C library does not say what is in use")
    fields = {
        "train.steps": STEPS,
        "train.log_every": EVERY,
        "train.checkpoint_every": EVERY,
        "train.eval_every": EVERY,
        "data.workers": workers,
    }
    words = [word for name, value in fields.items() for word in (f"--config.{name}", value)]
    used = used_by_run("train", "--config", "tiny", "--workdir", tmp_path, *words)
    with capsys.disabled():
        for step, each in used.items():
            print(step, *(f"{size / 2**20:.1f} MB" for size in each[:2]), *each[2:])
    quarter = STEPS // 4
    before = least([used[step] for step in range(quarter, 2 * quarter, EVERY)])
    after = least([used[step] for step in range(3 * quarter, STEPS, EVERY)])
    assert after.in_use < before.in_use + ROOM
    assert after.resident < before.resident + UNRETURNED
    assert after.files <= before.files + 2
    assert after.threads <= before.threads + 2
    assert after.mappings <= before.mappings + 50
    assert after.children <= before.children
