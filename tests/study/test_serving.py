"""What a job answers, in this process; as a process of its own in tests/study/test_jobs.py."""

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


def test_any_other_is_raised():
    with pytest.raises(TypeError):
        answers(add, (100, 20), "3")
