"""The trackers that train.trackers names: TensorBoard, Weights & Biases and MLflow."""

import contextlib
import importlib
import json
import os
import pathlib
import re
import time
from collections.abc import Mapping
from typing import Any

from jaxrcnn.config import Config
from jaxrcnn.config_io import field_values
from jaxrcnn.writing import replace_text

IDS = "trackers.json"
"""File in a run's folder: the ids under which trackers know the run, so that it can be resumed."""


class TensorBoard:
    """Events in the folder tensorboard/ of a run.

    Args:
        workdir: the run's folder.
        resume_step: the step that the run goes on from; later events of it are hidden.
    """

    def __init__(self, workdir: pathlib.Path, resume_step: int) -> None:
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2

        # Not its SummaryWriter: the thread of that ends where the disk is full, and its queue then
        # holds up the training for ever.
        folder = workdir / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        self._events: Any = event_file_writer.EventsWriter(str(folder / "events"))
        self._kinds: Any = event_pb2
        self._summaries: Any = summary
        start = self._kinds.SessionLog(status=self._kinds.SessionLog.START)
        self._add(resume_step + 1, session_log=start)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write a scalar for each metric."""
        for key, value in metrics.items():
            self._add(step, summary=self._summaries.scalar(key, value))

    def write_image(self, step: int, name: str, path: pathlib.Path) -> None:
        """Write an image."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._add(step, summary=self._summaries.image(name, pixels, dataformats="HWC"))

    def _add(self, step: int, **content: Any) -> None:
        event = self._kinds.Event(wall_time=time.time(), step=step, **content)
        try:
            self._events.write_event(event)
            self._events.flush()
        except OSError:
            with contextlib.suppress(OSError):
                self.close()  # it is not written to again
            raise

    def close(self) -> None:
        """Close the file."""
        self._events.close()


class Wandb:
    """A run of Weights & Biases; its environment variables (WANDB_MODE, WANDB_PROJECT) apply.

    Args:
        workdir: the run's folder.
        config: logged with the run.
    """

    def __init__(self, workdir: pathlib.Path, config: Config) -> None:
        wandb: Any = importlib.import_module("wandb")
        known = _read_ids(workdir).get("wandb")
        self._image = wandb.Image
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "jaxrcnn"),
            name=os.environ.get("WANDB_NAME", workdir.name),
            dir=str(workdir),
            id=known,
            resume="allow" if known else None,
        )
        _write_id(workdir, "wandb", self._run.id)
        self._run.config.update(field_values(config), allow_val_change=True)
        # wandb's own steps cannot go back, as those of a resumed run do.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log metrics."""
        self._run.log({"step": step, **metrics})

    def write_image(self, step: int, name: str, path: pathlib.Path) -> None:
        """Log an image."""
        self._run.log({"step": step, name: self._image(str(path))})

    def close(self) -> None:
        """Finish, which sends what is left."""
        self._run.finish()


class Mlflow:
    """A run of MLflow; its environment variables (MLFLOW_TRACKING_URI) apply.

    Args:
        workdir: the run's folder.
        config: logged as parameters.
    """

    AT_ONCE = 100  # parameters or metrics that MLflow takes in one call

    def __init__(self, workdir: pathlib.Path, config: Config) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        self._client = self._mlflow.MlflowClient()
        known = _read_ids(workdir).get("mlflow")
        if known:
            self._id = known
            self._client.update_run(known, status="RUNNING")
        else:
            self._id = self._create(workdir.name, config)
            _write_id(workdir, "mlflow", self._id)

    def _create(self, name: str, config: Config) -> str:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "jaxrcnn")
        found = self._client.get_experiment_by_name(experiment)
        place = found.experiment_id if found else self._client.create_experiment(experiment)
        run_id = self._client.create_run(place, run_name=name).info.run_id
        kind = self._mlflow.entities.Param
        params = [kind(name, str(value)) for name, value in field_values(config).items()]
        for start in range(0, len(params), self.AT_ONCE):
            self._client.log_batch(run_id, params=params[start : start + self.AT_ONCE])
        return run_id

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log metrics; characters that MLflow refuses in names become underscores."""
        now, kind = int(time.time() * 1000), self._mlflow.entities.Metric
        rows = [kind(_plain(name), value, now, step) for name, value in metrics.items()]
        for start in range(0, len(rows), self.AT_ONCE):
            self._client.log_batch(self._id, metrics=rows[start : start + self.AT_ONCE])

    def write_image(self, step: int, name: str, path: pathlib.Path) -> None:
        """Log an image."""
        from PIL import Image

        with Image.open(path) as image:
            self._client.log_image(self._id, image.convert("RGB"), key=name, step=step)

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._id)


def _plain(name: str) -> str:
    return re.sub(r"[^\w .:/-]", "_", name, flags=re.ASCII)


def _read_ids(workdir: pathlib.Path) -> dict[str, str]:
    """The run's ids by tracker; empty for a new run."""
    path = workdir / IDS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write_id(workdir: pathlib.Path, tracker: str, run_id: str) -> None:
    ids = {**_read_ids(workdir), tracker: run_id}
    replace_text(workdir / IDS, json.dumps(ids, indent=2) + "\n")
