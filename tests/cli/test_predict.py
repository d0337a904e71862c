"""The command with a tiny random model; with a run's folder it is tried in tests/test_train.py."""

import errno
import json
import shutil
import types

import numpy as np
import pytest
from PIL import Image

import jaxrcnn
from jaxrcnn.cli import main
from jaxrcnn.cli import predict as command
from jaxrcnn.data import unannotated
from tests.complaints import error_line
from tests.tiny import write_model

RNG = np.random.default_rng(6)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def images(tmp_path):
    """Images, two of the same stem and one that is stored turned, and broken files."""
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    upright = [RNG.integers(0, 256, (*size, 3), np.uint8) for size in ((48, 64), (96, 80))]
    Image.fromarray(upright[0]).save(folder / "a.png")
    Image.fromarray(upright[1]).save(folder / "more" / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(upright[0][:, ::-1].transpose(1, 0, 2)).save(folder / "turned.png", exif=exif)
    for name in ("torn.png", "torn.jpg"):  # the end of a PNG is looked for when it is opened
        Image.fromarray(upright[0]).save(folder / name)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no image")
    return folder


def predict(model, out, *words, score="0"):
    words = [str(word) for word in words]
    return main(["predict", str(model), *words, "--out", str(out), "--score", score])


def rows_of(out):
    return json.loads((out / "detections.json").read_text())


def test_each_image_is_drawn_and_its_detections_are_those_of_the_api(model, images, tmp_path):
    files = [images / "a.png", images / "more" / "a.png", images / "turned.png"]
    assert predict(model, tmp_path / "found", *files) == 0
    assert {file.name for file in (tmp_path / "found").iterdir()} == {
        *("a.png", "a_2.png", "turned.png", "detections.json"),
    }
    rows = rows_of(tmp_path / "found")
    found = jaxrcnn.load(model).predict(files, score=0)
    assert len(rows) == sum(len(objects.scores) for objects in found) > 20
    expected = (
        (number, str(file), *one)
        for number, (file, objects) in enumerate(zip(files, found, strict=True), 1)
        for one in zip(*objects, strict=True)
    )
    for row, (number, file, box, score, label, name) in zip(rows, expected, strict=True):
        assert (row["image_id"], row["file_name"]) == (number, file)
        assert row["category_id"] == (2, 5, 9)[label - 1]
        assert row["category_name"] == name == ("cat", "dog", "bird")[label - 1]
        x, y, width, height = row["bbox"]
        np.testing.assert_allclose((x, y, x + width, y + height), box, atol=2e-3)
        assert row["score"] == pytest.approx(score, abs=1e-6)
    for name, size in (("a.png", (64, 48)), ("a_2.png", (80, 96)), ("turned.png", (64, 48))):
        with Image.open(tmp_path / "found" / name) as drawn:
            assert drawn.width * size[1] == drawn.height * size[0]


def test_the_best_thresholds_are_those_of_the_last_evaluation(model, images, tmp_path, capsys):
    own = tmp_path / "model"
    shutil.copytree(model, own)
    complaint = error_line(
        capsys, lambda: predict(own, tmp_path / "found", images / "a.png", score="best")
    )
    assert f"{own} has no analysis.json with the best thresholds; jaxrcnn evaluate" in complaint
    assert not (tmp_path / "found").exists()
    rows = {"cat": {"threshold": 0.0}, "dog": {"threshold": 1.0}, "bird": {"threshold": None}}
    (own / "eval").mkdir()
    path = own / "eval" / "analysis.json"
    path.write_text(json.dumps({"step": 0, "classes": rows}))
    assert predict(own, tmp_path / "found", images / "a.png", score="best") == 0
    names = [row["category_name"] for row in rows_of(tmp_path / "found")]
    assert "cat" in names
    assert "dog" not in names
    said = capsys.readouterr()
    assert said.err == "note: 0.5 for classes without a best threshold: bird\n"
    assert f"thresholds  cat 0.00, dog 1.00, bird 0.50 ({path})\n" in said.out
    assert "with a score of at least the best threshold of its class\n" in said.out


@pytest.mark.parametrize("score", ["bst", "1.5"])
def test_a_score_that_is_none_is_one_line(model, images, tmp_path, score, capsys):
    complaint = error_line(
        capsys, lambda: predict(model, tmp_path / "found", images / "a.png", score=score)
    )
    assert f"--score: got '{score}', expected a number from 0 to 1, or best" in complaint


def test_a_stored_turned_image_gives_the_boxes_of_the_upright_one(model, images, tmp_path):
    predict(model, tmp_path / "found", images / "a.png", images / "turned.png")
    one, other = (
        [row["bbox"] for row in rows_of(tmp_path / "found") if row["image_id"] == k] for k in (1, 2)
    )
    assert one
    assert one == other


def test_pycocotools_takes_the_detections_of_images_that_are_called_by_their_ids(
    model, images, tmp_path
):
    from pycocotools.coco import COCO

    (tmp_path / "val").mkdir()
    (images / "a.png").rename(tmp_path / "val" / "000000000139.png")
    (images / "more" / "a.png").rename(tmp_path / "val" / "000000000285.png")
    predict(model, tmp_path / "found", tmp_path / "val")
    truth = COCO()
    truth.dataset = {
        "images": [{"id": 139}, {"id": 285}, {"id": 632}],
        "categories": [{"id": k} for k in (2, 5, 9)],
        "annotations": [],
    }
    truth.createIndex()
    found = truth.loadRes(str(tmp_path / "found" / "detections.json"))
    rows = rows_of(tmp_path / "found")
    for image_id in (139, 285):
        ours = [row["bbox"] for row in rows if row["image_id"] == image_id]
        assert [one["bbox"] for one in found.loadAnns(found.getAnnIds(image_id))] == ours != []


def test_images_are_searched_in_the_views_that_are_asked_for(model, images, tmp_path):
    words = ["--flip", "--tile", "64", "--overlap", "0.5"]
    assert predict(model, tmp_path / "found", images / "more" / "a.png", *words) == 0
    found = jaxrcnn.load(model).predict(
        [images / "more" / "a.png"], score=0, flip=True, tile=64, overlap=0.5
    )[0]
    rows = rows_of(tmp_path / "found")
    assert [row["score"] for row in rows] == pytest.approx(found.scores.tolist(), abs=1e-6)
    assert len(rows) > 4


def test_views_that_cannot_be_are_one_line(model, images, tmp_path, capsys):
    for words, line in (
        (["--tile", "8"], "--tile=8 must be"),
        (["--scales", "600,0"], "argument --scales"),
        (["--scales", "600,600"], "--scales=(600, 600) must be different"),
        (["--overlap", "1"], "--overlap=1.0 must be"),
    ):
        out = tmp_path / "found"
        assert line in error_line(capsys, predict, model, out, images / "a.png", *words)


def test_only_detections_of_the_score_are_kept(model, images, tmp_path):
    predict(model, tmp_path / "all", images / "a.png")
    scores = [row["score"] for row in rows_of(tmp_path / "all")]
    middle = sorted(scores)[len(scores) // 2]
    assert min(scores) < middle
    predict(model, tmp_path / "some", images / "a.png", score=str(middle - 1e-6))
    kept = [row["score"] for row in rows_of(tmp_path / "some")]
    assert kept == [score for score in scores if score >= middle - 1e-6]


def test_without_a_detection_the_list_is_empty(model, images, tmp_path):
    assert predict(model, tmp_path / "found", images / "a.png", score="1") == 0
    assert rows_of(tmp_path / "found") == []
    assert (tmp_path / "found" / "a.png").is_file()


def test_broken_images_are_named_and_the_others_done(model, images, tmp_path, capsys):
    broken = [images / name for name in ("torn.png", "torn.jpg", "text.png", "none.png")]
    assert predict(model, tmp_path / "found", *broken, images / "a.png") == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all(any(f"error: {file}: " in line for line in said) for file in broken)
    assert (tmp_path / "found" / "a.png").is_file()
    assert {row["file_name"] for row in rows_of(tmp_path / "found")} == {str(images / "a.png")}
    assert {row["image_id"] for row in rows_of(tmp_path / "found")} == {5}


@pytest.mark.parametrize("names", [["text.png", "none.png"], ["torn.jpg", "none.png"]])
def test_no_readable_image_is_one_line(model, images, tmp_path, capsys, names):
    files = [images / name for name in names]
    said = error_line(capsys, lambda: predict(model, tmp_path / "found", *files))
    assert "none of the 2 images can be read: " in said
    assert any(str(file) in said for file in files)
    assert not list(tmp_path.glob("found/*"))


def test_a_single_unreadable_image_is_not_counted(model, images, tmp_path, capsys):
    said = error_line(capsys, lambda: predict(model, tmp_path / "found", images / "none.png"))
    assert str(images / "none.png") in said
    assert "none of the" not in said


def test_names_that_no_font_has_are_said_and_a_font_that_is_none_is_one_line(
    model, images, tmp_path, capsys
):
    cats = tmp_path / "cats"
    shutil.copytree(model, cats)
    (cats / "classes.json").write_text('{"names": ["猫", "dog", "鳥"], "ids": [1, 2, 3]}')
    assert predict(cats, tmp_path / "found", images / "a.png") == 0
    assert "that no font has, drawn as boxes: 猫鳥; choose a font" in capsys.readouterr().err
    words = [images / "a.png", "--font", images / "text.png"]
    said = error_line(capsys, lambda: predict(model, tmp_path / "other", *words))
    assert f"--font: {images / 'text.png'} cannot be used as a font (" in said
    assert not (tmp_path / "other").exists()


def test_fields_that_the_weights_do_not_depend_on_are_changed(model, images, tmp_path, capsys):
    words = [images / "a.png", "--config.model.detections.max_detections", "2"]
    assert predict(model, tmp_path / "found", *words) == 0
    rows = rows_of(tmp_path / "found")
    (all_found,) = jaxrcnn.load(model).predict([images / "a.png"], score=0)
    assert len(all_found.scores) > 2
    np.testing.assert_allclose([row["score"] for row in rows], all_found.scores[:2], atol=1e-5)
    capsys.readouterr()
    words = [images / "a.png", "--config.model.num_classes", "2"]
    said = error_line(capsys, lambda: predict(model, tmp_path / "other", *words))
    assert "--config.model.num_classes cannot be changed: the weights were trained with 3" in said
    assert not (tmp_path / "other").exists()


def test_a_folder_without_images_is_one_line_and_nothing_is_made(model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    said = error_line(capsys, lambda: predict(model, tmp_path / "found", tmp_path / "empty"))
    assert f"{tmp_path / 'empty'} holds no images" in said
    assert not (tmp_path / "found").exists()


def test_a_folder_without_a_model_is_one_line_and_nothing_is_made(images, tmp_path, capsys):
    said = error_line(capsys, lambda: predict(tmp_path, tmp_path / "found", images))
    assert "config.json" in said
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("given", ["a.png", ""])
def test_a_image_is_never_overwritten_by_its_result(model, images, capsys, given):
    before = {file: file.read_bytes() for file in images.rglob("*.*")}
    said = error_line(capsys, lambda: predict(model, images, images / given))
    assert "--out" in said
    assert before == {file: file.read_bytes() for file in images.rglob("*.*")}


def test_a_folder_that_cannot_be_made_is_one_line(model, images, capsys):
    out = images / "a.png" / "found"
    said = error_line(capsys, lambda: predict(model, out, images / "more"))
    assert f"{out} cannot be written to (Not a directory); --out" in said


@pytest.mark.parametrize("name", ["a.png", "detections.json"])
def test_a_full_disk_is_one_line_and_leaves_what_was_whole(
    model, images, tmp_path, capsys, monkeypatch, name
):
    out = tmp_path / "found"
    predict(model, out, images / "a.png", score="1")
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    rows = []

    def full(row):
        rows.append(row)
        if len(rows) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return "{}"

    if name == "a.png":
        monkeypatch.setattr(Image.Image, "save", lambda *_, **__: [full({}) for _ in range(3)])
    else:
        monkeypatch.setattr(command, "json", types.SimpleNamespace(dumps=full))
    capsys.readouterr()
    said = error_line(capsys, lambda: predict(model, out, images / "a.png"))
    assert f"--out: {out / name} cannot be written (No space left on device)" in said
    assert before.keys() == {file.name for file in out.iterdir()}
    assert before[name] == (out / name).read_bytes()


def test_images_are_drawn_while_others_are_still_to_be_read(model, images, tmp_path, monkeypatch):
    (tmp_path / "many").mkdir()
    for number in range(60):
        (tmp_path / "many" / f"{number}.png").hardlink_to(images / "a.png")
    read, read_at_first = [], []
    reader, draw = unannotated.read_scaled, command.draw

    def noted(path, *limits):
        read.append(path)
        return reader(path, *limits)

    def first_noted(*words):
        read_at_first.append(len(read))
        draw(*words)

    monkeypatch.setattr(unannotated, "read_scaled", noted)
    monkeypatch.setattr(command, "draw", first_noted)
    words = ["predict", str(model), str(tmp_path / "many"), "--out", str(tmp_path / "found")]
    assert main([*words, "--batch", "1"]) == 0
    assert read_at_first[0] < 30
    assert len(list((tmp_path / "found").glob("*.png"))) == 60
