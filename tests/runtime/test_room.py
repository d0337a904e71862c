"""How much memory there is, by files of a system that is made up."""

import resource
from unittest import mock

import pytest

from jaxrcnn.runtime import room
from jaxrcnn.runtime.room import Room, device_room, host_room

MEMINFO = "MemTotal:  8000 kB\nMemFree:  100 kB\nMemAvailable:  5000 kB\nSwapTotal:  1000 kB\n"
STATUS = "VmSize:  9000 kB\nVmRSS:   600 kB\n"
UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Writes files of /proc and of the control groups, by their names."""

    def write(limit=UNLIMITED, **files):
        files = {"proc/meminfo": MEMINFO, "proc/self/status": STATUS, **files}
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, UNLIMITED))

    monkeypatch.setattr(room, "PROC", tmp_path / "proc")
    monkeypatch.setattr(room, "CGROUPS", tmp_path / "cgroup")
    return write


def test_the_machine_alone(system):
    system()
    assert host_room() == Room(5000 << 10, (8000 + 1000 - 600) << 10, "memory of this machine")


def test_a_control_group_of_version_2_and_those_around_it(system):
    cgroup = {"proc/self/cgroup": "0::/job/step\n"}
    inner = {"cgroup/job/step/memory.max": "max\n", "cgroup/job/step/memory.current": "1000\n"}
    outer = {
        "cgroup/job/memory.max": "4000000\n",
        "cgroup/job/memory.current": "3000000\n",
        "cgroup/job/memory.stat": "anon 7\ninactive_file 500000\n",
    }
    system(**cgroup, **inner)
    assert host_room().limit == "memory of this machine"
    system(**cgroup, **inner, **outer)
    free = 4000000 - 3000000 + 500000
    assert host_room() == Room(free, free, "memory of the control group (container or job)")


def test_a_control_group_of_version_1(system):
    files = {
        "proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/abc\n",
        "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cgroup/memory/memory.usage_in_bytes": "1\n",
        "cgroup/memory/docker/abc/memory.limit_in_bytes": "2000000\n",
        "cgroup/memory/docker/abc/memory.usage_in_bytes": "1900000\n",
    }
    system(**files)
    assert host_room().free == 100000
    del files["cgroup/memory/docker/abc/memory.limit_in_bytes"]


def test_ulimit(system):
    system(limit=9100 << 10)
    assert host_room() == Room(100 << 10, 100 << 10, "address space (ulimit -v)")


def test_a_system_that_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "PROC", tmp_path)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (UNLIMITED, UNLIMITED))
    assert host_room() is None


def test_an_accelerator_says_its_own_and_a_cpu_does_not():
    stats = {"bytes_limit": 80, "bytes_in_use": 30}
    gpu = mock.Mock(platform="gpu", device_kind="H100", memory_stats=lambda: stats)
    assert device_room(gpu) == Room(50, 50, "memory of H100")
    assert device_room(mock.Mock(platform="cpu", memory_stats=lambda: stats)) is None
    assert device_room(mock.Mock(platform="tpu", memory_stats=lambda: None)) is None
