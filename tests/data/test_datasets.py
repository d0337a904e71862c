import copy
import dataclasses
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.config import Config, ConfigError, DataConfig, ModelConfig
from jaxrcnn.data import DataError, open_datasets, open_train_dataset, read_coco, read_voc
from jaxrcnn.data.datasets import (
    describe_datasets,
    open_eval_dataset,
    open_split,
    open_test_dataset,
    warn_of_training_split,
)
from jaxrcnn.evaluation.coco import coco_scores
from tests.data import coco_files, voc_files

SHARED = pathlib.Path(__file__).parents[2].parent / "shared" / "data"
needs_bccd = pytest.mark.skipif(not (SHARED / "bccd").is_dir(), reason="no bccd beside us")
needs_coco = pytest.mark.skipif(not (SHARED / "coco_mini").is_dir(), reason="no coco_mini")


def config_of(num_classes, **data):
    return Config(model=ModelConfig(num_classes=num_classes), data=DataConfig(**data))


def write_coco(root, split, names, categories_of_images):
    """One image for each entry, with one box for each of the category ids in it."""
    (root / "annotations").mkdir(exist_ok=True)
    (root / split).mkdir()
    images, annotations = [], []
    for image_id, categories in enumerate(categories_of_images):
        file = f"{image_id}.png"
        images.append({"id": image_id, "file_name": file, "height": 8, "width": 8})
        Image.new("RGB", (8, 8)).save(root / split / file)
        for category in categories:
            box = {"id": len(annotations), "image_id": image_id, "category_id": category}
            annotations.append({**box, "bbox": [1, 1, 4, 4]})
    tables = {"images": images, "annotations": annotations}
    tables["categories"] = [{"id": key, "name": name} for key, name in names.items()]
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(tables))


def test_shapes_draw_two_different_sets():
    config = config_of(4, format="shapes", num_train_images=3, num_eval_images=2)
    train, evaluation = open_datasets(config)
    assert (len(train), len(evaluation)) == (3, 2)
    assert train.read_image(0).tobytes() != evaluation.read_image(0).tobytes()


def test_one_split_is_opened_alone_with_all_of_its_classes(tmp_path):
    data = DataConfig(format="auto", root=str(tmp_path), train_splits=(), eval_split="")

    def opened(**fields):
        return open_split(Config(data=dataclasses.replace(data, **fields)))

    write_coco(tmp_path, "test", {7: "dog", 9: "cat"}, [[7, 9]])
    assert opened().class_names == ("dog", "cat")  # the only one
    write_coco(tmp_path, "train", {1: "cat", 2: "dog"}, [[1, 2]])
    with pytest.raises(ConfigError, match=r"not clear which split .*give --config\.data\.eval"):
        opened()
    assert opened(eval_split="test").category_ids == (7, 9)
    write_coco(tmp_path, "val", {5: "dog", 6: "bird"}, [[5], [6]])
    for form in ("auto", "coco"):  # the one for validation
        alone = opened(format=form)
        assert (alone.name, len(alone), alone.class_names) == ("val", 2, ("dog", "bird"))


def test_the_evaluation_set_is_numbered_like_the_training_set(tmp_path):
    write_coco(tmp_path, "train", {1: "cat", 2: "dog"}, [[1, 2]])
    write_coco(tmp_path, "val", {7: "dog", 9: "cat"}, [[7, 9]])
    config = config_of(
        2, root=str(tmp_path), train_splits=("train",), eval_split="val", skip_empty=False
    )
    train, evaluation = open_datasets(config)
    assert train.class_names == evaluation.class_names == ("cat", "dog")
    np.testing.assert_array_equal(train.records[0].labels, [1, 2])
    np.testing.assert_array_equal(evaluation.records[0].labels, [2, 1])
    assert evaluation.category_ids == (9, 7)


