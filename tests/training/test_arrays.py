import collections
import logging
import shutil
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from orbax.checkpoint.experimental import v1 as ocp

from jaxrcnn.training import arrays
from jaxrcnn.training.arrays import host_copy, open_arrays, quiet, read_all, read_arrays
from jaxrcnn.training.errors import CheckpointError
from tests.damaged import assert_same_bits, outcomes, spoil
from tests.store import Played

RNG = np.random.default_rng(0)
TREE = {
    "params": {
        "conv": RNG.normal(size=(3, 40, 50)).astype(np.float32),
        "half": RNG.normal(size=70).astype(ml_dtypes.bfloat16),
        "zeros": np.full(9, -0.0, np.float32),  # not what a missing chunk is read as
    },
    "count": np.array(7, np.int32),
    "pair": (np.array([np.nan, np.inf]), np.array([True, False])),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "whole"
    arrays.write_arrays(path, TREE, {"seed": 3, "names": ["a", "é"], "share": 0.1})
    return path


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_what_is_read_is_what_was_written_bit_for_bit(folder):
    saved = open_arrays(folder)
    assert saved.origin == {"seed": 3, "names": ["a", "é"], "share": 0.1}
    assert saved.sums["params.conv"].shape == [3, 40, 50]
    assert saved.sums["pair.0"].dtype == "float64"
    assert_same_bits(read_arrays(saved, TREE), TREE)
    assert_same_bits(jax.tree.leaves(read_all(folder)), jax.tree.leaves(TREE))


def test_arrays_are_verified_as_they_were_saved_whatever_they_become(folder, copy):
    def wanted(dtype):
        place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        shapes = jax.tree.map(lambda _: ocp.PLACEHOLDER, TREE)
        like = jax.ShapeDtypeStruct((3, 40, 50), dtype, sharding=place)
        return {**shapes, "params": {**shapes["params"], "conv": like}}

    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        got = read_arrays(open_arrays(folder), wanted(dtype))
        assert isinstance(got["params"]["conv"], jax.Array)
        expected = TREE["params"]["conv"].astype(dtype)
        np.testing.assert_array_equal(got["params"]["conv"], expected)
        assert got["count"] is ocp.PLACEHOLDER
    spoil(copy)
    for dtype in (jnp.float32, jnp.float16):
        with pytest.raises(
            CheckpointError, match=r" \(array params\.conv\); copy the whole folder again"
        ):
            read_arrays(open_arrays(copy), wanted(dtype))


def read(folder):
    return read_arrays(open_arrays(folder), TREE)


def test_a_flipped_bit_is_one_line_that_names_file_and_array_and_nothing_else(copy, capfd):
    path = spoil(copy)
    with pytest.raises(CheckpointError) as caught:
        read(copy)
    assert str(caught.value) == (
        f"{path} is damaged (array params.conv); copy the whole folder again"
    )
    assert capfd.readouterr() == ("", "")


def test_no_harm_to_any_file_is_silent(folder, tmp_path, capfd):
    """A sample of what the soak test tries."""
    counts = outcomes(folder, read, TREE, 3, tmp_path, keep=lambda number: number % 3 == 0)
    assert sum(counts.values()) > 20
    assert {outcome for _, _, outcome in counts} == {"found"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.soak
def test_no_harm_to_any_file_is_silent_wherever_it_is(folder, tmp_path, capfd):
    """About two minutes; prints how often each kind of harm was found, or was harmless."""
    counts = outcomes(folder, read, TREE, 600, tmp_path)
    assert capfd.readouterr() == ("", "")
    with capfd.disabled():
        table = collections.Counter()
        for (name, kind, what), number in counts.items():
            table[name.rpartition("/")[0], kind, what] += number
        for row, number in sorted(table.items()):
            print(*row, number, sep="  ")


def test_what_orbax_reads_is_verified_too_not_the_files_alone(folder, monkeypatch):
    load = ocp.load

    def load_wrongly(*words):
        tree = load(*words)
        return {**tree, "count": tree["count"] + 1}

    monkeypatch.setattr(ocp, "load", load_wrongly)
    with pytest.raises(CheckpointError, match=r"whole: count does not match its checksum"):
        read(folder)


def test_a_folder_of_an_earlier_format_is_read_but_not_one_that_lost_its_list(folder, tmp_path):
    with quiet():
        ocp.save(str(tmp_path / "earlier"), TREE)
    assert open_arrays(tmp_path / "earlier").sums is None
    assert_same_bits(read(tmp_path / "earlier"), TREE)
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "files.json").unlink()
    with pytest.raises(CheckpointError, match=r"files\.json: No such file or directory; copy"):
        read(copy)


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("jaxrcnn.training.files.file_checksum", refuse)
    with pytest.raises(CheckpointError, match=r"METADATA cannot be read \(Permission denied\)"):
        read(folder)


def test_a_copy_in_host_memory_shares_nothing_with_the_arrays():
    tree = {"jax": jnp.arange(3.0), "numpy": np.arange(3)}
    copied = host_copy(tree)
    tree["numpy"][0] = 9
    double = jax.jit(lambda x: x * 2, donate_argnums=0)
    double(tree["jax"])
    assert_same_bits(copied, {"jax": np.arange(3, dtype=np.float32), "numpy": np.arange(3)})


def test_only_the_first_of_several_processes_has_the_copy(monkeypatch):
    Played(monkeypatch).become(1)
    copied = host_copy({"jax": jnp.arange(3.0), "numpy": np.arange(3)})
    assert copied == {"jax": None, "numpy": None}


def test_only_orbax_is_quiet(caplog):
    def log(path):
        record = logging.LogRecord("absl", logging.WARNING, path, 1, "said", (), None)
        logging.getLogger("absl").handle(record)
        return len(caplog.records)

    with quiet():
        assert log("/site-packages/orbax/a.py") == 0
        assert log("/site-packages/grain/a.py") == 1
    assert log("/site-packages/orbax/a.py") == 2


def test_a_thread_that_calls_a_loop_which_orbax_has_closed_prints_nothing(monkeypatch):
    class Fails:
        def __init__(self, error):
            self.error = error

        def __del__(self):
            raise self.error

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: reported.append(str(each.exc_value)))
    for _ in range(2):
        with quiet():
            pass
    for error in (RuntimeError("Event loop is closed"), RuntimeError("another")):
        Fails(error)
    assert reported == ["another"]
