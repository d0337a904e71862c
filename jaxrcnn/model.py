"""A trained detector in use: read from a run's folder or a model's, it finds objects in images.

What it computes is `jaxrcnn.detector.forward_infer`, a pure function of `Model.detector`,
`Model.variables` and a batch of images.
"""

import dataclasses
import functools
import numbers
import os
import pathlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxrcnn.config import Config, ConfigError, MeshConfig
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.fast import require_decoder
from jaxrcnn.data.in_memory import ImageLike
from jaxrcnn.data.loader import eval_batches
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.unannotated import open_images
from jaxrcnn.detector import Detector, Variables, build, run_infer
from jaxrcnn.evaluation.augmented import config_of_views, find_augmented
from jaxrcnn.evaluation.coco import ImageDetections
from jaxrcnn.evaluation.evaluate import find_each
from jaxrcnn.evaluation.thresholds import Thresholds, best_thresholds
from jaxrcnn.evaluation.views import PLAIN, TestTime
from jaxrcnn.prediction_fields import replace_prediction_fields
from jaxrcnn.runtime.executables import load_or_compile
from jaxrcnn.runtime.xla import jit_program
from jaxrcnn.training.alternating import finished, takes_given
from jaxrcnn.training.best import choose
from jaxrcnn.training.checkpoint import Checkpoint, Checkpoints
from jaxrcnn.training.hosts import from_first
from jaxrcnn.training.mesh import make_mesh, put_everywhere
from jaxrcnn.training.pieces import USED, Build, fitting_detector, own_pieces
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.weights import holds_weights, load_variables
from jaxrcnn.training.workdir import Classes, read_classes, read_config
from jaxrcnn.types import Batch, Detections


@functools.cache
def _program() -> Any:
    return jit_program(run_infer, static_argnums=0)


_COMPILED: dict[tuple[Detector, str], Any] = {}
"""Compiled predictions of this process, by detector and by shapes and dtypes of the batch."""


def _compiled(detector: Detector, variables: Variables, *batch: Any) -> Any:
    """The prediction for arguments of such shapes; what the config alone decides is kept on disk.

    Pieces of a fork are not known by a config, and are traced in every process.
    """
    key = detector, str(_shapes(batch))
    if key not in _COMPILED:

        def lower() -> Any:
            return _program().lower(detector, variables, *batch)

        if not own_pieces(detector).keys() & set(USED):
            # What the checkpoint holds, a proposer for one, decides too.
            description = f"forward_infer {detector.config} {_shapes((variables, *batch))}"
            _COMPILED[key] = load_or_compile(description, lower)
        else:
            _COMPILED[key] = lower().compile()
    return _COMPILED[key]


def _shapes(arrays: Any) -> Any:
    return jax.tree.map(lambda x: (x.shape, str(x.dtype)), arrays)