def test_empty_images_are_left_out_of_training_alone(tmp_path):
    for split in ("train", "val"):
        write_coco(tmp_path, split, {1: "cat"}, [[1], [], [1]])
    config = config_of(1, root=str(tmp_path), train_splits=("train",), eval_split="val")
    train, evaluation = open_datasets(config)
    assert [record.image_id for record in train.records] == [0, 2]
    assert train.summary().endswith("1 image without objects left out")
    assert len(evaluation) == 3
    kept = dataclasses.replace(config, data=dataclasses.replace(config.data, skip_empty=False))
    assert len(open_datasets(kept)[0]) == 3


def test_a_set_without_images_is_refused(tmp_path):
    write_coco(tmp_path, "train", {1: "cat"}, [[]])
    config = config_of(1, root=str(tmp_path), train_splits=("train",), eval_split="train")
    with pytest.raises(DataError, match=r"^train: 0 images.*there are no boxes to train on$"):
        open_datasets(config)


def test_another_number_of_classes_than_the_models_is_refused():
    config = config_of(80, format="shapes", num_train_images=1)
    with pytest.raises(ConfigError) as error:
        open_datasets(config)
    assert str(error.value) == (
        "model.num_classes is 80, but shapes (1 image, seed 0) has 4 classes: "
        "disk, rectangle, triangle, star; data.classes chooses among them"
    )


def test_what_was_left_out_of_the_classes_is_said_with_their_number(tmp_path):
    tables = copy.deepcopy(coco_files.TABLES)
    for entry in tables["categories"]:
        entry["supercategory"] = "pets"
    tables["categories"].append({"id": 0, "name": "pets", "supercategory": "none"})
    coco_files.write(tmp_path, tables)
    fields = {"root": str(tmp_path), "train_splits": ("train",), "eval_split": "train"}
    assert open_datasets(config_of(3, **fields))[0].class_names == ("cat", "owl", "dog")
    with pytest.raises(
        ConfigError, match=r"data\.classes chooses among them; category 'pets', the"
    ):
        open_datasets(config_of(4, **fields))


def test_a_name_in_data_classes_that_the_training_set_does_not_have_is_refused(tmp_path):
    for split in ("train", "val"):
        write_coco(tmp_path, split, {1: "cat", 2: "dog"}, [[1, 2]])
    config = config_of(2, root=str(tmp_path), train_splits=("train",), eval_split="val")
    misspelt = dataclasses.replace(config.data, classes=("cat", "dgo"))
    with pytest.raises(ConfigError) as error:
        open_datasets(dataclasses.replace(config, data=misspelt))
    assert str(error.value) == (
        "data.classes: no class of train is named 'dgo' (the classes are 'cat', 'dog')"
    )
    filled = dataclasses.replace(config.data, classes=("cat", "N/A 2"))  # as torchvision's have
    assert len(open_datasets(dataclasses.replace(config, data=filled))[0]) == 1


def test_an_evaluation_set_may_lack_a_class_or_add_one(tmp_path):
    write_coco(tmp_path, "train", {1: "cat", 2: "dog"}, [[1, 2]])
    write_coco(tmp_path, "val", {1: "dog", 5: "emu"}, [[1, 5]])
    config = config_of(2, root=str(tmp_path), train_splits=("train",), eval_split="val")
    evaluation = open_datasets(config)[1]
    assert evaluation.class_names == ("cat", "dog")
    np.testing.assert_array_equal(evaluation.records[0].labels, [2])
    assert evaluation.other_boxes == 1
    found = [{"image_id": 0, "category_id": 1, "bbox": [1, 1, 4, 4], "score": 0.9}]
    metrics = coco_scores(evaluation, found).metrics
    assert metrics["eval/AP_dog"] == pytest.approx(1)
    assert "eval/AP_cat" not in metrics


