import contextlib
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

from jaxrcnn.cli import main, visualize
from jaxrcnn.config import Config, DataConfig, TrainConfig
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.synthetic import shapes_dataset
from jaxrcnn.detector import build
from jaxrcnn.interop.model_folder import make_model
from jaxrcnn.step_images import PANEL_SIDE
from jaxrcnn.training.workdir import Classes
from tests.tiny import MODEL, make_variables

FOUR = replace(MODEL, num_classes=4)
DATA = DataConfig(format="shapes", num_train_images=8, short_side=48, long_side=64)
CONFIG = Config(model=FOUR, data=DATA, train=TrainConfig(batch_size=3, steps=9))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A finished model, whose config says what to look at."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    names = shapes_dataset(1, 0).class_names
    make_model(folder, CONFIG, Classes(names, (1, 2, 3, 4)), make_variables(build(FOUR)), {})
    return folder


def test_a_model_s_steps_are_drawn_with_its_detections(model, tmp_path, capsys):
    out = tmp_path / "out"
    words = [str(model), "--out", str(out), "--step", "2", "--steps", "2", "--images", "2"]
    assert main(["visualize", *words]) == 0
    said = capsys.readouterr().out.splitlines()
    images = sorted(out.glob("step_*.png"))
    names = [f"step_{step:06}_{place:02}_" for step in (2, 3) for place in (1, 2)]
    assert [path.name[:15] for path in images] == names
    for path, line in zip(images, said[-5:-1], strict=True):
        assert line.startswith(f"{path}  ")
        assert " foreground: " in line
        with Image.open(path) as image:
            assert image.width > 2 * 480  # several panels
    assert said[-1].startswith(str(out / "index.png"))
    assert (out / "index.png").exists()


@pytest.mark.slow
def test_pushes_are_drawn_in_place_of_what_is_trained(model, tmp_path, capsys):
    words = [str(model), "--out", str(tmp_path), "--images", "1", "--pushes"]
    assert main(["visualize", *words]) == 0
    (path,) = tmp_path.glob("step_000001_01_*.png")
    with Image.open(path) as image:
        assert image.width > 3 * PANEL_SIDE
        assert image.height < 2 * PANEL_SIDE  # three panels in a row


def test_the_steps_are_those_of_the_training_loop():
    dataset, detector = shapes_dataset(8, 0), build(FOUR)
    subject = visualize.Subject(CONFIG, detector, make_variables(detector), dataset, False)
    (step,) = visualize._steps(subject, range(4, 5), 2)
    with contextlib.closing(train_batches(dataset, CONFIG, 4)) as batches:
        expected = next(batches)
    assert step.number == 5
    assert step.detections is None
    assert step.pushes is None
    for got, wanted in zip(jax.tree.leaves(step.batch), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(got, wanted[:2])
    assert step.sampled.rois.shape[:2] == (2, FOUR.box_head.samples)


@pytest.mark.parametrize(
    ("horizontal", "vertical", "words"),
    [
        (0, 0, "not mirrored"),
        (1, 0, "mirrored left to right"),
        (0, 1, "mirrored top to bottom"),
        (1, 1, "mirrored both ways"),
    ],
)
def test_how_an_image_was_changed_is_said(horizontal, vertical, words):
    data = replace(DATA, horizontal_flip=horizontal, vertical_flip=vertical)
    config, dataset = replace(CONFIG, data=data), shapes_dataset(8, 0)
    subject = visualize.Subject(config, build(FOUR), {}, dataset, False)
    plan = visualize.plan_training(dataset, config)
    with contextlib.closing(train_batches(dataset, config)) as batches:
        batch = next(batches)
    upright = visualize._upright(subject, plan, 0, None, [0, 1, 2])
    step = visualize.Step(1, batch, upright, None, None, None)
    height, width = batch.image_sizes[1]
    said = visualize._describe(step, 1, (2 * height, 2 * width), False)
    rows, columns = batch.images.shape[1:3]
    assert said == (
        f"{2 * width} x {2 * height} pixels, resized to {width} x {height} (x 0.50), {words}, "
        f"padded to {columns} x {rows}"
    )
    said = visualize._describe(step, 1, (2 * height, 2 * width), True)
    assert f"pixels, augmented, resized to {width} x {height}, {words}" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the folder of a run or of labelled images, or a config with --config"),
        (["MODEL", "--config", "tiny"], "is a run, which has its own config and weights"),
        (["MODEL", "--step", "10"], "--step 10: there are 9 training steps"),
        (["--config", "tiny", "--checkpoint", "best"], "--checkpoint requires the folder of a run"),
        (["/nowhere"], "/nowhere: there is no such folder"),
    ],
)
def test_what_cannot_be_shown_is_one_line(model, tmp_path, capsys, words, said):
    words = [str(model) if word == "MODEL" else word for word in words]
    with pytest.raises(SystemExit) as stop:
        main(["visualize", *words, "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_alternating_training_has_no_pushes(tmp_path, capsys, monkeypatch):
    config = replace(CONFIG, train=replace(CONFIG.train, scheme="alternating"))
    subject = visualize.Subject(config, build(FOUR), {}, shapes_dataset(8, 0), True)
    monkeypatch.setattr(visualize, "_subject", lambda *_: subject)
    with pytest.raises(SystemExit) as stop:
        main(["visualize", "--config", "tiny", "--pushes", "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert "--pushes: only joint training" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_weights_may_have_none_in_their_name(tmp_path, capsys):
    """Without them there are random ones only where --from is that word alone."""
    source = tmp_path / "nonesuch.pth"
    words = ["--config", "tiny", "--from", str(source), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        main(["visualize", *words])
    assert stop.value.code == 2
    assert f"{source}" in capsys.readouterr().err


@pytest.mark.slow
def test_a_config_s_steps_are_drawn_with_initial_weights(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--config", "tiny", "--out", str(out), "--images", "1"]
    assert main(["visualize", *words, "--config.data.horizontal_flip", "1"]) == 0
    assert "training    shapes" in capsys.readouterr().out
    assert len(list(out.glob("step_000001_*.png"))) == 1
