"""What a job answers, in this process; as a process of its own in tests/study/test_jobs.py."""

import errno
import importlib
from multiprocessing import Pipe

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.study.serving import Failed, serve


def answers(prepare, *messages):
    ours, theirs = Pipe()
    for message in (*messages, None):
        ours.send(message)
    serve(theirs, prepare)
    theirs.close()
    found = []
    while ours.poll():
        try:
            found.append(ours.recv())
        except EOFError:
            break
    return found


def add(first, second):
    return lambda unit: first + second + unit


def test_each_unit_is_answered_with_its_outcome():
    assert answers(add, (100, 20), 3, 4) == [123, 124]


def refuse(*_):
    raise ConfigError("not this")


@pytest.mark.parametrize("prepare", [refuse, lambda *_: refuse])
def test_an_error_that_is_expected_is_the_last_answer(prepare):
    assert answers(prepare, (1, 2), 3, 4) == [Failed("not this", 2)]


def fill_the_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device", "metrics.jsonl")


def test_a_full_disk_is_expected_too():
    assert answers(fill_the_disk, (1, 2)) == [Failed("metrics.jsonl: No space left on device", 4)]


class Unknown:
    """What cannot be made again in another process, such as pieces that it cannot import."""

    def __reduce__(self):
        return importlib.import_module, ("no_such_pieces",)


@pytest.mark.parametrize("messages", [(Unknown(),), ((100, 20), Unknown())])
def test_what_cannot_be_read_ends_the_job(messages):
    with pytest.raises(ModuleNotFoundError, match="no_such_pieces"):
        answers(add, *messages)


def test_any_other_is_raised():
    with pytest.raises(TypeError):
        answers(add, (100, 20), "3")