def test_fields_of_the_config_reach_the_readers(tmp_path):
    voc_files.write(tmp_path, {"p1": voc_files.SIZE + voc_files.item()})
    fields = {"format": "voc", "root": str(tmp_path), "train_splits": ("train",)}
    config = config_of(1, **fields, eval_split="train", classes=("dog",))
    np.testing.assert_array_equal(open_datasets(config)[0].records[0].boxes, [[1, 2, 10, 20]])
    from_zero = dataclasses.replace(config.data, voc_one_based=False)
    train, _ = open_datasets(dataclasses.replace(config, data=from_zero))
    np.testing.assert_array_equal(train.records[0].boxes, [[2, 3, 10, 20]])
    for data in (config.data, dataclasses.replace(config.data, on_error="skip")):
        small = dataclasses.replace(data, max_pixels=100)
        with pytest.raises(DataError, match=r"40x30 pixels are more than data\.max_pixels=100"):
            open_datasets(dataclasses.replace(config, data=small))


def test_a_set_whose_records_are_all_faulty_names_the_first(tmp_path):
    write_coco(tmp_path, "train", {1: "cat"}, [[1], [1]])
    for path in (tmp_path / "train").iterdir():
        path.unlink()
    fields = {"root": str(tmp_path), "train_splits": ("train",), "eval_split": "train"}
    with pytest.raises(
        DataError, match=r"2 faulty .* \(the first: .* image 0 \(0\.png\): the image file"
    ):
        open_datasets(config_of(1, **fields, on_error="skip", max_skipped_share=1.0))


AUTO = {"format": "auto", "train_splits": (), "eval_split": ""}


def names(dataset):
    return [record.name for record in dataset.records]


def test_images_are_held_out_and_remembered_in_the_workdir(tmp_path):
    write_coco(tmp_path, "default", {1: "cat", 2: "dog"}, [[1], [1, 2], [2], [], [1], [2], [1, 2]])
    config = config_of(2, root=str(tmp_path), **AUTO, val_share=0.3)
    run = tmp_path / "run"
    train, evaluation = open_datasets(config, run)
    tree = json.loads((run / "split.json").read_text())
    assert (tree["seed"], tree["share"]) == (0, 0.3)
    assert sorted(tree["train"] + tree["val"]) == [f"{i}.png" for i in range(7)]
    assert names(evaluation) == tree["val"]
    assert set(names(train)) == set(tree["train"]) - {"3.png"}  # data.skip_empty
    assert evaluation.name == "default (held out)"
    assert evaluation.summary().endswith(f"{len(evaluation)} of 7 training images, held out")
    assert f"{len(evaluation)} of 7 images held out for evaluation" in train.notes
    assert describe_datasets(train, evaluation)[2:] == []

    fewer = dataclasses.replace(config, data=dataclasses.replace(config.data, val_share=0.5))
    assert len(open_datasets(fewer, run)[1]) > len(evaluation)  # no run has begun
    open_datasets(config, run)
    assert json.loads((run / "split.json").read_text()) == tree
    (run / "config.json").write_text("{}")
    tree["train"], tree["val"] = ["0.png", "2.png"], ["5.png"]  # what the file says is done
    (run / "split.json").write_text(json.dumps(tree))
    for again in (open_datasets(config, str(run)), open_datasets(config, run)):
        assert [names(dataset) for dataset in again] == [["0.png", "2.png"], ["5.png"]]
        assert "4 images (the first: 1.png) newer than" in again[0].summary()
    assert names(open_train_dataset(config, run)) == ["0.png", "2.png"]
    assert names(open_eval_dataset(config, train.class_names, run)) == ["5.png"]
    (tmp_path / "default" / "5.png").unlink()
    left = dataclasses.replace(config, data=dataclasses.replace(config.data, on_error="skip"))
    with pytest.raises(DataError, match=r"split\.json: image 5\.png: 1 image"):
        open_datasets(left, run)


