import errno

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.training.expected import expected

OUT = "RESOURCE_EXHAUSTED: Out of memory allocating 123456789 bytes."


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (ConfigError("no such field"), ("no such field", 2)),
        (OSError(errno.ENOSPC, "No space left", "a.npz"), ("a.npz: No space left", 4)),
        (OSError(errno.ENOSPC, "No space left"), ("writing a file: No space left", 4)),
        (PermissionError(errno.EACCES, "Permission denied", "a"), ("a: Permission denied", 2)),
        (OSError(errno.EPIPE, "Broken pipe"), None),
        (OSError("of a library"), None),
        (KeyError("a bug"), None),
    ],
)
def test_errors_that_a_user_can_do_something_about_have_a_line_and_a_code(error, end):
    assert expected(error) == end


def test_so_has_memory_that_ran_out():
    line, code = expected(RuntimeError(OUT))
    assert (code, "\n" in line) == (2, False)