class Objects(NamedTuple):
    """What is found in one image, best first."""

    boxes: np.ndarray  # (D, 4) float32, x0, y0, x1, y1 in pixels of the upright image
    scores: np.ndarray  # (D,) float32, 0..1
    labels: np.ndarray  # (D,) int32, 1..K
    names: np.ndarray  # (D,) str, the labels' names


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained detector, ready to be used.

    It can be pickled, by value and without compiled programs, and copied; copies share its arrays.
    A pickle of a detector with pieces of your own needs the modules that define them.
    """

    config: Config
    """Of the run or the model, with the fields that were changed; its batch sizes fit the devices
    that are here."""
    classes: Classes
    """Names and category ids: label k is ``classes.names[k - 1]``."""
    step: int
    """Of the run's checkpoint; 0 of a model that was converted or saved."""
    detector: Detector
    """The pieces, for `jaxrcnn.detector.forward_infer` and its like; hashable."""
    variables: Variables
    """The detector's arrays, on all local devices: collections "params", "constants" and
    "batch_stats", in each of them "backbone", "rpn_head" and "box_head"."""
    folder: pathlib.Path | None = None
    """Where it was read."""
    best_by: str = ""
    """Metric by which the checkpoint is the run's best, such as ``eval/AP``; else empty."""
    together: bool = False
    """Whether all processes of a program use it together, on all of their devices; by default each
    uses its own. `predict` is for one process."""

    def __repr__(self) -> str:
        model = self.detector.config
        own = own_pieces(self.detector).get("backbone")
        parts = [own.name if own else f"{model.backbone.name} {model.neck.name}"]
        names = ", ".join(self.classes.names[:3]) + (", ..." if len(self.classes.names) > 3 else "")
        parts.append(f"{len(self.classes.names)} classes ({names})")
        best = f" (best {self.best_by})" if self.best_by else ""
        parts += [f"step {self.step}{best}"] if self.step else []
        parts += [f"from {str(self.folder)!r}"] if self.folder else []
        return f"<Model: {', '.join(parts)}>"

    @functools.cached_property
    def programs(self) -> Programs:
        """Its programs on its devices, each compiled when it is first called."""
        return compile_programs(self.detector, self.config, devices=_devices(self.together))

    def __copy__(self) -> "Model":
        return dataclasses.replace(self)

    def __deepcopy__(self, _: object) -> "Model":
        return dataclasses.replace(self, variables=jax.tree.map(lambda x: x, self.variables))

    def __getstate__(self) -> dict[str, Any]:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "variables": jax.tree.map(np.asarray, self.variables)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        config = _fit_devices(state["config"])  # the devices here may be others
        variables = put_everywhere(state["variables"], make_mesh(devices=jax.local_devices()))
        self.__dict__.update(state, config=config, variables=variables)

    def predict(
        self,
        images: Sequence[ImageLike],
        *,
        score: float | Literal["best"] = 0.5,
        batch_size: int = 8,
        flip: bool = False,
        scales: Sequence[int] = (),
        tile: int = 0,
        overlap: float = 0.2,
    ) -> list[Objects]:
        """Find the objects in images.

        The images of a call are padded to the largest of them, one shape for those that lie and
        one for those that stand, and each new shape is compiled once: many images in one call
        are sooner done than a call for each.

        Args:
            images: a list of paths, open files, bytes of files, Pillow's images and uint8 arrays
                (H, W, 3) RGB, (H, W, 4) RGBA, (H, W, 1) or (H, W) grey, in any mixture; see
                `jaxrcnn.data.images.read_image`.
            score: from 0 to 1, the lowest of an object that is kept; those below the config's
                model.detections.score_threshold are never found. "best" takes the threshold of each
                class with its largest F1 at the last evaluation, see `best_thresholds`.
            batch_size: images at a time, from 1.
            flip: also search each image mirrored left to right.
            scales: search each image at these short sides in pixels, in place of data.short_side.
            tile: search large images in tiles with sides of so many pixels, from 32; 0: whole.
            overlap: share of a tile's side that it has in common with its neighbour, from 0 to 0.9.
                An object that is no larger than the overlap is in one tile whole.

        What is found in several views of an image is merged by the detector's own NMS; see
        `jaxrcnn.evaluation.augmented`.

        Returns:
            The objects of each image.

        Raises:
            DataError: an image cannot be read, or something else is given.
            ConfigError: the detector makes no proposals, see `check_proposes`, or an argument is
                out of its range.
        """
        check_proposes(self)
        _check_call(score, batch_size)
        lowest: Any = score
        if isinstance(score, str):
            lowest, _, notes = self.best_thresholds()
            for note in notes:
                _warn(note)
        test_time = TestTime(flip, scales, tile, overlap)
        faults = FaultLog("raise")
        data = self.config.data
        dataset = open_images(images, *self.classes, faults, data.max_pixels, data.read_timeout)
        found = dict(self.find(dataset, faults, test_time, score=lowest, batch_size=batch_size))
        names = np.array(self.classes.names)
        return [
            Objects(*found[index], names[found[index].labels - 1]) for index in range(len(dataset))
        ]

    def find(
        self,
        dataset: Dataset,
        faults: FaultLog,
        test_time: TestTime = PLAIN,
        *,
        score: float | np.ndarray,
        batch_size: int,
    ) -> Iterator[tuple[int, ImageDetections]]:
        """What `predict` finds, an image at a time: its place in the data set, and its objects.

        The lowest score is one for all classes, or (K,) for each. Images that cannot be read go to
        `faults`. Neither they nor what is found are kept.
        """
        detector = self if test_time.is_plain else self.of_views()
        data = replace(self.config.data, on_error=faults.on_error, workers=0)

        def find_views(views: Dataset, config: Config) -> Iterator[tuple[int, ImageDetections]]:
            own = replace(config.eval, batch_size=min(batch_size, len(views)))
            batches = eval_batches(views, _fit_devices(replace(config, eval=own)))
            yield from find_each(detector.detect, batches, views)
            faults.lines += [line for line in batches.unread if line not in faults.lines]

        config = replace(self.config, data=data)
        found_each = (
            find_views(dataset, config)
            if test_time.is_plain
            else find_augmented(find_views, dataset, config, test_time)
        )
        lowest = np.broadcast_to(score, len(self.classes.names))
        for index, found in found_each:
            kept = found.scores >= lowest[found.labels - 1]
            yield index, ImageDetections(*(values[kept] for values in found))

    def best_thresholds(self) -> Thresholds:
        """The score threshold of each class with its largest F1, as an evaluation measured it.

        Raises:
            ConfigError: the model's folder has no such evaluation.
        """
        if self.folder is None:
            raise ConfigError("score='best' requires a model that was loaded from its folder")
        return best_thresholds(self.folder, self.step, self.classes.names)

    def of_views(self) -> "Model":
        """The model for the views of test-time augmentation, whose detections are merged later."""
        config = config_of_views(self.config.model)
        if config == self.config.model:
            return self
        detector = self.detector._replace(config=config)
        return dataclasses.replace(
            self, config=replace(self.config, model=config), detector=detector
        )

    def detect(self, batch: Batch) -> Detections:
        """What the detector's `infer` returns for a batch in numpy arrays, on all devices."""
        batch = self.programs.put_batch(batch)
        given = [] if batch.proposals is None else [batch.proposals]
        arguments = batch.images, batch.image_sizes, *given
        if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
            return run_infer(self.detector, self.variables, *arguments)
        predict = _compiled(self.detector, self.variables, *arguments)
        return predict(self.variables, *arguments)


