import dataclasses
import hashlib
import json

import pytest

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.fingerprint_file import (
    FILE,
    describe_data,
    describe_differences,
    read_data,
    write_data,
)
from jaxrcnn.data.records import Dataset
from tests.data.small import small_dataset


def sets():
    train = small_dataset()
    return train, dataclasses.replace(train, name="val", records=train.records[:2])


def test_what_is_written_is_read(tmp_path):
    assert read_data(tmp_path) is None
    data = describe_data(Config(), *sets())
    write_data(tmp_path, data)
    assert read_data(tmp_path) == data
    assert describe_differences(data, read_data(tmp_path)) == {}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_each_set_is_compared_with_its_own(tmp_path):
    train, evaluation = sets()
    before = describe_data(Config(), train, evaluation)
    other = dataclasses.replace(evaluation, records=evaluation.records[:1])
    assert describe_differences(before, describe_data(Config(), train, other)) == {
        "evaluation": "evaluation set: 1 missing image ('p1')"
    }


def test_the_summary_has_counts_and_hashes():
    data = describe_data(Config(), *sets())
    assert data.summary() == {
        **{"training_images": 5, "evaluation_images": 2},
        **{"training": data.sets["training"].digest, "evaluation": data.sets["evaluation"].digest},
    }


def test_files_that_the_config_names_belong_to_the_data(tmp_path):
    path = tmp_path / "proposals.npz"
    path.write_bytes(b"one")
    fields = {"data.train_proposals": str(path), "data.eval_proposals": str(tmp_path / "none")}
    config = replace_fields(Config(), fields)
    before = describe_data(config, *sets())
    sha256 = hashlib.sha256(b"one").hexdigest()
    assert before.files == {"data.train_proposals": f"3 bytes, {sha256}"}
    path.write_bytes(b"two")
    assert describe_differences(before, describe_data(config, *sets())) == {
        "data.train_proposals": "the file of data.train_proposals has changed"
    }


@pytest.mark.parametrize(("scheme", "named"), [("joint", False), ("alternating", True)])
def test_initial_weights_belong_to_it_where_training_returns_to_them(tmp_path, scheme, named):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"one")
    config = replace_fields(Config(), {"train.init": str(path), "train.scheme": scheme})
    assert ("train.init" in describe_data(config, *sets()).files) == named


def test_a_run_of_an_earlier_version_has_fewer_sets_and_files(tmp_path):
    data = describe_data(Config(), *sets())
    fewer = data._replace(sets={"training": data.sets["training"]})
    assert describe_differences(fewer, data._replace(files={"train.init": "3 bytes"})) == {}


GOOD = {"classes": [], "names": ["a"], "sizes": [1], "annotations": ["0"]}


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"sets": {}}', "[" * 100_000, '{"sets": [], "files": {}}'),
        json.dumps({"sets": {"training": {**GOOD, "names": []}}, "files": {}}),
        json.dumps({"sets": {"training": {**GOOD, "names": None}}, "files": {}}),
        json.dumps({"sets": {"training": {**GOOD, "more": []}}, "files": {}}),
        json.dumps({"sets": {"training": {**GOOD, "names": [1]}}, "files": {}}),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"fingerprint\.json cannot be read .*: delete it to"):
        read_data(tmp_path)


def test_a_data_set_without_images_can_be_described():
    empty = Dataset("none", (), ("cat",))
    assert describe_data(Config(), empty, empty).summary()["training_images"] == 0
