import dataclasses
import sys

import pytest

from jaxrcnn.config import Config, ConfigError, TrainConfig
from jaxrcnn.training.tracker_kinds import TensorBoard
from jaxrcnn.training.trackers import Trackers, open_trackers, require_trackers


class Kept:
    """Takes metrics alone, as a fork's tracker may."""

    def __init__(self):
        self.calls = []

    def write(self, step, metrics):
        self.calls.append((step, metrics))

    def close(self):
        self.calls.append("closed")


class Sheets(Kept):
    def write_image(self, step, name, path):
        self.calls.append((step, name, path))


class Fails(Kept):
    def write(self, step, metrics):
        super().write(step, metrics)
        raise ConnectionError("no network\nin two lines")


def config_of(*trackers):
    return Config(train=TrainConfig(trackers=trackers))


def test_images_go_to_those_that_take_them(tmp_path):
    plain, sheets = Kept(), Sheets()
    trackers = Trackers([plain, sheets])
    trackers.write_image(3, "detections", tmp_path)
    trackers.close()
    assert plain.calls == ["closed"]
    assert sheets.calls == [(3, "detections", tmp_path), "closed"]


def test_one_that_fails_is_left_out_with_one_line():
    said, fails, other = [], Fails(), Kept()
    trackers = Trackers([fails, other], said.append)
    for step in (1, 2):
        trackers.write(step, {"loss": 0.5})
    assert fails.calls == [(1, {"loss": 0.5})]
    assert [call[0] for call in other.calls] == [1, 2]
    assert said == [
        "note: Fails failed and is left out (ConnectionError: no network in two lines); training "
        "continues, and metrics.jsonl is complete"
    ]


def test_those_of_the_config_come_before_ones_own(tmp_path):
    own = Kept()
    trackers = open_trackers(config_of("tensorboard"), tmp_path, 0, [own])
    assert [type(tracker) for tracker in trackers._trackers] == [TensorBoard, Kept]
    trackers.close()
    assert own.calls == ["closed"]


def test_without_tensorboard_there_is_no_folder_of_its(tmp_path):
    open_trackers(config_of(), tmp_path, 0).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_one_line_with_the_remedy(name, monkeypatch):
    require_trackers(config_of("tensorboard"))
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(ConfigError) as caught:
        require_trackers(config_of("tensorboard", name))
    assert str(caught.value).startswith(f"train.trackers={name} requires {name}, which cannot be")
    assert str(caught.value).endswith(f"pip install 'jaxrcnn[{name}]'")


def test_one_that_cannot_start_is_left_out_with_one_line(tmp_path, monkeypatch):
    class NoKey:
        def init(self, **_):
            raise RuntimeError("No API key configured")

    monkeypatch.setitem(sys.modules, "wandb", NoKey())
    said, own = [], Kept()
    monkeypatch.setattr(NoKey, "Image", None, raising=False)
    trackers = open_trackers(config_of("wandb"), tmp_path, 0, [own], said.append)
    trackers.write(1, {"loss": 1.0})
    assert own.calls == [(1, {"loss": 1.0})]
    (line,) = said
    assert line.startswith("note: wandb failed and is left out (RuntimeError: No API key")


def test_a_name_given_twice_is_one_tracker(tmp_path):
    config = dataclasses.replace(config_of("tensorboard", "tensorboard"))
    trackers = open_trackers(config, tmp_path, 0)
    assert len(trackers._trackers) == 1
    trackers.close()
