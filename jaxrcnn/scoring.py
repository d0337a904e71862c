"""What a state of a run is worth: its evaluation, and the score on the test set at the end."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax

from jaxrcnn.config import Config, ConfigError
from jaxrcnn.data.proposals import StoredProposals
from jaxrcnn.data.records import Dataset
from jaxrcnn.data.share import Share
from jaxrcnn.detector import Variables
from jaxrcnn.evaluation.coco import detections_to_coco
from jaxrcnn.evaluation.coco_backends import check_backend
from jaxrcnn.evaluation.evaluate import Found, draw_images, find, measure, write_detections
from jaxrcnn.evaluation.report import PAGE, write_report
from jaxrcnn.run_scores import held_out_name, held_out_scores, score_line
from jaxrcnn.training.activity import Activity
from jaxrcnn.training.alternating import finished, stage_of, takes_given
from jaxrcnn.training.best import Best, best_so_far, check_metric
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.hosts import from_first, gather, pool
from jaxrcnn.training.loop import orientation
from jaxrcnn.training.mesh import own_part
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.program import Program
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.retries import write_patiently
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState, eval_variables
from jaxrcnn.training.trackers import Trackers
from jaxrcnn.types import Batch
from jaxrcnn.wording import counted

SHEET = pathlib.Path("plots", "detections.png")
"""Detections of the last evaluation beside the ground truth, in a run's folder."""


def evaluate_state(
    config: Config,
    programs: Programs,
    state: TrainState,
    dataset: Dataset,
    workdir: pathlib.Path,
    progress: Progress,
    given: StoredProposals | None = None,
) -> dict[str, float]:
    """Evaluate a state and write its detections, as numbers and as images."""
    step, images = int(state.step), len(dataset)
    variables = finished(config, eval_variables(state), step)
    with progress.activity(
        "evaluating", f"evaluated {counted(images, 'image')}", images
    ) as activity:
        predict = predictor(
            programs, programs.eval_step, "the evaluation", variables, progress, activity
        )
        own = given if takes_given(config, step - 1) else None
        found = find(predict, dataset, config, own, share_of(programs))

        def judge() -> dict[str, float]:
            results = detections_to_coco(dataset, found.detections)
            _write_detections(workdir, "detections.json", dataset, results, progress)
            write_patiently(
                lambda: draw_images(workdir / SHEET, dataset, found, config.eval.images),
                *(workdir / SHEET, progress.message),
            )
            scores = measure(found, dataset, config, results)
            title = f"{workdir.resolve().name}, step {step}"
            write_patiently(
                lambda: write_report(
                    *(workdir / "eval", dataset, found.detections, scores),
                    covers=found.covers,
                    title=title,
                    step=step,
                    max_detections=config.eval.max_detections,
                ),
                *(workdir / "eval" / PAGE, progress.message),
            )
            return scores.metrics

        return from_first(judge, "computing scores and writing the report")


class Evaluations:
    """Evaluates the states of a run; the best is kept, and training ends if none gets better.

    Args:
        config: of the run.
        programs: compiled for it.
        dataset: the evaluation set.
        workdir: the run's folder.
        progress: shows the evaluation and its score.
        writer: where the metrics go; metrics.jsonl ends at the state that the run goes on from.
        trackers: where the image of detections goes.
        checkpoints: where the best state is kept.
        given: proposals for the evaluation set from a file, if any.
    """

    def __init__(
        self,
        config: Config,
        programs: Programs,
        dataset: Dataset,
        workdir: pathlib.Path,
        progress: Progress,
        writer: MetricsWriter,
        trackers: Trackers,
        checkpoints: Checkpoints,
        given: StoredProposals | None = None,
    ) -> None:
        self._config, self._programs, self._dataset = config, programs, dataset
        self._workdir, self._progress, self._writer = workdir, progress, writer
        self._trackers, self._checkpoints, self._given = trackers, checkpoints, given
        self.so_far = best_so_far(workdir, config)
        if self.so_far.best:
            checkpoints.keep_best(self.so_far.best.step)

    def __call__(self, state: TrainState) -> bool:
        """Evaluate a state; whether training ends with it.

        Raises:
            ConfigError: train.keep_best is not among the metrics.
        """
        step, progress = int(state.step), self._progress
        metrics = evaluate_state(
            *(self._config, self._programs, state, self._dataset, self._workdir),
            *(progress, self._given),
        )
        check_metric(self._config, metrics)
        is_best = self.so_far.add(step, metrics)
        if is_best or self.so_far.is_over:
            self._checkpoints.save(state)
            self._checkpoints.wait()  # before its score, which would decide without it
        self._writer.write(step, metrics)
        if is_best:
            self._checkpoints.keep_best(step)
        if self._config.eval.images and (sheet := self._workdir / SHEET).exists():
            self._trackers.write_image(step, "eval/detections", sheet)
        progress.message(f"step {step}  {score_line(metrics)}{'  (best)' if is_best else ''}")
        if self.so_far.is_over:
            progress.message(self.so_far.describe_end(step))
        return self.so_far.is_over


