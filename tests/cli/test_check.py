import json

import pytest

from jaxrcnn.cli import main
from tests.checking.planted import Planter, plant_files, write_set
from tests.complaints import error_line


def test_a_clean_folder_a_faulty_one_and_none_at_all(tmp_path, capsys):
    write_set(tmp_path / "set", images=12)
    out = tmp_path / "out"
    assert main(["check", str(tmp_path / "set"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "decoding 16 images on " in said
    assert "no faults were found" in said
    assert f"written  {out / 'check.html'}" in said
    tree = json.loads((out / "check.json").read_text())
    assert set(tree["anchors"]["missed"]) == {"0.5", "0.7"}
    assert 0 <= tree["batches"]["padded_share"] < 0.5
    assert tree["cost"]["parameters"] > 10**6
    assert tree["cost"]["seconds_per_step"] is None
    planter = Planter(tmp_path / "set")
    plant_files(planter)
    planter.write()
    assert main(["check", str(tmp_path / "set"), "--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "4 faults:" in said
    for split in ("train", "val"):
        (tmp_path / f"set/annotations/instances_{split}.json").write_text('{"images": []}')
    fields = ["--config.data.format", "coco", "--config.data.train_splits", "train"]
    assert main(["check", str(tmp_path / "set"), "--out", str(out), *fields]) == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "name a folder of labelled images, or a config with --config CONFIG"),
        (["EMPTY"], "EMPTY"),
        (["GONE"], "there is no such folder"),
        (["EMPTY", "EMPTY"], "is given twice"),
        (["EMPTY", "--config.data.nothing", "1"], "data.nothing"),
    ],
)
def test_what_cannot_be_checked_is_one_line(tmp_path, capsys, words, what):
    (tmp_path / "EMPTY").mkdir()
    paths = [str(tmp_path / word) if word in ("EMPTY", "GONE") else word for word in words]
    assert what in error_line(capsys, main, ["check", *paths])


def test_a_config_alone_names_its_data_set(tmp_path, capsys):
    fields = {"num_train_images": 3, "num_eval_images": 2, "format": "shapes"}
    words = [f"--config.data.{name}={value}" for name, value in fields.items()]
    out = ["--out", str(tmp_path)]
    assert main(["check", "--config", "tiny", *out, *words]) == 0
    assert "train: 3 images" in capsys.readouterr().out