def load(
    folder: str | os.PathLike[str],
    *,
    checkpoint: Checkpoint | None = None,
    build: Build = build,
    **fields: Any,
) -> Model:
    """Read a run's folder, at its best or last checkpoint, or a model's; see `jaxrcnn.load`."""
    folder = pathlib.Path(folder)
    config = replace_prediction_fields(read_config(folder), fields)
    return restore(folder, config, checkpoint, build, _warn)


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=1)


def restore(
    folder: pathlib.Path,
    config: Config,
    checkpoint: Checkpoint | None = None,
    build: Build = build,
    say: Callable[[str], None] = print,
    together: bool = False,
) -> Model:
    """Read a run's folder, or a model's, to be used with a config that may be another.

    Args:
        folder: of the run or the model.
        config: in place of the folder's own; batch sizes are rounded up to multiples of the
            devices.
        checkpoint: of a run: "best", "last" or a step; by default the best where there is one, else
            the last.
        build: makes the detector, with its pieces that the config does not describe.
        say: takes a line for each piece whose source has changed.
        together: see `Model.together`.

    Raises:
        ConfigError: it is not such a folder, has no such checkpoint, the config does not fit it, or
            what data.decoder needs is not installed.
    """
    require_decoder(config.data)
    config = _fit_devices(config, together)
    classes = read_classes(folder)
    if len(classes.names) != config.model.num_classes:
        raise ConfigError(
            f"{folder / 'classes.json'} has {len(classes.names)} names, and model.num_classes is "
            f"{config.model.num_classes}"
        )
    detector = fitting_detector(folder, config.model, build, say)
    programs = compile_programs(detector, config, devices=_devices(together))
    like = programs.state_shapes().variables
    if holds_weights(folder):
        if checkpoint is not None:
            raise ConfigError(
                f"checkpoint={checkpoint}: {folder} holds a model and no checkpoints of a run"
            )
        variables, step, best_by = load_variables(folder, like), 0, ""
    else:
        with Checkpoints(folder) as checkpoints:

            def find() -> tuple[int, str]:
                chosen, best_by = choose(folder, config, checkpoints.steps, checkpoint)
                return checkpoints.find(chosen), best_by

            step, best_by = from_first(find) if together else find()
            variables = checkpoints.restore_variables(like, step)
    variables = finished(config, variables, step)
    return Model(config, classes, step, detector, variables, folder, best_by, together)


def check_proposes(model: Model) -> None:
    """See that a detector makes proposals of its own, for any image.

    Raises:
        ConfigError: it was trained on given ones.
    """
    if takes_given(model.config, model.step - 1):
        raise ConfigError(
            f"the run trained Fast R-CNN alone, on {model.config.data.train_proposals}, and has no "
            "proposals for other images; train an RPN too: jointly with train.init WORKDIR, or "
            "as the next of train.alternating.steps"
        )


def _check_call(score: Any, batch_size: Any) -> None:
    """See that both are numbers in their ranges; True and False are none."""
    if isinstance(score, str) and score == "best":
        score = 0.0
    if isinstance(score, bool) or not isinstance(score, numbers.Real) or not 0 <= float(score) <= 1:
        raise ConfigError(f"score={score!r} must be a number from 0 to 1, or 'best'")
    whole = isinstance(batch_size, numbers.Integral) and not isinstance(batch_size, bool)
    if not whole or batch_size < 1:
        raise ConfigError(f"batch_size={batch_size!r} must be a whole number from 1")


def _devices(together: bool) -> list[Any]:
    return jax.devices() if together else jax.local_devices()


def _fit_devices(config: Config, together: bool = False) -> Config:
    """Batch sizes and a mesh that fit the devices here: the run may have been made on others."""
    devices = len(_devices(together))
    batch_size = -(-config.eval.batch_size // devices) * devices
    return replace(
        config,
        train=replace(config.train, batch_size=devices, mesh=MeshConfig()),
        eval=replace(config.eval, batch_size=batch_size),
    )
