import argparse
import contextlib
import io
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from jaxrcnn.benchmark import suites
from jaxrcnn.benchmark.report import Section
from jaxrcnn.cli import main
from jaxrcnn.cli.arguments.benchmark import add_arguments
from jaxrcnn.cli.benchmark import names_of
from tests.test_imports import (
    CORE_LIBRARIES,
    LOADED_BY_FLAX,
    ROOT,
    libraries_of_the_package,
)

CONFIG = """
from jaxrcnn.config import *

def get_config():
    return Config(
        model=ModelConfig(
            num_classes=3,
            backbone=BackboneConfig("resnet18", norm="none", frozen_stages=0, width=8),
            neck=NeckConfig("c4"),
            anchors=AnchorConfig(sizes=((16.0, 32.0),)),
            rpn=RpnConfig(samples=24),
            proposals=ProposalsConfig(
                pre_nms_train=16, pre_nms_test=16, post_nms_train=8, post_nms_test=8
            ),
            roi=RoiConfig(output_size=3),
            box_head=BoxHeadConfig(channels=16, samples=8),
        )
    )
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Exit code, output, and folder of one run of the command."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "config.py").write_text(CONFIG)
    words = ["--config", str(folder / "config.py"), "--what", "predict,stages", "--steps", "4"]
    words += ["--train", "1x64x64", "--predict", "1x64x64", "--json", str(folder / "figures.json")]
    words += ["--config.model.detections.max_detections", "7"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["benchmark", *words])
    return code, out.getvalue(), folder


def test_a_detector_is_measured_and_the_figures_are_written(measured):
    code, said, folder = measured
    assert code == 0
    for title in ("predict 1x64x64\n", "predict 1x64x64: cost", "predict 1x64x64: stages"):
        assert title in said
    found = json.loads((folder / "figures.json").read_text())
    assert found["device"]["backend"] == "cpu"
    assert found["settings"]["fields"] == ["--config.model.detections.max_detections", "7"]
    assert found["settings"]["predict"] == ["1x64x64"]
    assert found["not_measured"] == {}
    assert {"python", "jaxrcnn", "jax", "jaxlib", "flax"} <= found["versions"].keys()
    speed = found["figures"]["predict 1x64x64"]["jaxrcnn"]
    assert speed["steps"] == 4
    assert speed["images_per_second"] == pytest.approx(1000 / speed["median_ms"])
    profile = found["figures"]["predict 1x64x64: stages, from a profile"]
    assert {"backbone", "rpn_head", "pool_rois", "box_head"} <= profile["stages"].keys()
    total = sum(x["forward_ms"] + x["backward_ms"] for x in profile["stages"].values())
    assert total == pytest.approx(profile["step_ms"])
    assert profile["operations"][0]["ms"] >= profile["operations"][1]["ms"] > 0


def test_earlier_figures_are_drawn_without_measuring(measured, tmp_path, capsys):
    _, _, folder = measured
    words = ["--plot", str(folder / "figures.json"), "--plots", str(tmp_path)]
    assert main(["benchmark", *words]) == 0
    drawn = [tmp_path / f"{name}_1x64x64.png" for name in ("train", "predict")]
    assert capsys.readouterr().out.splitlines() == list(map(str, drawn))
    for path in drawn:
        with Image.open(path) as image:
            assert image.size[0] > 500


def test_a_suite_that_fails_leaves_the_others_and_what_was_written(tmp_path, capsys, monkeypatch):
    def broken(session):
        yield Section("first", [("a", "b")], {"ms": 1})
        raise RuntimeError("out of memory\nat great length")

    def bare(session):
        raise ModuleNotFoundError("No module named 'grain'", name="grain")

    def works(session):
        yield Section("last", [("a", "b")], {"ms": 2})

    monkeypatch.setattr(suites, "SUITES", {"train": broken, "ops": works, "input": bare})
    path = tmp_path / "figures.json"
    assert main(["benchmark", "--what", "input,train,ops", "--json", str(path)]) == 1
    found = json.loads(path.read_text())
    assert found["figures"] == {"first": {"ms": 1}, "last": {"ms": 2}}
    assert found["not_measured"] == {
        "train": "RuntimeError: out of memory",
        "input": "grain is not installed",
    }
    said = capsys.readouterr()
    assert "train: not measured, RuntimeError: out of memory" in said.out
    assert "input: not measured, grain is not installed" in said.out
    assert "at great length" in said.err
    assert "grain" not in said.err


def test_a_cpu_has_nothing_to_be_checked_against():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    on_a_cpu = ("train", "predict", "stages", "gate", "ops", "input")
    assert names_of(parser.parse_args([])) == on_a_cpu
    assert names_of(parser.parse_args(["--what", "ops,check"])) == ("check", "ops")
    against = ["--against", "my_fork:build"]
    assert names_of(parser.parse_args(against)) == ("train", "predict", "stages")
    assert names_of(parser.parse_args([*against, "--what", "gate"])) == ("gate",)


FORK, OTHER = "tests.cli.fork:build", "tests.cli.fork:build_infer"


def compare(config_file, folder, what, *words):
    """What the command prints, and the figures that it writes."""
    words = ["--config", str(config_file), "--what", what, "--steps", "4", *words]
    words += ["--train", "1x64x64", "--predict", "1x64x64", "--json", str(folder / "all.json")]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["benchmark", *words]) == 0
    return out.getvalue(), json.loads((folder / "all.json").read_text())


def test_a_fork_is_measured_beside_the_house_and_called_by_its_name(measured, tmp_path):
    said, found = compare(measured[2] / "config.py", tmp_path, "predict", "--against", FORK)
    assert found["pieces"] == {
        "jaxrcnn": {},
        FORK: {"roi_op": "tests.cli.fork.first_pixels"},
    }
    assert f"{FORK}: roi_op tests.cli.fork.first_pixels" in said
    speed = found["figures"][f"predict 1x64x64: {FORK} compared with jaxrcnn"]
    assert speed["jaxrcnn"]["steps"] == speed[FORK]["steps"] == 4
    assert len(speed["time_ratio_by_turn"]) == 4
    cost = found["figures"][f"predict 1x64x64: cost of {FORK} compared with jaxrcnn"]
    assert cost[FORK]["flops"] < cost["jaxrcnn"]["flops"]  # it pools nothing


@pytest.mark.slow
def test_two_forks_are_compared_by_stages_and_drawn(measured, tmp_path, capsys):
    words = ("--pieces", FORK, "--against", OTHER)
    said, found = compare(measured[2] / "config.py", tmp_path, "train,stages", *words)
    assert f"{OTHER} / {FORK}" in said
    title = f"predict 1x64x64: stages of {OTHER} compared with {FORK}, from profiles"
    sides = found["figures"][title]["detectors"]
    assert "mine" in sides[OTHER]["stages"]
    assert "mine" not in sides[FORK]["stages"]
    assert f"train 1x64x64: cost of {OTHER} compared with {FORK}" in found["figures"]
    assert main(["benchmark", "--plot", str(tmp_path / "all.json")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / f"{kind}_1x64x64_tests.cli.fork_{name}.png")
        for kind in ("train", "predict")
        for name in ("build", "build_infer")
    ]


@pytest.mark.slow
def test_every_suite_measures_a_fork(measured, tmp_path):
    what = "check,train,predict,stages,gate,input"
    _, found = compare(measured[2] / "config.py", tmp_path, what, "--pieces", FORK)
    assert found["not_measured"] == {}
    assert FORK in found["figures"]["train 1x64x64"]
    assert FORK in found["figures"]["predict 1x64x64"]


CORE_ALONE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from jaxrcnn.cli import main
raise SystemExit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    "what", ["predict", pytest.param("check,train,predict,stages,gate", marks=pytest.mark.slow)]
)
def test_it_needs_the_core_packages_alone(measured, tmp_path, what):
    _, _, folder = measured
    blocked = libraries_of_the_package() - CORE_LIBRARIES - LOADED_BY_FLAX
    assert {"grain", "PIL", "matplotlib", "orbax", "platformdirs"} <= blocked
    words = ["--config", str(folder / "config.py"), "--what", what, "--steps", "4"]
    words += ["--train", "1x64x64", "--predict", "1x64x64", "--json", str(tmp_path / "all.json")]
    words += ["--against", "none"]
    done = subprocess.run(
        [sys.executable, "-c", CORE_ALONE, ",".join(sorted(blocked)), "benchmark", *words],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "all.json").read_text())["figures"]
    seen = {title.partition(" ")[0].rstrip(":") for title in figures}
    assert seen == {"check", "train", "predict"} & set(what.split(","))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["--what", "speed"],
            "argument --what: got 'speed', expected some of check,train,predict",
        ),
        (["--train", "320x320"], "argument --train: got '320x320', expected images, height"),
        (
            ["--against", "detectron2"],
            "argument --against: got 'detectron2', expected torchvision, none or MODULE:FUNCTION",
        ),
        (["--against", "no_fork:build"], "--against no_fork:build: there is no module no_fork in"),
        (
            ["--pieces", "tests.cli.fork"],
            "--pieces: got 'tests.cli.fork', expected MODULE:FUNCTION",
        ),
        (
            ["--pieces", "tests.cli.fork:build", "--against", "tests.cli.fork:build"],
            "--against: tests.cli.fork:build is the detector of --pieces, too; name another",
        ),
        (
            ["--pieces", "tests.cli.fork:build_nothing"],
            "build must return what jaxrcnn.detector.build returns, not a NoneType",
        ),
        (["--json", "/nowhere/figures.json"], "--json: /nowhere is not a folder; make it first"),
        (["--json", "/tmp"], "--json: /tmp is a folder; name a file in it"),
        (["--plot", "/nowhere/figures.json"], "--plot: /nowhere/figures.json cannot be read"),
        (["--plot", __file__], f"--plot: {__file__} is not a file that --json wrote"),
        (["--config.model.colour", "1"], "--config.model.colour"),
        (["--against", "torchvision", "--peer-python", "/none"], "/none cannot be run"),
    ],
)
def test_wrong_words_cost_one_line(words, complaint, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", *words])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
