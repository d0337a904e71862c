"""The training step, its optimiser, checkpoints and the loop around it."""
