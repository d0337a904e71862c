"""Training, evaluating and predicting from end to end; one tiny run serves all that only look."""

import contextlib
import dataclasses
import errno
import gzip
import hashlib
import importlib.util
import io
import json
import os
import pathlib
import signal

import jax
import numpy as np
import pytest
from PIL import Image

from jaxrcnn import scoring
from jaxrcnn.cli import main as jaxrcnn
from jaxrcnn.cli.run import load_run
from jaxrcnn.config import DataConfig
from jaxrcnn.data.datasets import open_eval_dataset, open_train_dataset
from jaxrcnn.data.proposals import read_proposals
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.detector import build
from jaxrcnn.feeding import Feed
from jaxrcnn.runs import first_state
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.log import Log
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import compile_programs
from tests.complaints import error_line
from tests.slow import slow_but

ROOT = pathlib.Path(__file__).parents[1]
LOSSES = ("loss", "loss_rpn_objectness", "loss_rpn_box", "loss_box_class", "loss_box_reg")


def _load_train():
    spec = importlib.util.spec_from_file_location("train_script", ROOT / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _load_train()


def words_for(workdir):
    return ["--config", "tiny", "--workdir", str(workdir)]


def train(workdir, *words):
    """As train.py does."""
    assert script.main([*words_for(workdir), *words], script.train) == 0


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """The workdir, and what the run printed; the command trained it, and train.py all others."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert jaxrcnn(["train", *words_for(workdir)]) == 0
    return workdir, said.getvalue().splitlines()


@pytest.fixture(scope="module")
def finished(finished_run):
    return finished_run[0]


def rows_of(workdir):
    return MetricsWriter.read(workdir / "metrics.jsonl")


def fingerprint(*paths):
    """Contents of every file, so that a changed, new or lost one is noticed."""
    files = [file for path in paths for file in [path, *path.rglob("*")] if file.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def assert_same_parameters(one, other):
    a, b = load_run(one), load_run(other)
    assert a.step == b.step
    jax.tree.map(np.testing.assert_array_equal, a.variables, b.variables)


def test_each_step_logs_the_promised_metrics(finished):
    rows = [row for row in rows_of(finished) if "train/loss" in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    names = {*LOSSES, "images_per_second", "learning_rate"}
    for row in rows:
        assert {f"train/{name}" for name in names} <= row.keys()
        assert np.isfinite(list(row.values())).all()
        total = sum(row[f"train/{name}"] for name in LOSSES[1:])
        assert row["train/loss"] == pytest.approx(total, rel=1e-5)


def test_each_evaluation_logs_the_promised_metrics(finished):
    shapes = shapes_dataset(4, 1)
    areas = np.concatenate([record.area for record in shapes.records])
    labels = np.concatenate([record.labels for record in shapes.records])
    small, medium, large = areas < 32**2, (areas > 32**2) & (areas < 96**2), areas > 96**2
    sizes = [name for name, some in (("s", small), ("m", medium), ("l", large)) if some.any()]
    names = {"AP", "AP50", "AP75", "AR1", "AR10", "AR100", *LOSSES}
    names |= {f"{kind}{size}" for kind in ("AP", "AR") for size in sizes}
    names |= {f"AP_{shapes.class_names[label - 1]}" for label in labels}
    rows = [row for row in rows_of(finished) if "eval/loss" in row]
    assert [row["step"] for row in rows] == [2, 4]
    for row in rows:
        assert row.keys() == {"step", *(f"eval/{name}" for name in names)}


def test_the_workdir_holds_all_that_a_run_makes(finished):
    assert json.loads((finished / "config.json").read_text())["train"]["steps"] == 4
    assert json.loads((finished / "classes.json").read_text())["ids"] == [1, 2, 3, 4]
    assert (finished / "checkpoints" / "4").is_dir()
    assert list((finished / "tensorboard").glob("events.*"))
    for name in ("losses", "ap", "detections"):
        with Image.open(finished / "plots" / f"{name}.png") as image:
            assert image.getextrema() != ((255, 255),) * len(image.getbands())


def test_pycocotools_reads_the_detections(finished):
    from pycocotools.coco import COCO

    truth = COCO()
    truth.dataset = {
        "images": [{"id": record.image_id} for record in shapes_dataset(4, 1).records],
        "categories": [{"id": k} for k in (1, 2, 3, 4)],
        "annotations": [],
    }
    truth.createIndex()
    rows = json.loads((finished / "eval" / "detections.json").read_text())
    assert rows
    assert len(truth.loadRes(str(finished / "eval" / "detections.json")).getAnnIds()) == len(rows)


def test_a_run_says_what_it_does_where_its_results_are_and_what_comes_next(finished_run):
    workdir, said = finished_run
    plots = workdir / "plots"
    assert said[0] == f"tiny: 4 steps of 2 images, saved in {workdir}"
    begins = ("training    shapes (", "evaluation  shapes (")
    assert [line[:20] for line in said if line.startswith(begins)] == list(begins)
    steps = [line.split("  ") for line in said if line.startswith("step ")]
    assert [words[0] for words in steps] == [
        *("step 1/4", "step 2/4", "step 2", "step 3/4", "step 4/4", "step 4")
    ]
    for step, loss, *_ in steps:
        assert loss.startswith("loss " if "/" in step else "AP ")
    assert said[-10:] == [
        "",
        f"curves    {plots / 'losses.png'}, {plots / 'ap.png'}",
        f"metrics   {workdir / 'metrics.jsonl'}; for TensorBoard, {workdir / 'tensorboard'}",
        f"weights   {workdir / 'checkpoints'}",
        f"images    {plots / 'detections.png'}: detections next to the ground truth",
        f"report    {workdir / 'eval' / 'report.html'}: why the score is what it is",
        "",
        "Next:",
        f"  python -m jaxrcnn predict {workdir} IMAGES --out found",
        f"  python -m jaxrcnn evaluate {workdir}",
    ]


def test_the_same_call_again_does_nothing_more(finished, capsys):
    checkpoints = finished / "checkpoints"
    before = fingerprint(finished / "config.json", finished / "metrics.jsonl", checkpoints)
    train(finished)
    after = fingerprint(finished / "config.json", finished / "metrics.jsonl", checkpoints)
    assert before == after
    said = capsys.readouterr().out
    assert f"{finished}: all 4 steps are done\nstep 4  AP " in said
    assert said.count("AP50") == 1


def test_epochs_are_the_steps_of_the_training_set_that_was_opened(tmp_path, capsys):
    words = ("--config.train.steps", "400", "--config.train.epochs", "1")
    train(tmp_path / "run", *words)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"tiny: 1 epoch in steps of 2 images, saved in {tmp_path / 'run'}"
    assert (
        "train.epochs=1, 8 images each: 4 steps of 2 images, warm-up over 0 steps, learning rate "
        "drops at step 1"
    ) in said
    written = json.loads((tmp_path / "run" / "config.json").read_text())["train"]
    assert (written["epochs"], written["steps"]) == (1.0, 4)
    assert written["optimizer"]["milestones"] == [1]
    assert load_run(tmp_path / "run").step == 4
    train(tmp_path / "run", *words)
    assert "all 4 steps are done" in capsys.readouterr().out


def test_a_run_does_not_go_on_with_other_pieces(finished, capsys):
    before = fingerprint(finished)
    said = error_line(capsys, lambda: train(finished, "--pieces", "tests.cli.fork:build"))
    assert "the default pieces, not with roi_op tests.cli.fork.first_pixels" in said
    assert fingerprint(finished) == before


def test_another_config_is_refused_by_the_name_of_its_field(finished, capsys):
    before = fingerprint(finished)
    other = "--config.train.optimizer.learning_rate", "0.5"
    assert "train.optimizer.learning_rate" in error_line(capsys, lambda: train(finished, *other))
    assert fingerprint(finished) == before


@pytest.mark.parametrize("words", [(), ("--checkpoint", "4", "--batch-size", "2")])
def test_evaluate_gives_the_numbers_of_training(finished, words, capsys):
    files = finished / "config.json", finished / "metrics.jsonl", finished / "checkpoints"
    before = fingerprint(*files)
    assert jaxrcnn(["evaluate", str(finished), *words]) == 0
    assert fingerprint(*files) == before
    folder = finished / "eval" / "step_4"
    expected = rows_of(finished)[-1]
    assert json.loads((folder / "metrics.json").read_text()) == pytest.approx(expected, abs=1e-6)
    detections = (finished / "eval" / "detections.json").read_text()
    assert (folder / "detections.json").read_text() == detections
    numbers = [
        json.loads((place / "analysis.json").read_text()) for place in (finished / "eval", folder)
    ]
    assert numbers[0] == numbers[1]
    assert numbers[0]["step"] == 4
    assert numbers[0]["metrics"] == {k: v for k, v in expected.items() if k.startswith("eval/")}
    for place in (finished / "eval", folder):
        assert "step 4: evaluation</h1>" in (place / "report.html").read_text()
    said = capsys.readouterr().out
    assert f"  AP50                 {expected['eval/AP50']:.3f}\n" in said
    assert f"  loss                 {expected['eval/loss']:.3f}\n" in said
    assert str(folder / "detections.png") in said
    assert (folder / "detections.png").is_file()


def test_a_batch_size_changes_no_detection(finished):
    assert jaxrcnn(["evaluate", str(finished), "--batch-size", "3"]) == 0
    found = json.loads((finished / "eval" / "step_4" / "metrics.json").read_text())
    expected = rows_of(finished)[-1]
    precisions = [name for name in expected if name.startswith(("eval/AP", "eval/AR"))]
    assert [found[k] for k in precisions] == pytest.approx([expected[k] for k in precisions])


@pytest.mark.parametrize("split", ["eval", "train"])
def test_proposals_are_measured_and_dumped(finished, split, tmp_path, capsys):
    dump = tmp_path / "new" / "p.npz"
    words = [] if split == "eval" else ["--split", "train", "--batch-size", "3"]
    assert jaxrcnn(["proposals", str(finished), "--dump", str(dump), *words]) == 0
    config = load_run(finished).config
    train_set = open_train_dataset(config)
    eval_set = open_eval_dataset(config, train_set.class_names)
    dataset = train_set if split == "train" else eval_set
    stored = read_proposals(dump, dataset)
    counts = np.diff(stored.offsets)
    assert 0 < counts.min() <= counts.max() <= 32  # model.proposals.post_nms_test

    name = "proposals.json" if split == "eval" else "proposals_train.json"
    found = json.loads((finished / "eval" / "step_4" / name).read_text())
    assert found["step"] == 4
    assert found["proposals/per_image"] == pytest.approx(counts.mean())
    # As if one proposal could find several objects.
    best = [
        overlap_of(box, stored.of(index).boxes).max()
        for index, record in enumerate(dataset.records)
        for box in record.boxes
    ]
    each = [found[f"proposals/recall@1000_IoU{k}"] for k in range(50, 100, 5)]
    for recall, threshold in zip(each, np.arange(0.5, 1, 0.05), strict=True):
        assert 0 <= recall <= np.mean(np.array(best) >= threshold - 1e-6)
    assert each[0] > 0
    assert found["proposals/AR@1000"] == pytest.approx(np.mean(each))

    said = capsys.readouterr().out
    assert f"step 4, on {dataset.summary()}\n" in said
    assert f"  AR@1000   {found['proposals/AR@1000']:.3f}\n" in said
    if split == "eval":  # the evaluation has measured the same proposals
        analysis = json.loads((finished / "eval" / "analysis.json").read_text())
        recall = [found["proposals/recall@1000_IoU50"], found["proposals/recall@1000_IoU70"]]
        assert analysis["recall"]["all"]["all"]["proposals"] == pytest.approx(recall)
    assert f"  IoU 0.50  {each[0]:.3f}\n" in said
    assert str(dump) in said


def overlap_of(box, boxes):
    """Intersection over union of one box with many."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = (high - low).clip(0).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared)


def test_proposals_are_those_of_the_step(finished):
    for step in ("2", "4"):
        assert jaxrcnn(["proposals", str(finished), "--checkpoint", step]) == 0
        folder = finished / "eval" / f"step_{step}"
        assert json.loads((folder / "proposals.json").read_text())["step"] == int(step)


def test_a_dump_that_cannot_be_written_is_one_line_before_the_work(finished, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npz").mkdir()
    for dump in (tmp_path / "file" / "p.npz", tmp_path / "folder.npz"):
        words = ["proposals", str(finished), "--dump", str(dump)]
        assert "--dump" in error_line(capsys, lambda words=words: jaxrcnn(words))


def test_a_dump_that_finds_no_room_is_one_line_after_the_metrics(
    finished, tmp_path, capsys, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jaxrcnn.cli.proposals.write_proposals", full)
    (finished / "eval" / "step_4" / "proposals.json").unlink(missing_ok=True)
    words = ["proposals", str(finished), "--dump", str(tmp_path / "p.npz")]
    said = error_line(capsys, lambda: jaxrcnn(words))
    assert f"{tmp_path / 'p.npz'} cannot be written (No space left on device)" in said
    assert (finished / "eval" / "step_4" / "proposals.json").is_file()


@pytest.mark.parametrize("command", ["evaluate", "proposals"])
def test_a_missing_checkpoint_is_one_line_that_lists_those_there(finished, command, capsys):
    said = error_line(capsys, lambda: jaxrcnn([command, str(finished), "--checkpoint", "3"]))
    assert "for step 3" in said
    assert "4" in said.split("available:")[1]


@pytest.fixture
def images(tmp_path):
    """An image, another of the same stem, and one that is stored turned."""
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    shapes = shapes_dataset(3, 7)
    upright = [shapes.read_image(index) for index in range(3)]
    Image.fromarray(upright[0]).save(folder / "a.png")
    Image.fromarray(upright[1]).save(folder / "more" / "a.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(upright[2])).save(folder / "turned.jpg", exif=turned, quality=95)
    return folder


def predict(workdir, out, *files, score="0"):
    words = [str(file) for file in files]
    return jaxrcnn(["predict", str(workdir), *words, "--out", str(out), "--score", score])


def test_predict_writes_each_image_and_its_detections(finished, images, tmp_path):
    files = [images / "a.png", images / "more" / "a.png", images / "turned.jpg"]
    out = tmp_path / "found"
    assert predict(finished, out, *files) == 0
    assert {file.name for file in out.iterdir()} == {
        "a.png", "a_2.png", "turned.jpg", "detections.json"
    }  # fmt: skip
    rows = json.loads((out / "detections.json").read_text())
    assert {row["file_name"] for row in rows} == {str(file) for file in files}
    for row in rows:
        assert row["category_id"] in (1, 2, 3, 4)
        assert 0 <= row["score"] <= 1
        record = shapes_dataset(3, 7).records[row["image_id"] - 1]
        x, y, width, height = row["bbox"]
        assert min(x, y, width, height) >= 0
        assert x + width <= record.width + 0.01
        assert y + height <= record.height + 0.01
    shapes = shapes_dataset(3, 7).records
    for name, record in zip(("a.png", "a_2.png", "turned.jpg"), shapes, strict=True):
        with Image.open(out / name) as drawn:
            assert drawn.width / drawn.height == record.width / record.height


@pytest.mark.parametrize(
    "command", [["evaluate"], ["proposals"], ["predict", "a.png", "--out", "found"]]
)
def test_a_folder_without_a_run_is_one_line(tmp_path, capsys, command):
    name, *rest = command
    assert "config.json" in error_line(capsys, lambda: jaxrcnn([name, str(tmp_path), *rest]))
    assert not list(tmp_path.iterdir())


def train_and_die(monkeypatch, last, workdir, *words):
    """A run that is killed when the checkpoint of a step is written."""
    save = Checkpoints.save

    def save_and_die(self, state):
        save(self, state)
        self.wait()
        if int(state.step) == last:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        with pytest.raises(SystemExit, match="130"):
            train(workdir, *words)


PROFILED = ("--config.profile.start", "2", "--config.profile.steps", "2")


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (2, ()),
        pytest.param(4, (), marks=pytest.mark.slow),
        pytest.param(2, PROFILED, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_ends_as_if_it_had_not_been(finished, tmp_path, monkeypatch, last, words):
    train_and_die(monkeypatch, last, tmp_path / "run")
    assert not [row for row in rows_of(tmp_path / "run") if row["step"] > last]
    train(tmp_path / "run", *words)
    assert len(list((tmp_path / "run").rglob("perfetto_trace.json.gz"))) == bool(words)
    assert_same_run(tmp_path / "run", finished)


def assert_same_run(one, other):
    """Two runs have the same parameters, and the same metrics but for their speed."""
    assert_same_parameters(one, other)
    speed = "train/images_per_second"
    ours, theirs = (
        [{k: v for k, v in row.items() if k != speed} for row in rows_of(workdir)]
        for workdir in (one, other)
    )
    assert ours == theirs


MOMENTS = {
    "the first batch": (Feed, "start", 1, []),
    "the first step": (Log, "add", 1, [1]),
    "a step": (Log, "add", 3, [3]),
    "a save": (Checkpoints, "save", 1, [4]),
    "an evaluation": (scoring, "measure", 1, [2]),
    "the last step": (Log, "add", 4, [4]),
    "the last evaluation": (scoring, "measure", 2, [4]),
}
"""Of a signal: what is called then, for the how manieth time, and which checkpoints are left.
Without a signal, there is one of the last step alone."""


@pytest.mark.parametrize("moment", slow_but(["a step", "an evaluation"], MOMENTS))
def test_a_stopped_run_ends_as_if_it_had_not_been(finished, tmp_path, monkeypatch, capsys, moment):
    owner, name, number, steps = MOMENTS[moment]
    original, calls = getattr(owner, name), []

    def call(*args, **options):
        calls.append(args)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **options)

    rare = ("--config.train.checkpoint_every", "4")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, call)
        with pytest.raises(SystemExit, match="143"):
            train(tmp_path / "run", *rare)
    with Checkpoints(tmp_path / "run") as checkpoints:
        assert checkpoints.steps == steps
    saved = f"saved step {steps[-1]}" if steps else "nothing to save yet"
    said = capsys.readouterr().err.strip()
    assert said.endswith(f"SIGTERM: {saved}; the same command continues the run")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    train(tmp_path / "run", *rare)
    assert_same_run(tmp_path / "run", finished)


@pytest.mark.slow
def test_a_fork_trains_and_its_profile_names_its_scopes(tmp_path, capsys):
    train(tmp_path / "run", "--pieces", "tests.cli.fork:build", *PROFILED)
    assert "IMAGES --out found --pieces tests.cli.fork:build" in capsys.readouterr().out
    (path,) = (tmp_path / "run").rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    names = {event["name"] for event in events}
    assert [name for name in names if "pool_rois" in name and "first_pixels" in name]
    assert [name for name in names if "/update/" in name]


ALTERNATING = (
    *("--config.train.scheme", "alternating", "--config.train.steps", "6"),
    *("--config.train.checkpoint_every", "1", "--config.train.optimizer.warmup_steps", "0"),
    *("--config.data.horizontal_flip", "0"),
    "--config.train.alternating.steps",
    "[{'trains': 'rpn', 'steps': 1}, {'trains': 'fast_rcnn', 'steps': 2},"
    " {'backbone': 'frozen', 'restart': ['rpn_head'], 'steps': 2},"
    " {'trains': 'fast_rcnn', 'backbone': 'frozen', 'restart': ['box_head'], 'steps': 1}]",
)


@pytest.fixture(scope="module")
def alternated(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "alternating"
    train(workdir, *ALTERNATING)
    return workdir


@pytest.mark.slow
def test_alternating_evaluates_what_has_a_box_head_and_predicts(alternated, images, tmp_path):
    assert [row["step"] for row in rows_of(alternated) if "eval/loss" in row] == [2, 6]
    rows = [row for row in rows_of(alternated) if "train/loss" in row]
    assert [("train/loss_rpn_box" in row, "train/loss_box_reg" in row) for row in rows] == [
        *[(True, False), (False, True), (False, True)],
        *[(True, False), (True, False), (False, True)],
    ]
    assert "proposer" not in load_run(alternated).variables
    assert predict(alternated, tmp_path / "found", images / "a.png") == 0


@pytest.mark.slow
@pytest.mark.parametrize("last", [3, 4])  # between two phases, and in the middle of the third
def test_alternating_killed_ends_as_if_it_had_not_been(alternated, tmp_path, monkeypatch, last):
    train_and_die(monkeypatch, last, tmp_path / "run", *ALTERNATING)
    train(tmp_path / "run", *ALTERNATING)
    assert_same_parameters(tmp_path / "run", alternated)


KEPT = (*ALTERNATING, "--config.train.alternating.keep_proposals", "True")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "kept"
    train(workdir, *KEPT)
    return workdir


@pytest.mark.slow
def test_kept_proposals_of_unaugmented_images_train_as_those_made_on_the_fly(kept, alternated):
    ours, theirs = (
        [row for row in rows_of(workdir) if "train/loss" in row] for workdir in (kept, alternated)
    )
    for one, other in zip(ours, theirs, strict=True):
        losses = [name for name in other if name.startswith("train/loss")]
        assert [one[k] for k in losses] == pytest.approx([other[k] for k in losses], rel=1e-3)
    assert [row["step"] for row in rows_of(kept) if "eval/loss" in row] == [2, 6]


@pytest.mark.slow
@pytest.mark.parametrize("last", [2, 3])  # in the middle of a Fast R-CNN step, and at its end
def test_with_kept_proposals_killed_ends_as_if_it_had_not_been(kept, tmp_path, monkeypatch, last):
    train_and_die(monkeypatch, last, tmp_path / "run", *KEPT)
    train(tmp_path / "run", *KEPT)
    assert_same_parameters(tmp_path / "run", kept)


def alone(stage):
    """Options of two steps that train one stage alone."""
    table = f"[{{'trains': '{stage}', 'steps': 2}}]"
    steps = ("--config.train.steps", "2", "--config.train.alternating.steps", table)
    return ("--config.train.scheme", "alternating", *steps)


@pytest.fixture(scope="module")
def rpn_alone(tmp_path_factory):
    """A run of the RPN alone, with its proposals in train.npz and eval.npz."""
    workdir = tmp_path_factory.mktemp("runs") / "rpn"
    train(workdir, *alone("rpn"))
    for split in ("train", "eval"):
        dump = str(workdir / f"{split}.npz")
        assert jaxrcnn(["proposals", str(workdir), "--split", split, "--dump", dump]) == 0
    return workdir


def on_proposals(rpn_alone, split="train"):
    return (
        *alone("fast_rcnn"),
        *("--config.data.train_proposals", str(rpn_alone / f"{split}.npz")),
        *("--config.data.eval_proposals", str(rpn_alone / "eval.npz")),
    )


@pytest.fixture(scope="module")
def fast_alone(rpn_alone, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "fast_rcnn"
    train(workdir, *on_proposals(rpn_alone))
    return workdir


@pytest.mark.slow
def test_an_rpn_alone_can_be_trained_and_started_from(rpn_alone, tmp_path):
    assert (rpn_alone / "plots" / "losses.png").is_file()
    assert not (rpn_alone / "plots" / "detections.png").exists()
    train(
        tmp_path / "joint",
        *("--config.train.init", str(rpn_alone), "--config.train.steps", "1"),
        *("--config.train.optimizer.learning_rate", "0"),
    )
    one, other = (load_run(run).variables["params"] for run in (rpn_alone, tmp_path / "joint"))
    jax.tree.map(np.testing.assert_array_equal, one["backbone"], other["backbone"])


@pytest.mark.slow
def test_fast_rcnn_alone_is_trained_and_evaluated_on_dumped_proposals(fast_alone):
    rows = rows_of(fast_alone)
    box_losses = {"loss", "loss_box_class", "loss_box_reg"}
    for kind, count in (("train", 2), ("eval", 1)):
        of_kind = [row for row in rows if f"{kind}/loss" in row]
        assert len(of_kind) == count
        for row in of_kind:
            names = {name for name in row if name.startswith(f"{kind}/loss")}
            assert names == {f"{kind}/{name}" for name in box_losses}
            assert all(np.isfinite(row[name]) for name in names)
    assert "proposer" not in load_run(fast_alone).variables
    assert jaxrcnn(["evaluate", str(fast_alone)]) == 0
    found = json.loads((fast_alone / "eval" / "step_2" / "metrics.json").read_text())
    assert found == pytest.approx(rows[-1], abs=1e-6)
    assert json.loads((fast_alone / "eval" / "detections.json").read_text())


@pytest.mark.slow
def test_fast_rcnn_alone_has_no_proposals_for_other_images(fast_alone, images, capsys):
    out = fast_alone / "found"
    for call in (
        lambda: predict(fast_alone, out, images / "a.png"),
        lambda: jaxrcnn(["proposals", str(fast_alone)]),
    ):
        said = error_line(capsys, call)
        assert "train.npz" in said
        assert "train.init" in said
    assert not out.exists()


@pytest.mark.slow
def test_a_joint_run_starts_from_fast_rcnn_alone(fast_alone):
    config = load_run(fast_alone).config
    joint = dataclasses.replace(config.train, scheme="joint", init=str(fast_alone))
    config = dataclasses.replace(config, train=joint, data=DataConfig())
    state = first_state(config, compile_programs(build(config.model), config), Progress(2))
    ours, theirs = state.variables["params"], load_run(fast_alone).variables["params"]
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.slow
def test_proposals_of_other_images_are_refused_before_the_run(rpn_alone, tmp_path, capsys):
    for split, part in (("eval", "has proposals for 4 images"), ("none", "No such file")):
        words = on_proposals(rpn_alone, split)
        said = error_line(capsys, lambda words=words: train(tmp_path / "run", *words))
        assert part in said
        assert str(rpn_alone / f"{split}.npz") in said
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_ends_the_run_in_one_line(tmp_path, capsys):
    wild = {"learning_rate": "1e30", "clip_norm": "0", "warmup_steps": "0", "milestones": "()"}
    words = [w for k, v in wild.items() for w in (f"--config.train.optimizer.{k}", v)]
    words += ["--config.train.checkpoint_every", "1"]
    said = error_line(capsys, lambda: train(tmp_path / "run", *words), code=3)
    assert "step 2" in said
    assert "first seen in the backbone's features for image shape" in said
    assert "learning_rate" in said
    assert load_run(tmp_path / "run").step == 1
    with Checkpoints(tmp_path / "run") as checkpoints:
        assert checkpoints.steps == [1]
