"""Faster R-CNN in JAX: pure functions under one jit, trained in one traced step."""
