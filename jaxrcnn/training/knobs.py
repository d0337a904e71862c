"""The fields of a config that a compiled program takes as arguments.

Runs that differ in these alone share their programs, so that a study of many seeds and gates
compiles once, and a sweep over them can run under `jax.vmap`.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrcnn.config import Config, ProfileConfig, ProposalsConfig
from jaxrcnn.types import Array


class Knobs(NamedTuple):
    """Traced scalars, by the names of the config's fields."""

    seed: Array | np.uint32
    pooling_gradient: Array | np.float32  # 0 with a closed gate
    target_gradient: Array | np.float32  # 0 with a closed gate
    open_after: Array | np.int32  # steps
    open_over: Array | np.int32  # steps


def knobs_of(config: Config) -> Knobs:
    """The knobs as a config sets them, numpy scalars."""
    gate = config.model.proposals
    widest = (0.0, 0.0) if gate.stop_gradient else (gate.pooling_gradient, gate.target_gradient)
    return Knobs(
        np.uint32(config.seed),
        np.float32(widest[0]),
        np.float32(widest[1]),
        np.int32(gate.open_after),
        np.int32(gate.open_over),
    )


def step_key(seed: jax.typing.ArrayLike, step: Array | int) -> Array:
    """The key of a step's draws; parameters are drawn from another branch of the seed."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 1), step)


def without_knobs(config: Config) -> Config:
    """The same config for all that differ in their knobs: what is left is static.

    A gate that never opens counts as shut, which costs less. The steps that are profiled and the
    weights that a run starts from do not affect the program.
    """
    train = dataclasses.replace(config.train, init="")
    gate, default = config.model.proposals, ProposalsConfig()
    never_opens = gate.pooling_gradient == gate.target_gradient == 0
    return _with_gate(
        dataclasses.replace(config, seed=0, train=train, profile=ProfileConfig()),
        stop_gradient=gate.stop_gradient or never_opens,
        pooling_gradient=default.pooling_gradient,
        target_gradient=default.target_gradient,
        open_after=default.open_after,
        open_over=default.open_over,
    )


def with_shut_gate(config: Config) -> Config:
    """A config whose second stage's loss does not reach the proposals' boxes."""
    return _with_gate(config, stop_gradient=True)


def with_open_gate(config: Config) -> Config:
    """A config whose gate is open on both routes."""
    return _with_gate(config, stop_gradient=False, pooling_gradient=1.0, target_gradient=1.0)


def _with_gate(config: Config, **fields: Any) -> Config:
    proposals = dataclasses.replace(config.model.proposals, **fields)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, proposals=proposals))
