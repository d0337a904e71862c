"""A program that trains configs/tiny.py on some of the CPU's cores, and writes what became of it.

python tests/on_cores.py CORES STEPS FILE, such as 0,1 20 found.npz
"""

import hashlib
import os
import sys
from dataclasses import replace


def main(cores: str, steps: int, path: str) -> None:
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})  # before jax counts them
    import jax
    import numpy as np

    from configs.tiny import get_config
    from jaxrcnn.data.datasets import open_train_dataset
    from jaxrcnn.data.loader import train_batches
    from jaxrcnn.detector import build
    from jaxrcnn.training.sharding import compile_programs

    config = get_config()
    config = replace(config, train=replace(config.train, steps=steps))
    programs = compile_programs(build(config.model), config)
    state, losses, seen = programs.create_state(), [], hashlib.sha256()
    for batch in train_batches(open_train_dataset(config), config):
        for array in jax.tree.leaves(batch):
            seen.update(np.asarray(array).tobytes())
        state, metrics = programs.train_step(state, programs.put_batch(batch))
        losses.append(jax.device_get(metrics["loss"]))
    parameters, _ = jax.flatten_util.ravel_pytree(state.variables["params"])
    np.savez(path, batches=seen.hexdigest(), losses=losses, parameters=parameters)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
