"""torchvision beside us, in a process of its own that rests while we are timed."""

import contextlib
import functools
import json
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import jax
import numpy as np

from jaxrcnn.benchmark.ops import Case
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.workload import config_for, draw_batch
from jaxrcnn.config import Config, ConfigError, ModelConfig
from jaxrcnn.detector import Variables
from jaxrcnn.interop import run_torchvision
from jaxrcnn.interop.of_torchvision import TORCHVISION
from jaxrcnn.interop.run_torchvision import cannot_run, did_not_run, request_of
from jaxrcnn.interop.transfer import dump
from jaxrcnn.runtime.machine import cores

PROGRAM = pathlib.Path(run_torchvision.__file__).with_name("time_torchvision.py")

FUNCTIONS = {
    ("resnet50", "fpn", "two_fc"): "fasterrcnn_resnet50_fpn",
    ("resnet50", "fpn", "conv_fc"): "fasterrcnn_resnet50_fpn_v2",
    ("mobilenet_v3_large", "fpn", "two_fc"): "fasterrcnn_mobilenet_v3_large_fpn",
}
"""torchvision's function by our backbone, neck and box head."""

STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")
"""torchvision's modules of a ResNet's stages, from the stem."""


def torchvision_name(config: ModelConfig) -> str:
    """torchvision's function for a detector.

    Raises:
        ConfigError: it has none.
    """
    pieces = config.backbone.name, config.neck.name, config.box_head.name
    if pieces not in FUNCTIONS:
        raise ConfigError(f"--against: torchvision has no detector of {', '.join(pieces)}")
    return FUNCTIONS[pieces]


@contextlib.contextmanager
def start_torchvision(python: str) -> Iterator["Torchvision"]:
    """Run torchvision beside us, in an interpreter that can import it, until the block ends.

    Raises:
        ConfigError: it cannot be run; with the last line that it said.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
    ):
        try:
            process = subprocess.Popen(
                [python, str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        except OSError as error:
            raise cannot_run(python, error) from error
        try:
            yield Torchvision(python, process, errors, pathlib.Path(folder))
        finally:
            process.communicate()  # its input ends, and so does it


class Torchvision:
    """torchvision's process; see `start_torchvision`.

    Args:
        python: its interpreter, for complaints.
        process: running `PROGRAM`.
        errors: what it writes to stderr.
        folder: for the arrays that it is given.

    Raises:
        ConfigError: from any method, it did not do what it was asked.
    """

    def __init__(
        self, python: str, process: subprocess.Popen[str], errors: TextIO, folder: pathlib.Path
    ) -> None:
        self._python, self._process, self._errors, self._folder = python, process, errors, folder
        self.versions = self._ask("hello", threads=cores())
        """torch, torchvision and the device's name."""

    def detector(
        self, kind: str, config: Config, shape: Shape, variables: Variables
    ) -> Mapping[str, Any]:
        """Prepare the detector that a config describes, for `run` under the name kind and shape.

        Args:
            kind: "train" or "predict".
            config: ours; sizes, counts, thresholds, frozen stages and the optimiser are handed on.
            shape: of the batches.
            variables: of our detector.

        Returns:
            Milliseconds by setting, or what went wrong in it; the fastest is kept.

        Raises:
            ConfigError: torchvision has no such detector, or cannot run it.
        """
        config = config_for(config, shape)
        model, optimizer = config.model, config.train.optimizer
        batch = draw_batch(shape, model.num_classes)
        weights = dump(jax.device_get(variables), TORCHVISION, model)
        request = request_of(torchvision_name(model), config)
        request["options"] |= training_options_of(config)
        answer = self._ask(
            kind,
            name=f"{kind} {shape}",
            **request,
            frozen=STAGES[: model.backbone.frozen_stages],
            dtype=model.compute_dtype,
            sgd={
                "lr": optimizer.learning_rate,
                "momentum": optimizer.momentum,
                "weight_decay": optimizer.weight_decay,
            },
            weights=self._write("weights", weights),
            arrays=self._write(
                "arrays", {"images": batch.images, "boxes": batch.boxes, "labels": batch.labels}
            ),
        )
        return answer["settings"]

    def nms(self, case: Case, iou_threshold: float) -> None:
        """Prepare suppression of a case's boxes, for `run` under its name."""
        boxes, scores = case.arguments
        self._ask(
            "nms",
            name=case.name,
            iou=iou_threshold,
            arrays=self._write("arrays", {"boxes": boxes, "scores": scores}),
        )

    def align(self, case: Case, kind: str, size: Sequence[int], side: int, samples: int) -> None:
        """Prepare RoIAlign ("align" or "align to features") for `run` under a case's name."""
        features, boxes, *rest = case.arguments
        arrays = {f"map{level}": x for level, x in enumerate(features)}
        cotangent = rest[0] if rest else np.zeros(())
        self._ask(
            kind,
            name=case.name,
            size=list(size),
            side=side,
            samples=samples,
            arrays=self._write("arrays", {**arrays, "boxes": boxes, "cotangent": cotangent}),
        )

    def run(self, name: str, steps: int) -> list[float]:
        """Seconds of each of so many steps of what was prepared under a name."""
        return self._ask("run", name=name, steps=steps)["seconds"]

    def runner(self, name: str) -> functools.partial[list[float]]:
        """`run` of one name, as a side of `take_turns`."""
        return functools.partial(self.run, name)

    def drop(self, name: str) -> None:
        """Let go of what was prepared under a name."""
        self._ask("drop", name=name)

    def memory(self, name: str) -> Mapping[str, int]:
        """The most bytes since it was last asked: "arrays" and "resident", see `Memory`."""
        return self._ask("memory", name=name)

    def _write(self, name: str, arrays: Mapping[str, Any]) -> str:
        path = self._folder / f"{name}.npz"
        np.savez(path, allow_pickle=False, **{k: np.asarray(x) for k, x in arrays.items()})
        return str(path)

    def _ask(self, do: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        try:
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass  # it has said why, see below
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise did_not_run(self._python, self._errors.read())
        return json.loads(line)


def training_options_of(config: Config) -> dict[str, float]:
    """The arguments of torchvision's functions for training that the config has fields for."""
    rpn, proposals, head = config.model.rpn, config.model.proposals, config.model.box_head
    return {
        "rpn_pre_nms_top_n_train": proposals.pre_nms_train,
        "rpn_post_nms_top_n_train": proposals.post_nms_train,
        "rpn_batch_size_per_image": rpn.samples,
        "rpn_positive_fraction": rpn.foreground_fraction,
        "box_batch_size_per_image": head.samples,
        "box_positive_fraction": head.foreground_fraction,
    }
