import hashlib
import importlib.metadata
import json
import platform
import types

import jax
import pytest

import jaxrcnn
from jaxrcnn.config import Config, ConfigError, TrainConfig
from jaxrcnn.config_io import config_to_json
from jaxrcnn.runtime.machine import cores
from jaxrcnn.training import origin as module
from jaxrcnn.training.history import Change
from jaxrcnn.training.origin import (
    FILE,
    describe_origin,
    describe_origin_changes,
    origin_changes,
    read_origin,
    write_origin,
)
from jaxrcnn.training.revision import Revision

CONFIG = Config(train=TrainConfig(steps=7))


@pytest.fixture(autouse=True)
def _of_one_revision(monkeypatch):
    monkeypatch.setattr(module, "find_revision", lambda: Revision("abc", False))


def test_it_says_what_computes_and_what_is_computed(monkeypatch):
    flags = {"XLA_FLAGS": "--xla_a=1 --xla_dump_to=/home/ann/x --xla_b=c:\\ann"}
    monkeypatch.setattr(module, "os", types.SimpleNamespace(environ=flags))  # XLA does not see it
    found = describe_origin(CONFIG, {"training": "123"})
    text = config_to_json(CONFIG).encode()
    assert found["config"] == {"sha256": hashlib.sha256(text).hexdigest()}
    assert found["code"] == {"revision": "abc"}
    assert found["data"] == {"training": "123"}
    versions = found["versions"]
    assert versions["python"] == platform.python_version()
    assert versions["jax"] == jax.__version__
    assert versions["jaxrcnn"] == jaxrcnn.__version__
    packages = ("jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
    assert all(versions[name] == importlib.metadata.version(name) for name in packages)
    machine = found["machine"]
    assert machine["platform"] == jax.devices()[0].platform == "cpu"
    assert (machine["devices"], machine["processes"]) == (len(jax.devices()), 1)
    assert machine["cores"] == cores()
    assert found["settings"]["XLA_FLAGS"] == "--xla_a=1"  # without folders of a person
    assert found["settings"]["jax_default_prng_impl"] == "threefry2x32"
    assert json.loads(json.dumps(found)) == found


def test_it_names_no_person_machine_or_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "somebody-known")
    text = json.dumps(describe_origin(CONFIG, {}))
    private = (platform.node(), str(tmp_path), "somebody-known")
    assert [word for word in private if word in text] == []


@pytest.mark.parametrize(
    ("changed", "text"), [(True, "abc with uncommitted changes"), (False, "abc"), (None, "abc")]
)
def test_a_revision_with_changes_is_another(changed, text, monkeypatch):
    monkeypatch.setattr(module, "find_revision", lambda: Revision("abc", changed))
    assert describe_origin(CONFIG, {})["code"] == {"revision": text}


def test_without_git_or_an_installed_package_it_says_nothing(monkeypatch):
    monkeypatch.setattr(module, "find_revision", lambda: None)
    monkeypatch.setattr(module, "PACKAGES", ("no-such-package",))
    found = describe_origin(CONFIG, {})
    assert found["code"] == {"revision": None}
    assert found["versions"]["no-such-package"] is None


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("processor : 0\nflags\t\t: fpu sse4_2 avx2 zzz fma\nflags : avx512f\n", "sse4_2 avx2 fma"),
        ("Features\t: fp asimd sve\n", "asimd sve"),
        ("flags :\n", ""),
        ("", ""),
    ],
)
def test_vector_units_are_what_linux_calls_them(text, units, monkeypatch):
    monkeypatch.setattr(module, "processors", lambda: text)
    unit_names = describe_origin(CONFIG, {})["machine"]["vector_units"]
    assert set(unit_names.split()) == set(units.split())


def test_what_is_written_is_read(tmp_path):
    assert read_origin(tmp_path) is None
    found = describe_origin(CONFIG, {"training": "123"})
    write_origin(tmp_path, found)
    assert read_origin(tmp_path) == found
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"code": 1}', "[" * 100_000])
def test_a_broken_file_is_one_line(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"origin\.json cannot be read .*: delete it to"):
        read_origin(tmp_path)


def with_fields(origin, **fields):
    """The origin with other values, by group__field."""
    found = {group: dict(values) for group, values in origin.items()}
    for name, value in fields.items():
        group, _, field = name.partition("__")
        found[group][field] = value
    return found


def test_an_unchanged_machine_is_not_spoken_of():
    origin = describe_origin(CONFIG, {})
    other_run = describe_origin(Config(), {"training": "other"})
    assert origin_changes(origin, other_run, 4) == []
    assert describe_origin_changes([]) == []


def test_fewer_cores_are_said_in_one_line():
    here = with_fields(describe_origin(CONFIG, {}), machine__cores=1)
    changes = origin_changes(with_fields(here, machine__cores=2), here, 4)
    assert changes == [Change(4, "machine.cores", 2, 1)]
    assert describe_origin_changes(changes) == [
        "from step 4 on, the number of CPU cores is 1 (was 2): batches and random draws stay the "
        "same, but results may differ in the last digits, since sums are computed in another order"
    ]


def test_other_software_is_another_line():
    here = describe_origin(CONFIG, {})
    there = with_fields(
        here,
        **{"versions__jax": "0.9", "code__revision": None},
        **{"settings__jax_enable_x64": True, "settings__XLA_FLAGS": "--xla_a=1"},
        machine__devices=8,
    )
    here = with_fields(here, settings__XLA_FLAGS="", machine__devices=1)
    machine, other = describe_origin_changes(origin_changes(there, here, 4))
    assert machine.startswith("from step 4 on, the number of devices is 1 (was 8): batches and")
    assert other == (
        "from step 4 on, the project's git revision is abc (was none), "
        f"jax is {jax.__version__} (was 0.9), XLA_FLAGS is none (was --xla_a=1), jax_enable_x64 is "
        "False (was True): results may differ from those of a run without this change"
    )


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ("cpu", "cpu", ["cores", "vector_units"]),
        ("gpu", "gpu", []),
        ("cpu", "gpu", ["platform"]),
        ("gpu", "cpu", ["platform"]),
    ],
)
def test_a_cpu_matters_where_it_computes(before, after, fields):
    here = describe_origin(CONFIG, {})
    there = with_fields(
        here, machine__platform=before, machine__cores=-1, machine__vector_units="other"
    )
    here = with_fields(here, machine__platform=after)
    changed = [change.field for change in origin_changes(there, here, 0)]
    assert sorted(changed) == sorted(f"machine.{field}" for field in fields)


def test_a_value_of_another_file_cannot_steer_the_terminal():
    change = Change(4, "versions.jax", "\x1b[2J\n", "0.9")
    (line,) = describe_origin_changes([change])
    assert line.startswith("from step 4 on, jax is 0.9 (was '\\x1b[2J\\n'): ")


def test_what_an_earlier_version_did_not_write_has_not_changed():
    here = describe_origin(CONFIG, {})
    there = {"versions": {"jax": jax.__version__}}
    assert origin_changes(there, here, 0) == []
