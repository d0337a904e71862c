import functools
import subprocess
import sys

import pytest
from PIL import Image
from safetensors.numpy import save_file

from jaxrcnn.cli import main
from jaxrcnn.cli.parity import drawn_images
from tests.interop import recipe
from tests.interop.state_dicts import SHAPES

NAME = "fasterrcnn_mobilenet_v3_large_320_fpn"


@functools.cache
def python_with_torchvision():
    """This Python or the system's, whichever can import torchvision."""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run([python, "-c", "import torchvision"], capture_output=True)
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The recipe is made for a ResNet; here it would give deltas that blow a last bit up."""
    tensors = recipe.state_dict(SHAPES["fasterrcnn_mobilenet_v3_large_fpn"])
    for name, factor in (("rpn.head.cls_", 0.005), ("rpn.head.bbox_", 0.005), ("predictor", 0.03)):
        tensors |= {key: factor * x for key, x in tensors.items() if name in key}
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(tensors, path)
    return path


def test_mobilenet_is_the_same_stage_by_stage(weights, tmp_path, capsys):
    python = python_with_torchvision()
    if python is None:
        pytest.skip("no Python here has torchvision")
    images = [str(tmp_path / f"{i}.png") for i in range(2)]
    for path, drawn in zip(images, drawn_images(), strict=True):
        Image.fromarray(drawn).save(path)
    argv = ["parity", str(weights), "--model", NAME, "--peer-python", python]
    fields = ["--config.data.short_side", "160", "--config.data.long_side", "224"]
    done = main([*argv, "--images", *images, *fields])
    said = capsys.readouterr().out
    assert done == 0, said
    assert "differs" not in said
    assert said.count("same") == 12


def test_without_torchvision_it_says_what_is_missing(weights, tmp_path, capsys):
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n"
    )
    python.chmod(0o755)
    argv = ["parity", str(weights), "--model", NAME, "--peer-python", str(python)]
    with pytest.raises(SystemExit) as stop:
        main(argv)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.count("\n") == 1
    assert "No module named 'torch'" in said
    assert "--peer-python" in said


def test_a_model_of_another_peer_is_refused(weights, capsys):
    with pytest.raises(SystemExit):
        main(["parity", str(weights), "--model", "faster_rcnn_R_50_FPN"])
    assert capsys.readouterr().err.count("\n") == 1
