import os
import pathlib

import numpy as np
import pytest

from jaxrcnn.data import cache

ARRAYS = {"a": np.arange(100), "b": np.array([[1.5, np.nan]]), "c": np.zeros(0, bool)}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def load(key="key", kind="kind"):
    return cache.load(kind, key, lambda arrays: arrays)


def test_arrays_come_back_under_their_kind_and_key(folder):
    assert load() is None
    cache.store("kind", "key", ARRAYS)
    found = load()
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert load("other") is None
    assert load(kind="kind-2") is None
    assert [path.name for path in folder.iterdir()] == ["kind-key.npz"]


def test_a_damaged_file_is_as_if_it_were_not_there(folder):
    cache.store("kind", "key", ARRAYS)
    path = folder / "kind-key.npz"
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    found = 0
    for place in rng.integers(len(content), size=300).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        arrays = cache.load("kind", "key", lambda arrays: {x: arrays[x] for x in ARRAYS})
        found += arrays is None
        if arrays is not None:  # a date, or padding
            for name, array in ARRAYS.items():
                np.testing.assert_array_equal(arrays[name], array)
    assert found > 100
    for other in (content[:-30], content[:100], b"", b"something else"):
        path.write_bytes(other)
        assert load() is None


def test_what_is_stored_by_pickle_is_not_read(folder):
    cache.store("kind", "key", ARRAYS)
    with open(folder / "kind-key.npz", "wb") as stream:
        np.savez(stream, a=np.array([{}], object))
    assert load() is None


def test_what_cannot_be_used_is_as_if_it_were_not_there():
    cache.store("kind", "key", ARRAYS)
    assert cache.load("kind", "key", lambda arrays: arrays["missing"]) is None


def test_the_oldest_files_go_first(folder, monkeypatch):
    for age, key in enumerate("abc"):
        cache.store("kind", key, ARRAYS)
        os.utime(folder / f"kind-{key}.npz", (1000 - age, 1000 - age))
    load("c")  # is the one used last now
    size = (folder / "kind-a.npz").stat().st_size
    monkeypatch.setattr(cache, "MOST", 3 * size)
    cache.store("kind", "d", ARRAYS)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("kind-a.npz", "kind-c.npz", "kind-d.npz")
    ]
    monkeypatch.setattr(cache, "MOST", 0)
    cache.store("kind", "e", ARRAYS)
    assert [path.name for path in folder.iterdir()] == ["kind-e.npz"]


def test_without_a_place_nothing_is_kept(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXRCNN_DATA_CACHE", "false")
    cache.store("kind", "key", ARRAYS)
    assert not folder.exists()
    monkeypatch.delenv("JAXRCNN_DATA_CACHE")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "file"))
    cache.store("kind", "key", ARRAYS)
    assert load() is None


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def fill(stream, **_):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fill)
    cache.store("kind", "key", ARRAYS)
    assert list(pathlib.Path(folder).iterdir()) == []
