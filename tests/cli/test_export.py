import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxrcnn.cli import main
from jaxrcnn.config import Config, DataConfig
from jaxrcnn.detector import build
from jaxrcnn.interop.model_folder import make_model
from jaxrcnn.training.workdir import Classes
from tests.tiny import MODEL, make_variables


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = Config(model=MODEL, data=DataConfig(short_side=48, long_side=64))
    variables = make_variables(build(MODEL))
    make_model(folder, config, Classes(("a", "b", "c"), (1, 2, 3)), variables, {})
    return folder


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "model.stablehlo"
    argv = ["export", str(model), "--out", str(out), "--weights", "beside"]
    argv += ["--config.model.detections.max_detections", "5"]
    assert main([*argv, "--dtype", "bfloat16"]) == 0
    return out


def test_the_folder_holds_program_weights_classes_and_readme(exported):
    names = sorted(path.name for path in exported.iterdir())
    assert names == ["README.md", "classes.json", "program.bin", "weights.safetensors"]
    assert json.loads((exported / "classes.json").read_text())["names"] == ["a", "b", "c"]
    program = jax.export.deserialize(bytearray((exported / "program.bin").read_bytes()))
    weights, images, sizes = jax.tree.unflatten(program.in_tree, program.in_avals)[0]
    stored = load_file(exported / "weights.safetensors")
    assert {k: x.shape for k, x in stored.items()} == {k: x.shape for k, x in weights.items()}
    assert (str(images.shape), str(sizes.shape)) == ("(n, h, w, 3)", "(n, 2)")
    assert "bf16" in program.mlir_module()


def test_the_lines_of_the_readme_run(exported, monkeypatch):
    from PIL import Image

    text = (exported / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) == 7
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    monkeypatch.chdir(exported.parent)
    Image.fromarray(image).save("image.jpg")
    for name in ("program.bin", "weights.safetensors"):
        (exported.parent / name).write_bytes((exported / name).read_bytes())
    there: dict = {}
    exec(code, there)
    assert there["found"]["boxes"].shape == (1, 5, 4)
    assert there["found"]["valid"].any()


def test_the_readme_says_how_to_pad_and_which_jax_runs_it(exported):
    text = (exported / "README.md").read_text()
    there: dict = {"np": np}
    exec(text.split("```python\n")[2].split("```")[0], there)
    images = [np.full((*size, 3), 1 + size[0] % 200, np.uint8) for size in ((300, 20), (5, 256))]
    batch, sizes = there["pad"](images)
    assert (batch.shape, batch.dtype) == ((2, 512, 256, 3), np.uint8)
    np.testing.assert_array_equal(sizes, [(300, 20), (5, 256)])
    assert sizes.dtype == np.int32
    for place, image in zip(batch, images, strict=True):
        height, width = image.shape[:2]
        np.testing.assert_array_equal(place[:height, :width], image)
        assert place.astype(int).sum() == image.astype(int).sum()
    program = jax.export.deserialize(bytearray((exported / "program.bin").read_bytes()))
    assert f"written by jax {jax.__version__} on " in text
    assert f"calling convention {program.calling_convention_version}." in text
    assert "6 months newer or 3 weeks older" in text
    assert 'program.call(load_file("weights.safetensors"), *pad(images))' in text


def test_a_field_that_the_weights_depend_on_is_refused(model, tmp_path, capsys):
    words = ["--config.model.anchors.ratios", "1"]
    with pytest.raises(SystemExit) as stop:
        main(["export", str(model), "--out", str(tmp_path / "out"), *words])
    assert stop.value.code == 2
    assert "--config.model.anchors.ratios cannot be changed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_kept(model, exported, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["export", str(model), "--out", str(exported)])
    assert stop.value.code == 2
    assert "is there already" in capsys.readouterr().err
