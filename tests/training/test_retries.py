import errno
import os

import pytest

from jaxrcnn.training.errors import CheckpointError
from jaxrcnn.training.retries import PAUSES, disk_error, disk_errors, write_patiently

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Disk:
    """A disk that fails for a number of tries."""

    def __init__(self, errors):
        self.errors, self.lines, self.pauses = list(errors), [], []

    def write(self):
        if self.errors:
            raise self.errors.pop(0)
        return "written"

    def run(self):
        return write_patiently(self.write, "the file", self.lines.append, self.pauses.append)


def test_a_full_disk_is_tried_again_with_a_line_for_each_try():
    disk = Disk([FULL, FULL])
    assert disk.run() == "written"
    assert disk.pauses == [*PAUSES[:2]]
    assert disk.lines == [
        f"note: the file was not written (No space left on device); trying again in {seconds} s"
        for seconds in (1, 4)
    ]
    assert list(PAUSES) == sorted(PAUSES)


def test_the_tries_end():
    disk = Disk([FULL] * 99)
    with pytest.raises(CheckpointError) as caught:
        disk.run()
    assert len(disk.lines) == len(disk.pauses) == len(PAUSES)
    assert str(caught.value).startswith(
        f"the file could not be written (No space left on device, {len(PAUSES) + 1} tries); make"
    )
    assert caught.value.exit_code == 4


def test_what_a_disk_does_elsewhere_is_one_line_too():
    @disk_errors()
    def write(number, *more):
        raise OSError(number, os.strerror(number), *more)

    with pytest.raises(CheckpointError, match=r"^a/b: No space left on device$"):
        write(errno.ENOSPC, "a/b")
    with pytest.raises(CheckpointError, match=r"^a file could not be written: Permission denied$"):
        write(errno.EACCES)
    with pytest.raises(FileNotFoundError):  # a mistake of the program, with its trace
        write(errno.ENOENT, "a/b")


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "/a"),
        ValueError("PERMISSION_DENIED: Error writing [OS error 13: EACCES] [more]"),
    ],
)
def test_a_folder_in_which_one_may_not_write_is_one_line_at_once(error):
    disk = Disk([error])
    with pytest.raises(CheckpointError, match=r"^the file could not be written \(Permission den"):
        disk.run()
    assert disk.lines == disk.pauses == []


def test_other_errors_are_not_for_waiting():
    disk = Disk([TypeError("a mistake")])
    with pytest.raises(TypeError, match="a mistake"):
        disk.run()
    assert disk.pauses == []


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG"])
def test_what_the_system_says_is_found_in_errors_of_all_kinds(name):
    number = getattr(errno, name)
    said = ValueError(f"RESOURCE_EXHAUSTED: Error writing [OS error {number}: {name}] [more]")
    newer = ValueError(f"Failed to write 273 bytes to file 26: said [os_error_code='{number}'] [m]")
    caused = ValueError("orbax failed")
    caused.__cause__ = OSError(number, "said")
    for error in (OSError(number, "said"), said, newer, caused):
        assert disk_error(error) == os.strerror(number)
    assert disk_error(FileNotFoundError(errno.ENOENT, "said")) == ""
    assert disk_error(ValueError("[OS error 2: ENOENT]")) == ""
