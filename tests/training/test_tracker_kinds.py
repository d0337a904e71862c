"""What TensorBoard's files hold, and the calls that wandb 0.31 and mlflow 3 were seen to take."""

import errno
import io
import json
import sys
import types

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.config import Config
from jaxrcnn.config_io import field_types
from jaxrcnn.training.tracker_kinds import Mlflow, TensorBoard, Wandb
from jaxrcnn.training.trackers import Trackers
from tests.events import events


@pytest.fixture
def sheet(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "sheet.png"
    Image.fromarray(pixels).save(path)
    return path, pixels


def test_tensorboard_gets_the_same_values_and_the_image(tmp_path, sheet):
    path, pixels = sheet
    board = TensorBoard(tmp_path, 0)
    board.write(20, {"loss": 0.5, "eval/AP": 0.25})
    board.write_image(20, "eval/detections", path)
    board.close()
    values = [(event.step, value) for event in events(tmp_path) for value in event.summary.value]
    assert [(step, value.tag) for step, value in values] == [
        *((20, "loss"), (20, "eval/AP"), (20, "eval/detections"))
    ]
    assert [value.simple_value for _, value in values[:2]] == [0.5, 0.25]
    with Image.open(io.BytesIO(values[2][1].image.encoded_image_string)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_tensorboard_on_a_full_disk_is_left_out_and_holds_nothing_up(tmp_path, monkeypatch):
    lines, board = [], TensorBoard(tmp_path, 0)
    trackers = Trackers([board], lines.append)

    def fill(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(board._events._py_recordio_writer, "write", fill)
    for step in range(30):  # more than a queue would take
        trackers.write(step, {"loss": 0.5})
    trackers.close()
    assert len(lines) == 1
    assert "TensorBoard failed and is left out" in lines[0]


def test_tensorboard_is_told_which_steps_a_resumed_run_does_again(tmp_path):
    TensorBoard(tmp_path, 200).close()
    purged = [x.step for x in events(tmp_path) if x.WhichOneof("what") == "session_log"]
    assert purged == [201]


@pytest.fixture
def wandb(monkeypatch):
    """A module that notes its calls."""
    module = types.ModuleType("wandb")
    module.calls = calls = []

    class Run:
        id = "a1b2"

        def __init__(self):
            self.config = types.SimpleNamespace(
                update=lambda values, **options: calls.append(("config", values, options))
            )

        def define_metric(self, *names, **options):
            calls.append(("define", *names, options))

        def log(self, values):
            calls.append(("log", values))

        def finish(self):
            calls.append("finish")

    def init(**options):
        calls.append(("init", options))
        return Run()

    module.init, module.Image = init, lambda path: f"image {path}"
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.delenv("WANDB_NAME", raising=False)
    return module


def test_wandb_gets_config_metrics_and_images_under_steps_that_may_go_back(tmp_path, wandb, sheet):
    tracker = Wandb(tmp_path, Config(seed=7))
    tracker.write(20, {"train/loss": 0.5})
    tracker.write_image(20, "eval/detections", sheet[0])
    tracker.close()
    init, config, *rest = wandb.calls
    options = {"project": "jaxrcnn", "name": tmp_path.name, "dir": str(tmp_path)}
    assert init == ("init", {**options, "id": None, "resume": None})
    assert config[1]["seed"] == 7
    assert config[1].keys() == field_types().keys()
    assert config[2] == {"allow_val_change": True}
    assert rest == [
        ("define", "step", {}),
        ("define", "*", {"step_metric": "step"}),
        ("log", {"step": 20, "train/loss": 0.5}),
        ("log", {"step": 20, "eval/detections": f"image {sheet[0]}"}),
        "finish",
    ]


def test_wandb_goes_on_with_the_run_that_it_knows(tmp_path, wandb, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    Wandb(tmp_path, Config())
    wandb.calls.clear()
    Wandb(tmp_path, Config())
    options = wandb.calls[0][1]
    assert (options["id"], options["resume"], options["project"]) == ("a1b2", "allow", "mine")


@pytest.fixture
def mlflow(monkeypatch):
    """A module that notes its calls, and has no experiment."""
    module = types.ModuleType("mlflow")
    module.calls = calls = []

    class Client:
        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            calls.append(("experiment", name))
            return "5"

        def create_run(self, place, run_name):
            calls.append(("run", place, run_name))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="f10b"))

        def update_run(self, run_id, status):
            calls.append(("update", run_id, status))

        def log_batch(self, run_id, metrics=(), params=()):
            assert len(metrics) + len(params) <= 100
            assert run_id == "f10b"
            calls.append(("batch", [*metrics, *params]))

        def log_image(self, run_id, image, key, step):
            calls.append(("image", np.asarray(image), key, step))

        def set_terminated(self, run_id):
            calls.append(("end", run_id))

    module.MlflowClient = Client
    module.entities = types.SimpleNamespace(
        Param=lambda key, value: (key, value),
        Metric=lambda key, value, timestamp, step: (key, value, step),
    )
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return module


def test_mlflow_gets_config_metrics_and_images(tmp_path, mlflow, sheet):
    path, pixels = sheet
    tracker = Mlflow(tmp_path, Config(seed=7))
    batches = [call[1] for call in mlflow.calls if call[0] == "batch"]
    params = dict(pair for batch in batches for pair in batch)
    assert params.keys() == field_types().keys()
    assert params["seed"] == "7"
    assert mlflow.calls[:2] == [("experiment", "jaxrcnn"), ("run", "5", tmp_path.name)]
    mlflow.calls.clear()
    tracker.write(20, {"train/loss": 0.5, "eval/AP_café (2)": 0.25})
    tracker.write_image(20, "eval/detections", path)
    tracker.close()
    metrics, (_, image, *where), end = mlflow.calls
    assert metrics == ("batch", [("train/loss", 0.5, 20), ("eval/AP_caf_ _2_", 0.25, 20)])
    np.testing.assert_array_equal(image, pixels)
    assert where == ["eval/detections", 20]
    assert end == ("end", "f10b")


def test_mlflow_goes_on_with_the_run_that_it_knows(tmp_path, mlflow):
    Mlflow(tmp_path, Config())
    assert json.loads((tmp_path / "trackers.json").read_text()) == {"mlflow": "f10b"}
    mlflow.calls.clear()
    Mlflow(tmp_path, Config())
    assert mlflow.calls == [("update", "f10b", "RUNNING")]
