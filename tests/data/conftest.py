"""Readers that this test run may not have: without them, no folder is in their formats."""

import importlib.util
import sys
import types

import pytest


@pytest.fixture(autouse=True)
def _missing_readers(monkeypatch):
    for name in ("jaxrcnn.data.yolo", "jaxrcnn.data.table", "jaxrcnn.data.image_folder"):
        if importlib.util.find_spec(name) is None:
            stub = types.ModuleType(name)
            stub.find_splits = lambda root: {}
            monkeypatch.setitem(sys.modules, name, stub)
