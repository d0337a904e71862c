"""The config of a run on a folder; whole runs are in tests/test_train.py."""

import dataclasses
import functools
import http.server
import json
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.cli import folder
from jaxrcnn.cli.folder import default_source, folder_config
from jaxrcnn.cli.options import Asked, parse_train_arguments
from jaxrcnn.config import ConfigError, ListedError
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.fingerprint_file import RunData, write_data
from jaxrcnn.interop import published
from jaxrcnn.interop.model_folder import make_model
from jaxrcnn.interop.models import find_model
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.weight_files import write_safetensors
from jaxrcnn.training.workdir import Classes, claim
from jaxrcnn.validation import check
from tests.data import voc_files
from tests.data.exports import write_cvat, write_labelimg
from tests.data.folders import write
from tests.interop.detectors import state_dict
from tests.tiny import change

IMAGE = np.full((120, 160, 3), 99, np.uint8)
BOXES = [("cat", 10, 10, 50, 60), ("dog", 60, 20, 140, 100)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ten images of two classes, and a class without boxes, without a validation split."""
    root = tmp_path_factory.mktemp("data") / "pets"
    write_cvat(root, {"default": [(f"{i}.png", IMAGE, BOXES) for i in range(10)]})
    path = root / "annotations" / "instances_default.json"
    tables = json.loads(path.read_text())
    tables["categories"].append({"id": 9, "name": "pets", "supercategory": ""})
    path.write_text(json.dumps(tables))
    return root


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Half a second a step, without a step."""
    monkeypatch.setattr(folder, "seconds_per_step", lambda *_: 0.5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small detector's file, with the names of torchvision's ResNet-50 model."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    write_safetensors(path, state_dict(TORCHVISION))
    return path


def derive(tmp_path, *folders, base=None, **fields):
    said = []
    named = {name.replace("__", "."): value for name, value in fields.items()}
    asked = Asked(tuple(map(str, folders)), base, named)
    return folder_config(asked, tmp_path / "run", said.append), said


def test_the_words_before_and_after_flags_of_one_word_are_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c/d"):
        (tmp_path / name).mkdir(parents=True)
    arguments = parse_train_arguments(
        ["a", "b", "--from", "none", "c/d", "--config.train.epochs", "3", "--from-strict", "False"]
    )
    fields = {"train.init": "", "train.epochs": 3.0, "train.init_strict": False}
    assert arguments.asked == Asked(("a", "b", "c/d"), None, fields)
    assert (arguments.config_name, str(arguments.workdir)) == ("a", "runs/a")


def test_without_folders_from_is_train_init():
    arguments = parse_train_arguments(["--config", "tiny", "--from", "weights.pth"])
    assert arguments.asked is None
    assert arguments.config.train.init == "weights.pth"


def test_from_random_weights(tmp_path, images):
    config, said = derive(tmp_path, images, train__init="")
    check(config)
    assert config.data.format == "coco"
    assert config.data.train_splits == ("default",)
    assert (config.data.eval_split, config.data.val_share) == ("", 0.2)
    assert config.data.classes == ("cat", "dog")
    assert (config.model.num_classes, config.train.init) == (2, "")
    # 8 images are left to train on, in batches of 4; 2000 steps would be 1000 epochs, 150 are most
    assert (config.train.batch_size, config.train.epochs, config.train.steps) == (4, 150, 300)
    assert (config.train.eval_every, config.train.checkpoint_every) == (50, 50)
    assert (tmp_path / "run" / "split.json").exists()
    assert said[0] == f"{images}: COCO (annotations/instances_default.json)"
    assert "20% of its images are held out for evaluation" in said[1]
    assert said[2] == "initial weights: none, training starts from random weights"
    assert any(
        line.endswith("classes without a box in the training images are left out: 'pets'")
        for line in said
    )
    assert said[-1] == (
        "a step takes 0.5 s here, so 300 steps take about 2 min 30 s; set "
        "--config.train.epochs to change this"
    )


def test_what_is_given_is_not_derived(tmp_path, images):
    fields = {"train__epochs": 5.0, "data__short_side": 64, "train__eval_every": 7}
    config, said = derive(tmp_path, images, train__init="", **fields)
    assert (config.train.steps, config.data.short_side, config.train.eval_every) == (10, 64, 7)
    assert not any(line.split()[0] in ("train.epochs", "data.short_side") for line in said)


def test_fields_that_weights_were_trained_with_are_taken_from_them(tmp_path, images, weights):
    config, said = derive(tmp_path, images, train__init=str(weights))
    check(config)
    assert config.train.init == str(weights)
    assert (config.model.backbone.name, config.model.backbone.width) == ("resnet18", 8)
    assert config.model.roi.op == "align_unaligned"
    assert (config.data.short_side, config.data.resize) == (800, "torchvision")
    assert config.model.num_classes == 2
    assert said[2] == f"initial weights: {weights}"
    # 1000 steps of 4 images over 8 would be 500 epochs, 50 are most
    assert (config.train.epochs, config.train.steps) == (50, 100)


def test_a_schedule_is_scaled_to_the_steps_unless_it_is_given(tmp_path, images, weights):
    # The recipe has 2000 steps, 200 of warm-up, and drops at 1200 and 1700.
    config, _ = derive(tmp_path, images, train__init=str(weights), train__steps=500)
    optimizer = config.train.optimizer
    assert (config.train.steps, config.train.epochs) == (500, 0)
    assert (optimizer.warmup_steps, optimizer.milestones) == (50, (300, 425))
    own = {"train__optimizer__warmup_steps": 9, "train__optimizer__milestones": (70, 80)}
    for length in ({"train__steps": 100}, {"train__epochs": 50.0}):
        config, _ = derive(tmp_path, images, train__init=str(weights), **length, **own)
        optimizer = config.train.optimizer
        assert config.train.steps == 100
        assert (optimizer.warmup_steps, optimizer.milestones) == (9, (70, 80))


def test_a_field_that_contradicts_the_weights_stops(tmp_path, images, weights):
    given = {"train__init": str(weights), "model__roi__op": "align"}
    with pytest.raises(ListedError, match="trained with other values of 1 field") as error:
        derive(tmp_path, images, **given)
    (line,) = error.value.items
    assert line == "model.roi.op: align here | align_unaligned in the weights"
    config, _ = derive(tmp_path, images, **given, train__init_strict=False)
    assert config.model.roi.op == "align"


def test_a_models_folder_gives_its_own_fields(tmp_path, images, weights):
    from jaxrcnn.cli.convert import read_detector

    source = read_detector(weights, "fasterrcnn_resnet50_fpn", [])
    odd = replace_fields(source.config, {"data.short_side": 111, "data.long_side": 222})
    make_model(tmp_path / "model", odd, Classes(("cat", "cow", "dog"), (1, 2, 3)), source.variables)
    config, said = derive(tmp_path, images, train__init=str(tmp_path / "model"))
    assert (config.data.short_side, config.data.long_side) == (111, 222)
    assert said[3] == "  a model with 3 classes"


def test_a_config_decides_all_but_what_the_data_decide(tmp_path, images):
    base = load_config("tiny")
    config, _ = derive(tmp_path, images, base=base)
    data = {"format": "coco", "root": str(images), "train_splits": ("default",), "eval_split": ""}
    model = dataclasses.replace(base.model, num_classes=2)
    expected = dataclasses.replace(base.data, classes=("cat", "dog"), **data)
    assert (config.model, config.data, config.train) == (model, expected, base.train)


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Publishes this machine's default weights elsewhere; the cache is empty."""
    monkeypatch.setenv("JAXRCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    name = default_source().partition(":")[0]
    (file,) = (each for each in published.FILES if each.model == name)

    def publish(url):
        monkeypatch.setattr(published, "FILES", (file._replace(url=url, hash=""),))

    return publish


@pytest.fixture
def server(tmp_path):
    """A folder that is served, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_by_default_it_starts_from_weights_that_are_downloaded_once(
    tmp_path, images, publish, server
):
    named = find_model(default_source().partition(":")[0]).config(90)
    narrow = change(named.model, neck={"channels": 16}, box_head={"channels": 32})
    write_safetensors(server[0] / "weights.safetensors", state_dict(TORCHVISION, narrow))
    publish(f"{server[1]}/weights.safetensors")
    config, said = derive(tmp_path, images)
    check(config)
    assert config.train.init == default_source() == "fasterrcnn_mobilenet_v3_large_320_fpn:COCO_V1"
    assert config.model == dataclasses.replace(narrow, num_classes=2)
    assert (config.data.short_side, config.data.long_side) == (320, 640)
    assert said[2] == f"initial weights: {config.train.init}"
    (server[0] / "weights.safetensors").unlink()
    assert derive(tmp_path, images)[0] == config  # from the cache


def test_without_a_network_it_stops_and_names_random_weights(tmp_path, images, publish):
    publish("http://127.0.0.1:9/weights.pth")
    with pytest.raises(ConfigError) as error:
        derive(tmp_path, images)
    said = str(error.value)
    assert said.startswith("http://127.0.0.1:9/weights.pth cannot be downloaded")
    assert "from random weights with --from none: with a few hundred images, these give" in said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


def test_weights_that_were_asked_for_are_an_error_of_their_own(tmp_path, images, publish):
    publish("http://127.0.0.1:9/weights.pth")
    with pytest.raises(ConfigError) as error:
        derive(tmp_path, images, train__init=default_source())
    assert "--from none" not in str(error.value)


def test_a_run_goes_on_with_its_own_config(tmp_path, images):
    config, _ = derive(tmp_path, images, train__init="")
    claim(tmp_path / "run", config)
    again, said = derive(tmp_path, images)
    assert again == config
    (line,) = said
    assert line.startswith(f"{tmp_path / 'run'} holds a run: its config.json is used")
    longer, _ = derive(tmp_path, images, train__epochs=200.0)
    assert longer == replace_fields(config, {"train.epochs": 200.0})


def test_a_workdir_with_a_run_on_other_images_is_refused(tmp_path, images):
    config, _ = derive(tmp_path, images, train__init="")
    claim(tmp_path / "run", config)
    other = tmp_path / "other"
    shutil.copytree(images, other)
    with pytest.raises(ConfigError, match=f"holds a run on {images}; give another --workdir"):
        derive(tmp_path, other)


@pytest.mark.parametrize("inside", ["", "inner"])
def test_a_run_that_knows_its_images_is_asked_to_look_in_another_folder(tmp_path, images, inside):
    config, _ = derive(tmp_path, images, train__init="")
    claim(tmp_path / "run", config)
    write_data(tmp_path / "run", RunData({}, {}))
    shutil.copytree(images, tmp_path / "other" / inside)
    moved = replace_fields(config, {"data.root": str(tmp_path / "other" / inside)})
    assert derive(tmp_path, tmp_path / "other")[0] == moved
    with pytest.raises(DataError, match="empty"):
        derive(tmp_path, write(tmp_path / "empty", {}, ()))
    with pytest.raises(ConfigError, match=f"holds a run on {images}; give another --workdir"):
        derive(tmp_path, images, tmp_path / "other")


def test_an_archive_that_was_unpacked_one_folder_deeper_goes_on_too(tmp_path, images):
    shutil.copytree(images, tmp_path / "outer" / "inner")
    config, _ = derive(tmp_path, tmp_path / "outer", train__init="")
    assert config.data.root == str(tmp_path / "outer" / "inner")
    claim(tmp_path / "run", config)
    assert derive(tmp_path, tmp_path / "outer")[0] == config


def test_several_folders_are_joined(tmp_path, images):
    write_labelimg(tmp_path / "more", {"all": [("x.png", IMAGE, [("cow", 0, 0, 30, 40)])] * 1})
    config, _ = derive(tmp_path, images, tmp_path / "more", train__init="")
    assert config.data.roots == (str(images), str(tmp_path / "more"))
    assert config.data.classes == ("cat", "dog", "cow")


def test_a_folder_that_is_no_data_set_says_what_it_holds(tmp_path):
    (tmp_path / "odd").mkdir()
    Image.fromarray(IMAGE).save(tmp_path / "odd" / "a.png")
    with pytest.raises(DataError, match=r"no data set was recognised: it contains 1 image"):
        derive(tmp_path, tmp_path / "odd", train__init="")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"data__classes": ("dog", "dog")}, r"contains a name twice"),
        ({"train__batch_size": 0}, r"train\.batch_size=0 must be at least 1"),
        ({"data__val_share": 1.0}, r"data\.val_share=1\.0 must be"),
        ({"data__rename": ("dog",)}, r"'dog' is not of the form OLD=NEW"),
        ({"data__root": "x"}, r"give folders either by themselves or as --config\.data\.root"),
        ({"data__format": "shapes"}, r"--config\.data\.format shapes reads no folders"),
    ],
)
def test_fields_that_do_not_fit_are_refused_before_anything_is_read(tmp_path, images, fields, what):
    with pytest.raises(ConfigError, match=what):
        derive(tmp_path, images, train__init="", **fields)
    assert not (tmp_path / "run").exists()


def test_a_folder_may_not_be_given_twice(tmp_path, images):
    with pytest.raises(ConfigError, match=r"pets/\.\./pets is given twice"):
        derive(tmp_path, images, f"{images}/../pets", train__init="")


def test_a_workdir_that_is_a_file_or_below_one_is_refused(tmp_path, images):
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match=r"run is a file, not a folder: give another --workdir"):
        derive(tmp_path, images, train__init="")
    with pytest.raises(ConfigError, match=r"run is a file, not a folder: give another --workdir"):
        derive(tmp_path / "run", images, train__init="")


def test_the_same_folder_by_another_path_goes_on(tmp_path, images, monkeypatch):
    config, _ = derive(tmp_path, images, train__init="")
    claim(tmp_path / "run", config)
    monkeypatch.chdir(images)
    assert derive(tmp_path, ".")[0] == config


def test_a_run_goes_on_with_the_config_that_is_given_where_the_data_do_not_decide(tmp_path, images):
    base = load_config("tiny")
    config, _ = derive(tmp_path, images, base=base)
    claim(tmp_path / "run", config)
    assert derive(tmp_path, images, base=base)[0] == config
    other = replace_fields(base, {"model.roi.output_size": 5})
    changed = derive(tmp_path, images, base=other)[0]
    assert changed == replace_fields(config, {"model.roi.output_size": 5})  # `claim` refuses it


def test_vocs_classes_that_the_data_do_not_have_are_not_spoken_of(tmp_path):
    root = tmp_path / "cats"
    for name in "abc":
        voc_files.write(root, {name: voc_files.SIZE + voc_files.item()}, "default")
    listed = root / "ImageSets" / "Main" / "default.txt"
    listed.write_text("a\nb\nc\n")
    config, said = derive(tmp_path, root, train__init="")
    assert len(config.data.classes) == 1
    assert not any("without a box" in line for line in said)


def test_a_split_without_images_in_data_yaml_does_not_stop_a_run(tmp_path):
    files = {
        "data.yaml": "train: ../train/images\nval: ../valid/images\nnames: [cat]\n",
        **{f"train/labels/{name}.txt": f"0 .5 .5 .{name} .{name}" for name in "345"},
    }
    write(tmp_path / "export", files, [f"train/images/{name}.png" for name in "345"])
    config, said = derive(tmp_path, tmp_path / "export", train__init="")
    assert (config.data.train_splits, config.data.eval_split) == (("train",), "")
    assert "of its images are held out for evaluation, since there is no validation" in said[1]
