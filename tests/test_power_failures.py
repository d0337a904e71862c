"""Runs whose machine loses its power: what has not reached the disk is gone."""

import shutil
import subprocess

import pytest

from tests.killed import check_checkpoints, check_end, kills_of


def call(*words):
    return subprocess.run([*map(str, words)], check=False, capture_output=True).returncode == 0


class Disk:
    """A file system in a file, which holds what a disk would."""

    def __init__(self, folder):
        self.image, self.copy, self.place = (folder / x for x in ("image", "copy", "place"))
        self.place.mkdir()
        self.image.write_bytes(b"")
        made = call("truncate", "-s", "64M", self.image) and call("mkfs.ext4", "-q", self.image)
        if not (made and self.mount()):
            pytest.skip("a file system cannot be made and mounted here")

    def mount(self):
        return call("mount", "-o", "loop", self.image, self.place)

    def lose_power(self):
        """Go on with what is on the disk now; nobody may be writing."""
        shutil.copyfile(self.image, self.copy)
        while not call("cmp", self.image, self.copy):  # the system writes by itself now and then
            shutil.copyfile(self.image, self.copy)
        assert call("umount", self.place)
        self.copy.replace(self.image)
        assert self.mount()


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path)
    yield disk
    call("umount", "-l", disk.place)


@pytest.mark.soak
def test_a_run_whose_machine_loses_its_power_ends_as_one_that_was_left_alone(
    disk, tmp_path, capsys
):
    """Three minutes; a save is under way nearly all the time."""
    failures, workdir = 0, disk.place / "run"
    for _ in kills_of(workdir, 0.5, 40):
        failures += 1
        disk.lose_power()
        check_checkpoints(workdir)
    check_end(workdir, tmp_path / "whole", 40)
    with capsys.disabled():
        print(f"\n{failures} power failures")
    assert failures >= 20