def check_keep_best(config: Config, dataset: Dataset) -> None:
    """See before training that states can be scored, and that train.keep_best is a metric.

    The names of the losses are those of the detector; they are checked at the first evaluation.

    Raises:
        ConfigError: eval.backend is not installed, or train.keep_best is not among the metrics on
            the data set, which are listed.
    """
    check_backend(config.eval.backend)
    wanted = config.train.keep_best
    if wanted and not wanted.startswith("eval/loss"):
        check_metric(config, {*measure(Found({}, {}, ()), dataset, config).metrics, "eval/loss"})


def check_test(config: Config) -> None:
    """See that a run can be scored on a test set.

    Raises:
        ConfigError: at its end it detects nothing, or only among proposals of other images.
    """
    last = config.train.steps - 1
    if stage_of(config, last) == "rpn" or takes_given(config, last):
        raise ConfigError(
            f"data.test_split={config.data.test_split} cannot be scored: at the end of "
            "train.alternating.steps there is no detector with its own proposals"
        )


def score_test(
    config: Config,
    programs: Programs,
    state: TrainState,
    best: Best | None,
    checkpoints: Checkpoints,
    dataset: Dataset,
    workdir: pathlib.Path,
    progress: Progress,
    writer: MetricsWriter,
) -> None:
    """Score the best state of a run that is over, or else its last, on the test set, once.

    Its detections are written to eval/test_detections.json. Its metrics are named ``test/`` in
    place of ``eval/``; ``test/step`` is the step of the state.
    """
    last, images = int(state.step), len(dataset)
    earlier = [row["step"] for row in held_out_scores(workdir)]
    if last in earlier:
        return
    if earlier:
        progress.message(
            f"note: {held_out_name(config)} was already scored at step {earlier[-1]}; if that "
            "score influenced training, the next one is optimistic"
        )
    step, variables = last, eval_variables(state)
    if best and best.step != last:
        step = best.step
        variables = checkpoints.restore_variables(programs.state_shapes().variables, step)
    variables = finished(config, variables, step)
    with progress.activity("testing", f"tested {counted(images, 'image')}", images) as activity:
        predict = predictor(
            programs, programs.eval_step, "the evaluation", variables, progress, activity
        )
        found = find(predict, dataset, config, None, share_of(programs))

        def judge() -> dict[str, float]:
            results = detections_to_coco(dataset, found.detections)
            _write_detections(workdir, "test_detections.json", dataset, results, progress)
            return measure(found, dataset, config, results).metrics

        metrics = from_first(judge, "computing scores")
    named = {f"test/{name.removeprefix('eval/')}": value for name, value in metrics.items()}
    writer.write(last, {**named, "test/step": step})


def _write_detections(
    workdir: pathlib.Path,
    name: str,
    dataset: Dataset,
    results: list[dict[str, Any]],
    progress: Progress,
) -> None:
    path = workdir / "eval" / name
    write_patiently(lambda: write_detections(path, dataset, results), path, progress.message)


def share_of(programs: Programs) -> Share:
    """What this process does of the programs' batches."""
    return Share(programs.rows, gather, pool)


def predictor(
    programs: Programs,
    program: Program,
    name: str,
    variables: Variables,
    progress: Progress,
    activity: Activity,
    **options: Any,
) -> Callable[[Batch], Any]:
    """A program as a function of batches in host memory, which a person can follow.

    Args:
        programs: place the batches.
        program: to call with the variables, a batch on the devices, and the options; what it finds
            is returned for the images of the batch, which are those of this process.
        name: what is compiled, for a person.
        variables: for all calls.
        progress: shows that it is compiled.
        activity: counts the images.
        options: for all calls.
    """

    def predict(batch: Batch) -> Any:
        placed = programs.put_batch(batch)
        kind = f" for {orientation(batch)} images" if activity.done else ""
        progress.compile(name + kind, program, variables, placed, **options)
        found = jax.block_until_ready(program(variables, placed, **options))
        activity.advance(int((batch.image_weights > 0).sum()))
        progress.check()
        return own_part(found, programs.rows)

    return predict
