import pathlib
import re

import pytest

from jaxrcnn.cli.train_help import COMMON_FIELDS, train_help
from jaxrcnn.config import Config
from jaxrcnn.config_io import field_types

COMMON = [name for _, names in COMMON_FIELDS for name in names]


@pytest.fixture
def text(monkeypatch):
    """The help on a terminal with a number of columns."""

    def text(columns, all_fields=False, source="c/mine.py", program="train.py"):
        monkeypatch.setenv("COLUMNS", str(columns))
        workdir = pathlib.Path("runs/m")
        return train_help(source, workdir, Config(), program=program, all_fields=all_fields)

    return text


def rows(text):
    """The fields that are described, without those of the examples above."""
    return re.findall(r"^  --config\.(\S+)", text.partition("\nOptions:\n")[2], re.MULTILINE)


def test_the_common_fields_are_fields():
    assert len(set(COMMON)) == len(COMMON)
    assert set(COMMON) < field_types().keys()


def test_the_common_fields_are_shown_and_where_the_others_are(text):
    shown = text(100)
    assert rows(shown) == COMMON
    assert shown.count("default:") == len(COMMON) + 3
    assert "--help-all" in shown.splitlines()[-1]
    for title, _ in COMMON_FIELDS:
        assert f"\n\n{title}:\n  --config." in shown


def test_all_fields_are_shown_by_their_groups(text):
    shown = text(100, all_fields=True)
    assert sorted(rows(shown)) == sorted(field_types())
    below = shown.partition("--config.model.box_head.box_weight")[2]  # where it is interrupted
    assert below.index("--config.model.box_head.mining.keep") < below.index("--config.model.det")


@pytest.mark.parametrize("all_fields", [False, True])
@pytest.mark.parametrize(("columns", "most"), [(80, 80), (100, 100), (300, 100)])
def test_no_line_is_wider_than_the_terminal(text, columns, most, all_fields):
    widest = max(map(len, text(columns, all_fields).splitlines()))
    assert most - 2 <= widest <= most


def test_a_text_stands_beside_its_flag_or_below_it(text):
    assert re.search(r"^  --workdir DIR {10,}\w", text(100), re.MULTILINE)
    assert re.search(r"^  --workdir DIR\n {6}\w", text(80), re.MULTILINE)


def test_the_defaults_of_config_and_workdir(text):
    assert "(default: runs/m)" in text(100)
    assert "(default: c/mine.py)" in text(100)
    assert "(default: tiny)" in text(100, source="tiny")


def test_both_programs_have_the_same_help_but_for_their_names(text):
    script, command = text(100), text(100, program="jaxrcnn train")
    assert "\n  python train.py my_images\n" in script
    assert "\n  jaxrcnn train my_images\n" in command
    for name, shown in (("train.py", script), ("jaxrcnn train", command)):
        first, second = shown.splitlines()[:2]
        assert first.startswith(f"usage: {name} [DATA ...] [--from SOURCE]")
        assert second.index("[") == first.index("[")
    assert script.partition("\nOptions:")[2] == command.partition("\nOptions:")[2]