def test_without_a_workdir_the_same_images_are_held_out_each_time(tmp_path):
    write_coco(tmp_path, "train", {1: "cat"}, [[1]] * 9)
    config = config_of(1, root=str(tmp_path), **AUTO)
    train, evaluation = open_datasets(config)
    assert len(train) + len(evaluation) == 9
    assert len(evaluation) == 2
    assert not set(names(train)) & set(names(evaluation))
    assert names(open_train_dataset(config)) == names(train)
    assert names(open_eval_dataset(config, ("cat",))) == names(evaluation)
    assert list(tmp_path.glob("**/split.json")) == []


def write_roots(tmp_path):
    """Two folders, in two formats and with other splits; the second one has no validation split."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    write_coco(one, "train", {5: "cat", 7: "dog"}, [[5, 7], [7]])
    write_coco(one, "val", {5: "cat", 7: "dog"}, [[7, 5]])
    write_coco(one, "test", {5: "cat", 7: "dog"}, [[5]])
    pages = {f"p{i}": voc_files.SIZE + voc_files.item(x) for i, x in enumerate(["emu", "dog"] * 3)}
    voc_files.write(two, pages, "default")
    return (str(one), str(two))


def test_several_folders_are_one_data_set(tmp_path):
    config = config_of(3, root=write_roots(tmp_path), **AUTO)
    train, evaluation = open_datasets(config, tmp_path / "run")
    assert train.class_names == evaluation.class_names == ("cat", "dog", "emu")
    assert names(train)[:2] == ["one/0.png", "one/1.png"]
    assert [record.labels.tolist() for record in train.records[:2]] == [[1, 2], [2]]
    assert names(evaluation)[0] == "one/0.png"
    assert sorted([*names(train)[2:], *names(evaluation)[1:]]) == [f"two/p{i}" for i in range(6)]
    assert evaluation.read_image(1).shape == (30, 40, 3)
    assert evaluation.read_image(0).shape == (8, 8, 3)
    assert [record.image_id for record in evaluation.records] == [*range(1, len(evaluation) + 1)]
    found = {record.name: [*record.labels] for record in [*train.records, *evaluation.records[1:]]}
    assert [found[f"two/p{i}"] for i in range(6)] == [[3], [2]] * 3
    assert names(open_eval_dataset(config, train.class_names, tmp_path / "run")) == names(
        evaluation
    )
    test = open_test_dataset(config, train.class_names)
    assert (names(test), [*test.records[0].labels]) == (["one/0.png"], [1])


def test_folders_of_one_name_are_numbered(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place / "cells").mkdir(parents=True)
        write_coco(tmp_path / place / "cells", "train", {1: "cat"}, [[1]])
    roots = tuple(str(tmp_path / place / "cells") for place in ("a", "b"))
    fields = {"root": roots, "train_splits": ("train",), "eval_split": "train"}
    train, evaluation = open_datasets(config_of(1, **fields))
    assert names(train) == names(evaluation) == ["cells-1/0.png", "cells-2/0.png"]
    assert train.name == "cells-1/train + cells-2/train"


def test_classes_are_renamed_before_they_are_chosen(tmp_path):
    for split in ("train", "val"):
        write_coco(tmp_path, split, {1: "cat", 2: "dog", 9: "a=b"}, [[1, 2, 9]])
    fields = {"root": str(tmp_path), "train_splits": ("train",), "eval_split": "val"}
    renames = ("cat=pet", "dog=pet", "a=b=c")
    for dataset in open_datasets(config_of(2, **fields, rename=renames)):
        assert dataset.class_names == ("pet", "c")
        assert dataset.records[0].labels.tolist() == [1, 1, 2]
    for dataset in open_datasets(config_of(1, **fields, rename=renames, classes=("c",))):
        assert dataset.records[0].labels.tolist() == [1]
        assert dataset.other_boxes == 2
    for bad, match in (
        (
            {"rename": ("cow=pet",)},
            r"^data\.rename: no class is named 'cow' .* 'cat', 'dog', 'a=b'\)$",
        ),
        (
            {"rename": renames, "classes": ("cat",)},
            r"^data\.classes: no class is named 'cat' .* 'c'\)$",
        ),
    ):
        with pytest.raises(ConfigError, match=match):
            open_datasets(config_of(1, **fields, **bad))


def test_any_number_of_classes_is_taken_on_demand(tmp_path):
    write_coco(tmp_path, "train", {1: "cat", 2: "dog"}, [[1, 2], [1]])
    config = config_of(80, root=str(tmp_path), **AUTO)
    assert open_train_dataset(config, any_classes=True).class_names == ("cat", "dog")
    train, evaluation = open_datasets(config, any_classes=True)
    assert (len(train), len(evaluation)) == (1, 1)


def test_evaluation_on_training_images_is_said(tmp_path):
    write_coco(tmp_path, "train", {1: "cat"}, [[1], [1]])
    config = config_of(1, root=str(tmp_path), train_splits=("train",), eval_split="train")
    said = "warning: evaluation uses training images{}: its scores say nothing about new images"
    assert warn_of_training_split(config) == said.format("")
    train, evaluation = open_datasets(config)
    lines = describe_datasets(train, evaluation)
    assert lines[:2] == [f"training    {train.summary()}", f"evaluation  {evaluation.summary()}"]
    assert lines[2:] == [said.format(" (2 of 2)")]
    part = dataclasses.replace(evaluation, records=evaluation.records[:1])
    assert describe_datasets(part, evaluation)[2:] == [said.format(" (1 of 2)")]
    other = dataclasses.replace(config.data, eval_split="val")
    assert warn_of_training_split(dataclasses.replace(config, data=other)) == ""
    drawn = config_of(4, format="shapes", num_train_images=2, num_eval_images=2)
    assert describe_datasets(*open_datasets(drawn))[2:] == []


def test_there_may_be_no_test_split(tmp_path):
    write_coco(tmp_path, "train", {1: "cat"}, [[1], [1]])
    with pytest.raises(ConfigError, match=r"^data\.test_split is empty"):
        open_test_dataset(config_of(1, root=str(tmp_path), **AUTO), ("cat",))


def test_a_misspelt_class_is_refused_whatever_found_the_format(tmp_path):
    write_coco(tmp_path, "train", {1: "cat"}, [[1], [1]])
    with pytest.raises(ConfigError, match=r"^data\.classes: no class of train is named 'dog'"):
        open_datasets(config_of(2, root=str(tmp_path), **AUTO, classes=("cat", "dog")))


def test_a_format_that_is_not_there_names_the_one_that_is(tmp_path):
    write_coco(tmp_path, "train", {1: "cat"}, [[1], [1]])
    config = config_of(1, root=str(tmp_path), format="voc", train_splits=("train",))
    with pytest.raises(DataError, match=r"contains COCO .*: --config\.data\.format coco$"):
        open_datasets(config)


@needs_bccd
@pytest.mark.parametrize("split", ["trainval", "test"])
def test_bccd_reads_the_same_as_voc_and_as_coco(split):
    root = str(SHARED / "bccd")
    voc, coco = read_voc(root, (split,)), read_coco(root, (split,))
    assert voc.class_names == coco.class_names == ("Platelets", "RBC", "WBC")
    assert len(voc) == len(coco) == {"trainval": 292, "test": 72}[split]
    for ours, theirs in zip(voc.records, coco.records, strict=True):
        assert (ours.image_id, ours.file) == (theirs.image_id, theirs.file)
        for field in ("boxes", "labels", "ignore", "area", "annotation_ids"):
            np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field))


@needs_coco
def test_coco_mini_has_its_crowds_and_all_categories():
    sets = [read_coco(str(SHARED / "coco_mini"), (f"{split}2017",)) for split in ("train", "val")]
    assert [len(dataset) for dataset in sets] == [80, 79]
    assert sum(record.crowd.sum() for dataset in sets for record in dataset.records) == 13
    for dataset in sets:
        assert len(dataset.class_names) == 80
        assert dataset.category_ids[-1] == 90
        assert dataset.skipped == ()
        assert dataset.read_image(0).shape[2] == 3
