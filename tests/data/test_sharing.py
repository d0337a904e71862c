import gc
import glob
import os
import pickle
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

from jaxrcnn.data import sharing
from jaxrcnn.data.columns import Records
from jaxrcnn.data.joining import join
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.sharing import PREFIX, shared
from tests.data.small import assert_same, config_of, small_dataset
from tests.data.test_columns import assert_same_records


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sharing, "LARGE", 0)
    return tmp_path


def files(folder):
    return glob.glob(str(folder / f"{PREFIX}*"))


def test_a_pickle_is_the_name_of_a_file_that_lasts_as_long_as_the_data_set(folder):
    dataset = shared(small_dataset())
    assert len(files(folder)) == 1
    assert_same_records(dataset.records, small_dataset().records)
    copy = pickle.loads(pickle.dumps(dataset))
    assert type(copy.records) is Records
    assert_same_records(copy.records, small_dataset().records)
    copy.records[0].boxes[:] = 0  # as in any copy
    assert_same_records(pickle.loads(pickle.dumps(dataset)).records, small_dataset().records)
    taken = dataset.columns.take([0])  # what is made of them is copied
    del dataset
    gc.collect()
    assert files(folder) == []
    assert_same_records(pickle.loads(pickle.dumps(taken)), small_dataset().records[:1])
    assert copy.records[1].name == "p1"


def test_pickles_do_not_grow_with_the_data_set():
    part = small_dataset()
    many = Dataset("many", part.columns.take(np.zeros(5000, np.int64)), ("a", "b"))
    assert len(pickle.dumps(many)) > 500_000
    assert len(pickle.dumps(shared(many))) < 5000
    joined = join([many, many], many.class_names)
    assert len(pickle.dumps(shared(joined))) < 20_000


def test_a_small_data_set_is_copied(folder, monkeypatch):
    monkeypatch.setattr(sharing, "LARGE", 2**22)
    assert type(shared(small_dataset()).records) is Records
    assert files(folder) == []


def test_without_a_place_for_a_file_records_are_copied(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    assert type(shared(small_dataset()).records) is Records


def test_a_full_disk_leaves_no_file(folder, monkeypatch):
    class Full:
        def __init__(self, file):
            self.file, self.name = file, file.name

        def write(self, _):
            raise OSError(28, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.file, name)

    create = tempfile.NamedTemporaryFile
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **more: Full(create(**more)))
    assert type(shared(small_dataset()).records) is Records
    gc.collect()
    assert files(folder) == []


def test_a_process_that_ends_leaves_no_file(folder):
    subprocess.run([sys.executable, "-c", program(folder, "sys.exit(3)")], check=False)
    assert files(folder) == []


def program(folder, end):
    """A program that shares records and then ends in some way."""
    return (
        "import os, signal, sys, tempfile\n"
        f"tempfile.tempdir = {str(folder)!r}\n"
        "from jaxrcnn.data import sharing\n"
        "from tests.data.small import small_dataset\n"
        "sharing.LARGE = 0\n"
        "dataset = sharing.shared(small_dataset())\n"
        f"assert len(os.listdir({str(folder)!r})) == 1\n"
        f"{end}\n"
    )


def test_the_file_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(folder):
    killed = program(folder, "os.kill(os.getpid(), signal.SIGKILL)")
    subprocess.run([sys.executable, "-c", killed], check=False)
    (left,) = files(folder)
    living = shared(small_dataset())  # the other is too young to be looked at
    assert len(files(folder)) == 2
    for path in files(folder):
        os.utime(path, (time.time() - 100, time.time() - 100))
    another = shared(small_dataset())
    assert left not in files(folder)
    assert {living.records.file.name, another.records.file.name} == set(files(folder))


def test_workers_make_the_same_batches_of_shared_records(folder):
    config = config_of(workers=1, on_error="skip", max_skipped_share=1.0)
    stream = train_batches(small_dataset(), config)
    try:
        made = [next(stream) for _ in range(2)]
        assert len(files(folder)) == 1
    finally:
        stream.close()
    alone = train_batches(small_dataset(), config_of(on_error="skip", max_skipped_share=1.0))
    for one in made:
        assert_same(one, next(alone))
    alone.close()
