"""Files that do not answer, as on a network drive whose server is gone."""

import contextlib
import os
import threading

import jaxrcnn.opening


@contextlib.contextmanager
def blocked(monkeypatch, *names, call="open"):
    """Within it, opening (or reading) files of these names takes until its end.

    As in a system call that hangs, the thread cannot be interrupted.
    """
    answer = threading.Event()
    real_open, real_read, slow = os.open, os.pread, set()

    def slow_open(path, *arguments, **options):
        is_slow = os.path.basename(os.fsdecode(path)) in names
        if is_slow and call == "open":
            answer.wait()
        fd = real_open(path, *arguments, **options)
        (slow.add if is_slow else slow.discard)(fd)
        return fd

    def slow_read(fd, size, offset):
        if call == "read" and fd in slow:
            answer.wait()
        return real_read(fd, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(jaxrcnn.opening.os, "open", slow_open)
        patch.setattr(jaxrcnn.opening.os, "pread", slow_read)
        try:
            yield
        finally:
            answer.set()
