import threading

import pytest

from jaxrcnn.training.background import Background


def fail():
    raise OSError("full")


def test_work_is_done_beside_one_piece_at_a_time():
    go, done = threading.Event(), []
    background = Background()
    background.begin(lambda: (go.wait(30), done.append(1)))
    background.check()  # is not waited for
    assert done == []
    go.set()
    background.begin(lambda: done.append(2))  # waits for the first
    assert done[:1] == [1]
    background.close()
    assert done == [1, 2]


@pytest.mark.parametrize("end", ["check", "wait", "close", "begin"])
def test_an_error_comes_out_of_the_next_call_once(end):
    background = Background()
    background.begin(fail)
    if end == "check":
        while not background._begun.done():
            pass
    with pytest.raises(OSError, match="full"):
        background.begin(lambda: None) if end == "begin" else getattr(background, end)()
    background.check()
    background.close()
