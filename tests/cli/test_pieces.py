"""A fork's detector, named on the command line, in every command that has one."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jaxrcnn import detector
from jaxrcnn.cli import export, main, proposals
from jaxrcnn.cli.pieces import find_build
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.synthetic import SHAPES
from jaxrcnn.interop.model_folder import make_model
from jaxrcnn.training.pieces import FILE, missing_for_losses, own_pieces, write_pieces
from jaxrcnn.training.workdir import Classes
from tests.cli import fork
from tests.complaints import error_line
from tests.tiny import MODEL, make_variables, write_model

GIVEN = ("--pieces", "tests.cli.fork:build")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, empty; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_without_a_name_the_config_alone_says_what_is_built():
    assert find_build(None) is detector.build


def test_a_module_of_the_working_directory_or_one_that_is_installed(here):
    (here / "sub_fork").mkdir()
    (here / "sub_fork" / "inner.py").write_text("def build(config):\n    return 'built'")
    assert find_build("sub_fork.inner:build")(MODEL) == "built"
    assert find_build("jaxrcnn.detector:build") is detector.build


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("own_fork", "--pieces: got 'own_fork', expected MODULE:FUNCTION, such as my_fork:build"),
        ("own_fork:", "--pieces: got 'own_fork:', expected MODULE:FUNCTION"),
        (":build", "--pieces: got ':build', expected MODULE:FUNCTION"),
        ("own_fork.py:build", "name the module, not its file: own_fork:build"),
        ("sub/own_fork.py:build", "name the module, not its file: sub.own_fork:build"),
        ("/else/a.py:build", "not its file: a:build, with /else in PYTHONPATH"),
        ("no_fork:build", "there is no module no_fork in {here}, nor is it installed"),
        ("own_fork.sub:build", "own_fork.sub in {here}, nor is it installed"),
        ("own_fork:biuld", "own_fork has no biuld; did you mean own_fork:build?"),
        ("own_fork:detector", "got a str, expected a function with one argument, a ModelConfig"),
        ("own_fork:two", "got a function, expected a function with one argument, a ModelConfig"),
        ("fails:build", "cannot be imported: ZeroDivisionError: division by zero"),
        ("fails:build", "({here}/fails.py, line 2)"),
        ("syntax_fork:build", "syntax_fork cannot be imported: SyntaxError: "),
        ("lacks:build", "ModuleNotFoundError: No module named 'not_there' ({here}/lacks.py, line"),
        ("leaves:build", "leaves cannot be imported: SystemExit: 3"),
    ],
)
def test_what_is_no_function_is_said_in_one_line(here, name, complaint):
    own = "detector = 'built'\ndef build(config): pass\ndef two(config, more): pass\n"
    (here / "own_fork.py").write_text(own)
    (here / "fails.py").write_text("one = 1\none / 0\n")
    (here / "syntax_fork.py").write_text("def build(:\n")
    (here / "lacks.py").write_text("import not_there\n")
    (here / "leaves.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ConfigError) as error:
        find_build(name)
    assert complaint.format(here=here) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_option_that_was_given_it_is_named():
    with pytest.raises(ConfigError, match=r"^--against: got 'build'"):
        find_build("build", "--against")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Of a fork with a RoI op and, in training, losses of its own."""
    folder = tmp_path_factory.mktemp("models") / "fork"
    four = replace(MODEL, num_classes=4)
    config = Config(model=four, data=DataConfig(short_side=48, long_side=64))
    built, classes = fork.build_losses(four), Classes(SHAPES, (1, 2, 3, 4))
    make_model(folder, config, classes, make_variables(built), detector=built)
    return folder


@pytest.fixture
def images(tmp_path):
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def complaint(capsys, *words):
    return error_line(capsys, main, [str(word) for word in words])


