import dataclasses

import pytest

from jaxrcnn.config import Config, ConfigError, ProfileConfig, TrainConfig
from jaxrcnn.training.history import Change, read_history
from jaxrcnn.training.workdir import (
    change,
    claim,
    read_classes,
    read_config,
    write_changes,
    write_classes,
)


def test_a_run_goes_on_in_its_own_folder(tmp_path):
    config = Config(seed=4, train=TrainConfig(steps=7))
    workdir = tmp_path / "runs" / "new"
    claim(workdir, config)
    written = (workdir / "config.json").read_bytes()
    claim(workdir, config)
    assert read_config(workdir) == config
    assert (workdir / "config.json").read_bytes() == written


def test_another_config_is_refused_with_the_fields_that_differ(tmp_path):
    config = Config()
    claim(tmp_path, config)
    other = dataclasses.replace(config, seed=1, train=TrainConfig(steps=5))
    with pytest.raises(ConfigError) as caught:
        claim(tmp_path, other)
    message = str(caught.value)
    assert "seed is 0 there, 1 here" in message
    assert "train.steps is 90000 there, 5 here" in message
    assert "\n" not in message
    assert "model" not in message
    assert read_config(tmp_path) == config


def test_a_run_goes_on_with_another_profile(tmp_path):
    claim(tmp_path, Config(profile=ProfileConfig(3, 5)))
    claim(tmp_path, Config(profile=ProfileConfig(7, 1)))
    assert read_config(tmp_path) == Config()


def test_a_run_that_goes_on_longer_has_the_new_config_and_a_history(tmp_path):
    longer = Config(train=TrainConfig(steps=9))
    assert change(tmp_path / "new", longer, 0) == (longer, [])
    claim(tmp_path, Config(train=TrainConfig(steps=7)))
    config, changes = change(tmp_path, longer, 7)
    assert (config, changes) == (longer, [Change(7, "train.steps", 7, 9)])
    assert read_config(tmp_path).train.steps == 7  # nothing is written yet
    write_changes(tmp_path, config, changes)
    claim(tmp_path, longer)
    assert read_history(tmp_path) == changes
    write_changes(tmp_path, longer, [])
    assert read_history(tmp_path) == changes


def test_what_a_run_does_not_go_on_with_is_said_with_its_folder(tmp_path):
    claim(tmp_path, Config())
    with pytest.raises(ConfigError) as caught:
        change(tmp_path, Config(seed=1), 7)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}: it holds a run with a different config (seed is 0 there")
    assert "\n" not in said


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match="not the folder of a run"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"seed": 0}', "\xff"])
def test_a_config_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"config\.json") as caught:
        read_config(tmp_path)
    assert "\n" not in str(caught.value)


def test_classes_are_kept_with_the_run(tmp_path):
    write_classes(tmp_path, ["café", "tree"], [3, 9])
    assert read_classes(tmp_path) == (("café", "tree"), (3, 9))


@pytest.mark.parametrize("text", [None, "{", "{}", '{"names": 1, "ids": 2}'])
def test_classes_that_cannot_be_read_are_named(tmp_path, text):
    if text is not None:
        (tmp_path / "classes.json").write_text(text)
    with pytest.raises(ConfigError, match=r"classes\.json cannot be read"):
        read_classes(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "metrics.jsonl.tmp"])
def test_a_strangers_run_is_not_written_into_through_links(tmp_path, name):
    run, outside = tmp_path / "run", tmp_path / "outside"
    claim(run, Config())
    outside.write_bytes((run / "config.json").read_bytes())
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(outside)
    with pytest.raises(ConfigError, match=rf"{name} is a symbolic link"):
        claim(run, Config())
    (run / name).unlink()
    (run / name).symlink_to("nowhere")
    with pytest.raises(ConfigError, match=rf"{name} is a symbolic link"):
        claim(run, Config())


def test_a_folder_of_a_run_may_be_elsewhere(tmp_path):
    claim(tmp_path / "run", Config())
    (tmp_path / "disk").mkdir()
    (tmp_path / "run/checkpoints").symlink_to(tmp_path / "disk")
    claim(tmp_path / "run", Config())


@pytest.mark.parametrize(
    "text", ['{"names": [1], "ids": [1]}', '{"names": ["a"], "ids": [1.5]}', "[" * 100_000]
)
def test_classes_that_are_none_are_one_line(tmp_path, text):
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(ConfigError, match=r"classes.json cannot be read"):
        read_classes(tmp_path)
