"""What several checks use."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

COLLECTIONS = {"params", "constants", "batch_stats"}


def quick_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    # Compiled to run a time or two: the compiler's optimisations would cost more than they save.
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def run_network(module: Any, variables: Any, images: Any, train: bool) -> Any:
    rngs = {"dropout": jax.random.key(3)} if train else None
    return module.apply(variables, images, train=train, mutable=["batch_stats"], rngs=rngs)


def check_static(piece: Any) -> None:
    try:
        hash(piece)
    except TypeError as error:
        raise AssertionError("it can be a static argument under jit: hashable") from error


def check_variables(variables: Any) -> None:
    assert "params" in variables, "there are parameters"
    assert set(variables) <= COLLECTIONS, f"collections are among {sorted(COLLECTIONS)}"
    for array in jax.tree.leaves(variables["params"]):
        assert array.dtype == jnp.float32, "parameters are float32"


def check_statistics(variables: Any, new: Any) -> None:
    before = jax.tree.map(jnp.shape, variables.get("batch_stats", {}))
    after = jax.tree.map(lambda x: x.shape, new.get("batch_stats", {}))
    assert before == after, "batch statistics keep their names and shapes"


GARBAGE = np.array(
    [
        [np.nan] * 4,
        [np.inf, -np.inf, np.inf, np.inf],
        [1e30, -1e30, 3e38, 1e30],
        [50.0, 40.0, 10.0, 5.0],  # inside out
        [-500.0, -500.0, -400.0, -400.0],  # far outside
    ],
    np.float32,
)
