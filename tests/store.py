"""What several processes tell each other, with one process beside others that a test plays."""

import itertools
import time

import jax

from jaxrcnn.training import hosts


class Store:
    """The store of jax's coordinator."""

    def __init__(self):
        self.values, self.asked = {}, 0
        """By key, and how often one was looked for."""

    def key_value_set(self, key, value):
        if key in self.values:
            raise RuntimeError("ALREADY_EXISTS")
        self.values[key] = value

    key_value_set_bytes = key_value_set

    def key_value_try_get(self, key):
        self.asked += 1
        if key not in self.values:
            raise RuntimeError("NOT_FOUND")
        return self.values[key]

    def key_value_dir_get(self, keys):
        return [(key, value) for key, value in self.values.items() if key.startswith(keys)]

    key_value_dir_get_bytes = key_value_dir_get

    def key_value_delete(self, key):
        """Keep it, for a process that is played later."""

    def blocking_key_value_get_bytes(self, key, _):
        for _ in range(1000):
            if key in self.values:
                return self.values[key]
            time.sleep(0.01)
        raise AssertionError(f"nobody sends {key}")

    def wait_at_barrier(self, key, _):
        """Go on: the others are not there at the same time."""


class Played:
    """A test as one of two processes, and then as the other."""

    def __init__(self, patch):
        self.store, self._patch = Store(), patch
        patch.setattr(jax, "process_count", lambda: 2)
        patch.setattr(hosts, "client", lambda: self.store)
        self.become(0)

    def become(self, number):
        """Begin as a process with such a number."""
        self._patch.setattr(jax, "process_index", lambda: number)
        self._patch.setattr(hosts, "_numbers", itertools.count())
        self._patch.setattr(hosts, "_sent", [])
