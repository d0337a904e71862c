"""A stranger's model: what its files name is neither imported nor opened."""

import contextlib
import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.config import ConfigError
from jaxrcnn.data.errors import DataError
from jaxrcnn.model import load
from jaxrcnn.training.checksums import Checksum
from jaxrcnn.training.files import FILE, write_list
from tests.blocked import blocked
from tests.tiny import write_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(whole, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(whole, copy)
    return copy


def list_again(folder):
    """Give a model's files new checksums, as whoever changes them can."""
    weights = folder / "weights"
    tree = json.loads((weights / FILE).read_text())
    leaves = {name: Checksum(**each) for name, each in tree["leaves"].items()}
    (weights / FILE).unlink()
    write_list(weights, leaves)


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """A file that is there once a module or a class of this name was used."""
    module = tmp_path / "path/planted_module.py"
    module.parent.mkdir()
    mark = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    module.write_text(f"{mark}class Handler: pass\n")
    monkeypatch.syspath_prepend(str(module.parent))
    yield tmp_path / "ran"
    sys.modules.pop("planted_module", None)


def edit(path, change):
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def handlers(folder):
    named = {"state": "planted_module.Handler", "other": "planted_module.Handler"}
    edit(folder / "weights/_CHECKPOINT_METADATA", lambda tree: tree.update(item_handlers=named))


def one_handler(folder):
    change = {"item_handlers": "planted_module.Handler"}
    edit(folder / "weights/_CHECKPOINT_METADATA", lambda tree: tree.update(change))


def value_types(folder):
    def change(tree):
        for entry in tree["tree_metadata"].values():
            entry["value_metadata"]["value_type"] = "planted_module.Handler"

    edit(folder / "weights/state/_METADATA", change)


def stores(folder):
    store = {"kvstore": "http://127.0.0.1:9/x/", "base": "file:///etc/", "driver": "planted_module"}
    edit(folder / "weights/state/_METADATA", lambda tree: tree.update(store, ts_spec=store))


def pieces(folder):
    piece = {"name": "planted_module.Handler", "source": None}
    (folder / "pieces.json").write_text(json.dumps({"backbone": piece, "box_head": piece}))


@pytest.mark.parametrize("change", [handlers, one_handler, value_types, stores, pieces])
@pytest.mark.filterwarnings("ignore")
def test_nothing_that_a_folder_names_is_imported(folder, ran, change):
    change(folder)
    list_again(folder)
    with contextlib.suppress(ConfigError):  # to load it without what is named is right too
        load(folder)
    assert not ran.exists()
    assert "planted_module" not in sys.modules
    __import__("planted_module")  # it could have been
    assert ran.exists()


@pytest.mark.filterwarnings("ignore")
def test_keys_that_lead_out_of_the_folder_are_an_error(folder):
    """Without OCDBT, an array's folder is named by its key: one with ".." is not in the model."""

    def change(tree):
        tree["use_ocdbt"] = False
        for entry in tree["tree_metadata"].values():
            for part in entry["key_metadata"]:
                part["key"] = f"../../../{part['key']}"

    edit(folder / "weights/state/_METADATA", change)
    list_again(folder)
    with pytest.raises(ConfigError):
        load(folder)


def test_prediction_has_the_time_limit_of_the_models_config(folder, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "a.png")
    model = load(folder, **{"data.read_timeout": 0.1})
    said = pytest.raises(DataError, match=r"a\.png: gave no answer within 0\.1 s")
    with blocked(monkeypatch, "a.png"), said:
        model.predict([tmp_path / "a.png"])
