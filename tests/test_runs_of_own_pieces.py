"""A run whose detector, optimiser and data set have pieces that no config describes."""

import dataclasses
import json

import jax
import numpy as np
import optax
import pytest

from configs.tiny import get_config
from jaxrcnn import load
from jaxrcnn.config import ConfigError
from jaxrcnn.data import keep_boxes, open_datasets
from jaxrcnn.detector import build
from jaxrcnn.run_start import open_folder
from jaxrcnn.runs import run
from jaxrcnn.stages.gate import gate
from jaxrcnn.stages.losses import roi_losses
from jaxrcnn.training.checkpoint import Checkpoints
from jaxrcnn.training.metrics import MetricsWriter
from jaxrcnn.training.optimizer import default_optimizer
from jaxrcnn.training.pieces import own_pieces, write_pieces
from tests.killed import killed_after_a_checkpoint


def own_gate(rois, config, gates=None):
    return gate(rois, config, gates)


def own_losses(*arguments):
    return tuple(2 * x for x in roi_losses(*arguments))


def momentum(config, first_step):
    return optax.sgd(0.01, momentum=0.9)


def keep_larger(sample, record, rng):
    if rng is None or rng.random() < 0.5:
        return sample
    return keep_boxes(sample, sample.boxes[:, 2] - sample.boxes[:, 0] > 16)


def run_own(workdir, optimizer=momentum, **pieces):
    """A run of configs/tiny.py with pieces of its own; of the data set too."""
    config = get_config()
    train_set, eval_set = open_datasets(config)
    train_set = dataclasses.replace(train_set, transforms=(keep_larger,))
    pieces = {"gate": own_gate, "roi_losses": own_losses, **pieces}
    detector = build(config.model, **pieces)
    run(config, workdir, detector, train_set, eval_set, optimizer)


def test_a_run_does_not_go_on_with_other_pieces(tmp_path):
    config = get_config()
    open_folder(config, tmp_path, open_datasets(config)[0])
    pieces = {"optimizer": momentum, "train_transforms": (keep_larger,)}
    detector = build(config.model, gate=own_gate, roi_losses=own_losses)
    write_pieces(tmp_path, own_pieces(detector, **pieces))
    here = own_gate.__module__
    for changed, name in (
        ({"gate": gate}, f"gate {here}.own_gate"),
        ({"optimizer": default_optimizer}, f"optimizer {here}.momentum"),
    ):
        with pytest.raises(ConfigError) as stop:
            run_own(tmp_path, **changed)
        assert str(stop.value).startswith(f"{tmp_path} was made with {name}, not with ")
    write_pieces(tmp_path, own_pieces(detector, optimizer=momentum))
    with pytest.raises(ConfigError, match=f"not with train_transforms {here}.keep_larger"):
        run_own(tmp_path)
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.slow
def test_a_killed_run_with_pieces_of_its_own_ends_as_if_it_had_not_been(tmp_path, capsys):
    run_own(tmp_path / "whole")
    with killed_after_a_checkpoint(), pytest.raises(KeyboardInterrupt):
        run_own(tmp_path / "killed")
    path = tmp_path / "killed" / "pieces.json"
    pieces = json.loads(path.read_text())
    assert list(pieces) == ["gate", "roi_losses", "optimizer", "train_transforms"]
    pieces["optimizer"]["source"] = "of an earlier version"
    path.write_text(json.dumps(pieces))
    capsys.readouterr()
    run_own(tmp_path / "killed")
    name = f"{momentum.__module__}.momentum"
    assert f"killed: the source of optimizer {name} has changed" in capsys.readouterr().out
    with Checkpoints(tmp_path / "whole", 1) as whole, Checkpoints(tmp_path / "killed", 1) as killed:
        assert whole.steps[-1] == killed.steps[-1] == 4
    rows, others = (
        [
            {k: v for k, v in row.items() if k != "train/images_per_second"}
            for row in MetricsWriter.read(tmp_path / name / "metrics.jsonl")
        ]
        for name in ("whole", "killed")
    )
    assert rows == others
    assert not [name for row in rows for name in row if name == "train/learning_rate"]
    one, other = (load(tmp_path / name) for name in ("whole", "killed"))
    jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)
