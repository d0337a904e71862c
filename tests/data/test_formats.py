import sys
import types

import pytest

from jaxrcnn.config import DataConfig
from jaxrcnn.data import formats
from jaxrcnn.data.formats import FORMATS

DATA = DataConfig(
    keep_difficult=True, on_error="skip", voc_one_based=False, max_pixels=7, columns=("image=x",)
)


class Recorder:
    """A module whose functions return what they were called with."""

    def __getattr__(self, name):
        return lambda *given, **named: (name, *given, named)


@pytest.mark.parametrize(
    ("name", "module", "reader", "given", "named"),
    [
        ("coco", "", "read_coco", ("skip", 7), {}),
        (
            "voc",
            "",
            "read_voc",
            (),
            {"keep_difficult": True, "on_error": "skip", "one_based": False, "max_pixels": 7},
        ),
        ("yolo", "yolo", "read_yolo", ("skip", 7), {}),
        ("imagefolder", "image_folder", "read_image_folder", ("skip", 7), {}),
        ("table", "table", "read_table", (("image=x",), "skip", 7), {}),
    ],
)
def test_fields_of_the_config_reach_every_reader(monkeypatch, name, module, reader, given, named):
    recorder = Recorder()
    monkeypatch.setattr(formats, "read_coco", recorder.read_coco)
    monkeypatch.setattr(formats, "read_voc", recorder.read_voc)
    if module:
        stub = types.ModuleType(module)
        stub.__dict__.update(
            {reader: getattr(recorder, reader), "find_splits": lambda root, *_: root}
        )
        monkeypatch.setitem(sys.modules, f"jaxrcnn.data.{module}", stub)
        assert FORMATS[name].find_splits("root") == "root"
    found = FORMATS[name].read(DATA, "root", ("train",), ("a",))
    assert found == (reader, "root", ("train",), ("a",), *given, named)


def test_every_format_but_the_drawn_one_has_a_reader():
    kinds = set(DataConfig.__annotations__["format"].__args__)
    assert set(FORMATS) == kinds - {"shapes", "auto"}
