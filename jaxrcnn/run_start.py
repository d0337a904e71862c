"""What a run begins with; all that can refuse it comes before anything is written."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxrcnn.config import Config
from jaxrcnn.data.datasets import check_classes
from jaxrcnn.data.fingerprint_file import describe_data
from jaxrcnn.data.planning import images_per_epoch
from jaxrcnn.data.records import Dataset
from jaxrcnn.detector import COLLECTIONS, Detector
from jaxrcnn.feeding import Given, read_given
from jaxrcnn.interop.initial_weights import check_init
from jaxrcnn.provenance import Provenance, check_data, find_provenance, write_provenance
from jaxrcnn.scoring import check_keep_best, check_test
from jaxrcnn.training import workdir as run_folder
from jaxrcnn.training.alternating import describe_phases
from jaxrcnn.training.damage import Damage, find_damage, leave_out
from jaxrcnn.training.epochs import describe_epochs, describe_schedule, with_epochs
from jaxrcnn.training.gates import describe_gate
from jaxrcnn.training.layers import check_layers
from jaxrcnn.training.optimizer import Optimizer, default_optimizer
from jaxrcnn.training.pieces import Piece, claim_pieces, own_pieces
from jaxrcnn.training.resumable import Change, describe_changes
from jaxrcnn.training.sharding import Programs, compile_programs
from jaxrcnn.training.trackers import require_trackers


class Start(NamedTuple):
    """What a run begins with, or goes on with; nothing is written yet."""

    config: Config
    workdir: pathlib.Path
    train_set: Dataset
    eval_set: Dataset
    test_set: Dataset | None
    given: Given
    programs: Programs
    pieces: dict[str, Piece]
    damage: Damage
    changes: list[Change]  # of the config, since the run began
    provenance: Provenance
    lines: list[str]  # for a person

    def name_image(self, index: int) -> str:
        """The name of a training image, by its place in the data set."""
        return self.train_set.records[index].name


def prepare(
    config: Config,
    workdir: pathlib.Path,
    detector: Detector,
    train_set: Dataset,
    eval_set: Dataset,
    test_set: Dataset | None,
    optimizer: Optimizer,
) -> Start:
    """See that the run can be done, which leaves its folder as it was.

    Raises:
        CheckpointError, ConfigError, DataError: see `jaxrcnn.runs.run`.
    """
    for dataset in (train_set, eval_set, *([test_set] if test_set else [])):
        check_classes(dataset, config)
    damage = find_damage(workdir, config)
    data = check_data(config, workdir, describe_data(config, train_set, eval_set), damage.good)
    config = with_epochs(config, epoch_length(train_set, config))
    config, changes = run_folder.change(workdir, config, damage.good, moved=data.is_known)
    check_keep_best(config, eval_set)
    if test_set is not None:
        check_test(config)
    require_trackers(config)
    programs = compile_programs(detector, config, optimizer)
    given = read_given(config, train_set, eval_set)
    if not damage.good:
        check_start(config, programs, train_set.class_names)
    pieces = own_pieces(
        detector,
        optimizer=None if optimizer is default_optimizer else optimizer,
        train_transforms=train_set.transforms,
        eval_transforms=eval_set.transforms,
    )
    provenance = find_provenance(config, workdir, data, damage.good)
    lines = [*describe_changes(config, changes), *provenance.lines]
    lines += describe_training(config, train_set, optimizer)
    return Start(
        *(config, workdir, train_set, eval_set, test_set, given, programs, pieces),
        *(damage, changes, provenance, lines),
    )


def write_start(start: Start, say: Callable[[str], None]) -> None:
    """Write to the folder what the run begins with, and tell a person."""
    claim_pieces(start.workdir, start.pieces, say)
    lines = leave_out(start.workdir, start.damage)
    write_provenance(start.workdir, start.provenance)
    run_folder.write_changes(start.workdir, start.config, start.changes)
    for line in [*lines, *start.lines]:
        say(line)


def open_folder(config: Config, workdir: pathlib.Path, train_set: Dataset) -> None:
    """Make the folder of a run, with its config and classes, or see that it is of this config.

    Raises:
        ConfigError: the folder holds a run of another config.
    """
    run_folder.claim(workdir, config)
    run_folder.write_classes(workdir, train_set.class_names, train_set.category_ids)


def check_start(config: Config, programs: Programs, class_names: Sequence[str]) -> None:
    """See that a new run can start, before anything is written or compiled.

    Raises:
        ConfigError: the initial weights do not fit the config, a frozen norm has none, or there is
            no such layer as train.freeze or train.optimizer.rate_factors names.
    """
    layers = config.train.freeze or config.train.optimizer.rate_factors
    if config.train.init or layers or config.model.backbone.norm == "frozen":
        shapes = programs.state_shapes().variables
        check_layers(config, shapes)
        own = {collection: shapes[collection] for collection in COLLECTIONS}
        check_init(config, own, class_names)


def epoch_length(train_set: Dataset, config: Config) -> int:
    """Images of an epoch on average, repeated ones counted as often as they are used."""
    return round(images_per_epoch(train_set, config))


def describe_training(config: Config, train_set: Dataset, optimizer: Optimizer) -> list[str]:
    """What a person should know about the gate, the phases and the schedule before training."""
    lines = [*describe_gate(config.model), *describe_phases(config)]
    lines += describe_epochs(config, epoch_length(train_set, config))
    return lines + (describe_schedule(config) if optimizer is default_optimizer else [])
