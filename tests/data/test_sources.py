import dataclasses

import pytest

from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.sources import find_sources, resolve_data
from tests.data import coco_files, voc_files

OPEN = {"format": "auto", "train_splits": (), "eval_split": ""}
"""Fields that leave everything to the folder."""


def config_of(root, **fields):
    roots = tuple(map(str, root)) if isinstance(root, tuple) else str(root)
    return Config(data=DataConfig(root=roots, **{**OPEN, **fields}))


def write_coco(root, *splits):
    root.mkdir(exist_ok=True)
    for split in splits:
        coco_files.write(root, coco_files.TABLES, split)


def write_voc(root, *splits):
    for split in splits:
        voc_files.write(root, {"p1": voc_files.SIZE + voc_files.item()}, split)


def chosen(config):
    data = config.data
    return data.format, data.train_splits, data.eval_split, data.test_split


def test_a_folder_decides_what_the_config_leaves_open(tmp_path):
    write_coco(tmp_path, "train", "valid", "test", "trainval")
    config, lines = resolve_data(config_of(tmp_path))
    assert chosen(config) == ("coco", ("train",), "valid", "test")
    assert config.data.root == str(tmp_path)
    assert lines == [
        f"{tmp_path}: COCO (annotations/instances_train.json)",
        f"{tmp_path}: training on train; evaluation on valid; test on test; not used: trainval",
    ]
    assert resolve_data(config) == (config, [])


def test_without_a_validation_split_images_are_held_out(tmp_path):
    write_coco(tmp_path, "default")
    config, lines = resolve_data(config_of(tmp_path, val_share=0.1))
    assert chosen(config) == ("coco", ("default",), "", "")
    assert lines[1] == (
        f"{tmp_path}: training on default; 10% of its images are held out for evaluation, "
        "since there is no validation split"
    )


def test_what_the_config_says_stays(tmp_path):
    write_coco(tmp_path, "train", "val", "test", "extra")
    for fields, expected in (
        ({"train_splits": ("extra",)}, ("coco", ("extra",), "", "")),  # held out
        ({"train_splits": ("train",), "eval_split": "test"}, ("coco", ("train",), "test", "")),
        ({"eval_split": "extra"}, ("coco", ("train",), "extra", "test")),
        ({"eval_split": "valid"}, ("coco", ("train",), "valid", "test")),  # val
        ({"format": "coco", "test_split": "extra"}, ("coco", ("train",), "val", "extra")),
    ):
        assert chosen(resolve_data(config_of(tmp_path, **fields))[0]) == expected
    explicit = config_of(tmp_path, format="coco", train_splits=("train",))
    assert resolve_data(explicit) == (explicit, [])
    lines = resolve_data(config_of(tmp_path, eval_split="valid"))[1]
    assert lines[1].endswith("evaluation on valid; test on test; not used: extra")
    shapes = config_of(tmp_path, format="shapes")
    assert resolve_data(shapes) == (shapes, [])


def test_the_folder_that_was_found_is_the_root(tmp_path):
    write_voc(tmp_path / "cells", "train", "val")
    config, lines = resolve_data(config_of(tmp_path))
    assert config.data.root == str(tmp_path / "cells")
    assert lines[0] == f"{tmp_path} itself has no data set, so {tmp_path / 'cells'} is read"


def test_an_unclear_choice_names_the_folder(tmp_path):
    write_coco(tmp_path, "a", "b")
    with pytest.raises(ConfigError, match=r": it is not clear which split to train on.*'a', 'b'"):
        resolve_data(config_of(tmp_path))


def test_folders_that_agree_have_plain_fields(tmp_path):
    roots = (tmp_path / "one", tmp_path / "two")
    for root in roots:
        write_coco(root, "train", "val")
    config, lines = resolve_data(config_of(roots))
    assert chosen(config) == ("coco", ("train",), "val", "")
    assert config.data.root == tuple(map(str, roots))
    assert len(lines) == 4


def test_folders_that_differ_are_resolved_each_time(tmp_path):
    roots = (tmp_path / "one", tmp_path / "two", tmp_path / "three")
    write_coco(roots[0], "train", "valid", "test")
    write_voc(roots[1], "train", "val")
    write_coco(roots[2], "default")
    config, _ = resolve_data(config_of(roots))
    assert chosen(config) == ("auto", (), "", "test")
    for each in (config, resolve_data(config)[0]):
        sources = find_sources(each.data)
        assert [source[2:6] for source in sources] == [
            ("coco", ("train",), "valid", "test"),
            ("voc", ("train",), "val", None),
            ("coco", ("default",), "", None),
        ]


def test_a_split_that_some_folders_lack_is_read_from_the_others(tmp_path):
    roots = (tmp_path / "one", tmp_path / "two")
    write_coco(roots[0], "train", "val")
    write_coco(roots[1], "train")
    config = config_of(roots, train_splits=("train",), eval_split="val")
    assert [source.eval for source in find_sources(config.data)] == ["val", None]
    lines = resolve_data(config)[1]
    assert f"{roots[1]} has no split val" in lines
    for eval_split in ("VAL", "valid"):  # each names the split val
        fields = dataclasses.replace(config.data, eval_split=eval_split)
        assert [source.eval for source in find_sources(fields)] == [eval_split, None]
    misspelt = dataclasses.replace(config.data, eval_split="vla")
    with pytest.raises(ConfigError, match=r"^data\.eval_split=vla: none of .* has this split$"):
        find_sources(misspelt)


def test_a_folder_without_a_data_set_says_what_is_there(tmp_path):
    with pytest.raises(DataError, match="the folder is empty"):
        resolve_data(config_of(tmp_path))
    write_voc(tmp_path, "train")
    with pytest.raises(DataError) as error:
        resolve_data(config_of(tmp_path, format="coco"))
    assert str(error.value) == (
        f"{tmp_path}: there is no data set in the format coco (data.format); the folder "
        "contains VOC (ImageSets/Main/train.txt): --config.data.format voc"
    )


@pytest.mark.parametrize("field", ["eval_split", "test_split"])
def test_a_split_that_the_folder_lacks_is_named_with_its_field(tmp_path, field):
    write_coco(tmp_path, "train", "val")
    with pytest.raises(ConfigError) as error:
        resolve_data(config_of(tmp_path, **{field: "vall"}))
    assert str(error.value) == (
        f"data.{field}=vall: {tmp_path} has no such split, it has 'train', 'val'"
    )


def test_where_the_choice_is_not_clear_data_sets_in_folders_are_named(tmp_path):
    write_coco(tmp_path, "test")
    write_voc(tmp_path / "cells", "train")
    with pytest.raises(ConfigError) as error:
        resolve_data(config_of(tmp_path))
    assert str(error.value) == (
        f"{tmp_path}: the only split, 'test', is named for testing: to train on it nevertheless, "
        f"give --config.data.train_splits test; {tmp_path / 'cells'} has a data set too"
    )
