import os
import signal
import socket
import time

import pytest

from jaxrcnn.training.signals import is_closed, listen, next_signal

PATIENCE = 60.0  # seconds, for a machine that is busy


@pytest.fixture
def pair():
    receiver, sender = socket.socketpair()
    with receiver, sender:
        yield receiver, sender


def test_other_signals_than_those_that_end_a_program_are_left_out(pair):
    receiver, sender = pair
    sender.send(bytes([signal.SIGCHLD, signal.SIGTERM, signal.SIGTERM, signal.SIGINT]))
    assert next_signal(receiver, None) == signal.SIGTERM
    assert next_signal(receiver, None, only=signal.SIGINT) == signal.SIGINT
    assert next_signal(receiver, time.monotonic()) is None  # none in time
    sender.send(bytes([signal.SIGINT]))
    assert not is_closed(receiver, 0.1)
    sender.close()
    assert next_signal(receiver, None) == 0
    assert is_closed(receiver, PATIENCE)


def test_a_thread_reads_a_signal_though_its_handler_does_nothing():
    read = []
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with listen(lambda receiver: read.append(next_signal(receiver, None))):
            os.kill(os.getpid(), signal.SIGTERM)
        assert read == [signal.SIGTERM]
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGTERM, before)
