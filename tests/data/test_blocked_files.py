"""Images that do not answer, as on a network drive that is gone: a line in place of a hang."""

import dataclasses
import os

import pytest

from jaxrcnn.config import Config, DataConfig, EvalConfig, TrainConfig
from jaxrcnn.data.datasets import open_datasets
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_files import look_at
from jaxrcnn.data.images import read_header, read_image
from jaxrcnn.data.loader import eval_batches, train_batches
from jaxrcnn.data.text import read_ends, read_text
from jaxrcnn.opening import read_bytes, read_timeout
from tests.blocked import blocked
from tests.data import coco_files, voc_files

NO_ANSWER = r"gave no answer within 0\.1 s \(data\.read_timeout\)"


def config_of(root, **data):
    return Config(
        data=DataConfig(
            format="coco",
            root=str(root),
            train_splits=("train",),
            eval_split="train",
            skip_empty=False,
            **{
                **{"read_timeout": 0.1, "on_error": "skip", "max_skipped_share": 1.0},
                **{"short_side": 32, "long_side": 48},
                **data,
            },
        ),
        train=TrainConfig(batch_size=3, steps=2),
        eval=EvalConfig(batch_size=3),
    )


@pytest.fixture
def root(tmp_path):
    coco_files.write(tmp_path, coco_files.TABLES)
    return tmp_path


@pytest.mark.parametrize("call", ["open", "read"])
def test_readers_name_the_file(tmp_path, monkeypatch, call):
    coco_files.write(tmp_path, coco_files.TABLES)
    path = tmp_path / "train/a.png"
    with blocked(monkeypatch, "a.png", call=call), read_timeout(0.1):
        for read in (read_image, read_header):
            with pytest.raises(DataError, match=rf"^{path}: {NO_ANSWER}$"):
                read(path)
        for read in (read_text, read_ends):
            with pytest.raises(OSError, match="gave no answer"):
                read(path)


def test_what_is_looked_at_besides_is_found_and_its_thread_replaced(tmp_path, monkeypatch):
    names = [f"{i}.txt" for i in range(200)]
    for name in names:
        (tmp_path / name).write_text(name)
    paths = [str(tmp_path / name) for name in names]
    with blocked(monkeypatch, "0.txt", "5.txt", "199.txt"), read_timeout(0.1):
        found = look_at(paths, read_bytes)
    for path, name, content in zip(paths, names, found, strict=True):
        if name in ("0.txt", "5.txt", "199.txt"):
            assert str(content) == f"{path}: gave no answer within 0.1 s (data.read_timeout)"
        else:
            assert content == name.encode()


def test_opening_a_data_set_leaves_the_image_out_or_stops(root, monkeypatch):
    with blocked(monkeypatch, "a.png"):
        train, _ = open_datasets(config_of(root), any_classes=True)
        assert [record.name for record in train.records] == ["b.png", "c.png"]
        assert len(train.skipped) == 1
        assert "image 40" in train.skipped[0]
        assert "gave no answer within 0.1 s" in train.skipped[0]
        with pytest.raises(DataError, match=rf"image 40 \(a\.png\): .*a\.png: {NO_ANSWER}"):
            open_datasets(config_of(root, on_error="raise"), any_classes=True)


@pytest.mark.parametrize("name", ["instances_train.json", "p0.xml"])
def test_annotations_have_the_time_limit_too(root, monkeypatch, name):
    config = config_of(root, on_error="raise")
    if name.endswith("xml"):
        voc_files.write(root, {"p0": voc_files.SIZE + voc_files.item()})
        config = dataclasses.replace(
            config, data=dataclasses.replace(config.data, format="voc", eval_split="train")
        )
    with blocked(monkeypatch, name), pytest.raises(DataError, match=NO_ANSWER):
        open_datasets(config, any_classes=True)


@pytest.mark.parametrize("batches", [train_batches, eval_batches])
def test_batches_go_on_without_the_image_or_stop(root, monkeypatch, batches):
    train, _ = open_datasets(config_of(root), any_classes=True)
    with blocked(monkeypatch, "b.png"):
        stream = batches(train, config_of(root))
        assert len(list(stream)) >= 1
        stream.close()
        (line,) = stream.unread
        assert "image b.png" in line
        assert "gave no answer within 0.1 s" in line
        with pytest.raises(DataError, match=r"image b\.png.*gave no answer"):
            list(batches(train, config_of(root, on_error="raise")))


class InWorker:
    """A reader that meets a blocked file, in whatever process it runs."""

    def __init__(self, reader):
        self.reader = reader

    def __call__(self, record):
        with pytest.MonkeyPatch.context() as patch, blocked(patch, "b.png"):
            return self.reader(record)


def test_worker_processes_go_on_too(root):
    train, _ = open_datasets(config_of(root), any_classes=True)
    train = dataclasses.replace(train, reader=InWorker(train.reader))
    stream = train_batches(train, config_of(root, workers=1))
    assert len(list(stream)) == 2
    stream.close()
    (line,) = stream.unread
    assert "gave no answer within 0.1 s" in line


def test_a_pipe_in_the_place_of_an_image_is_left_out(root):
    config = config_of(root)
    train, _ = open_datasets(config, any_classes=True)
    os.unlink(root / "train/b.png")
    os.mkfifo(root / "train/b.png")
    stream = train_batches(train, config)
    list(stream)
    stream.close()
    (line,) = stream.unread
    assert "is a named pipe, not a regular file" in line
    train, _ = open_datasets(config, any_classes=True)
    assert [record.name for record in train.records] == ["a.png", "c.png"]
    assert "b.png" in train.skipped[0]