def test_without_its_pieces_a_fork_is_refused_with_the_option_named(
    model, images, tmp_path, capsys
):
    out = tmp_path / "out"
    for words in (("predict", model, images), ("export", model)):
        said = complaint(capsys, *words, "--out", out)
        assert "was made with roi_op tests.cli.fork.first_pixels" in said
        assert "--pieces" in said
    for command in ("evaluate", "proposals"):
        assert "--pieces" in complaint(capsys, command, model)


def test_what_builds_no_detector_is_refused(model, images, tmp_path, capsys):
    words = ("predict", model, images, "--out", tmp_path / "out")
    said = complaint(capsys, *words, "--pieces", "tests.cli.fork:build_nothing")
    assert "build must return what jaxrcnn.detector.build returns, not a NoneType" in said


def test_a_fork_predicts_and_a_changed_source_is_noted_once(model, images, tmp_path, capsys):
    changed = tmp_path / "changed"
    shutil.copytree(model, changed)
    tree = json.loads((changed / FILE).read_text())
    tree["roi_op"]["source"] = "of before"
    (changed / FILE).write_text(json.dumps(tree))
    words = [str(changed), str(images), "--out", str(tmp_path / "out"), "--score", "0"]
    assert main(["predict", *words, *GIVEN]) == 0
    said = capsys.readouterr()
    assert said.err == (
        f"note: {changed}: the source of roi_op tests.cli.fork.first_pixels has changed since it "
        "was made\n"
    )
    assert "changed since" not in said.out
    assert json.loads((tmp_path / "out" / "detections.json").read_text())


def test_losses_that_are_not_the_runs_are_left_out_of_an_evaluation(model, capsys):
    fields = ["--config.data.format", "shapes", "--config.data.num_eval_images", "2"]
    assert main(["evaluate", str(model), "--batch-size", "2", *GIVEN, *fields]) == 0
    assert capsys.readouterr().err == (
        "note: losses are left out: the run's were computed with roi_losses "
        "tests.cli.fork.halved, which is not given\n"
    )
    metrics = json.loads((model / "eval" / "step_0" / "metrics.json").read_text())
    assert "eval/AP" in metrics
    assert not [name for name in metrics if "loss" in name]


def test_losses_of_the_runs_own_pieces_stay(model, tmp_path):
    for folder, built in ((model, fork.build_losses), (write_model(tmp_path), fork.build)):
        assert missing_for_losses(folder, built(MODEL)) == ""


def test_no_loss_is_computed_of_batches_without_the_runs_transforms(model, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(model, run)
    own = own_pieces(fork.build_masks(MODEL), eval_transforms=(fork.halved,))
    write_pieces(run, own)
    fields = ["--config.data.format", "shapes", "--config.data.num_eval_images", "2"]
    words = [str(run), "--pieces", "tests.cli.fork:build_masks", "--batch-size", "2"]
    assert main(["evaluate", *words, *fields]) == 0
    assert capsys.readouterr().err == (
        "note: losses are left out: the run's were computed with eval_transforms "
        "tests.cli.fork.halved, which is not given\n"
    )


def test_a_forks_proposals_are_measured(model, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(proposals, "check_proposes", asked.append)
    monkeypatch.setattr(proposals, "open_split", stop)
    with pytest.raises(StopIteration):
        main(["proposals", str(model), *GIVEN])
    assert asked[0].detector.roi_op is fork.first_pixels


def test_what_is_exported_is_the_fork_with_the_dtype_that_is_asked_for(
    model, tmp_path, monkeypatch
):
    asked = []
    monkeypatch.setattr(export, "export_program", lambda *given, **_: asked.append(given) or stop())
    words = ["--out", str(tmp_path / "out"), "--dtype", "bfloat16"]
    with pytest.raises(StopIteration):
        main(["export", str(model), *GIVEN, *words])
    built = asked[0][0]
    assert built.roi_op is fork.first_pixels
    assert built.config.compute_dtype == "bfloat16"
    assert built.backbone == detector.build(built.config).backbone


def stop(*_):
    raise StopIteration
