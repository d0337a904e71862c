import pathlib
import re

import pytest

from jaxrcnn.cli.field_help import field_help
from jaxrcnn.config import Config, ConfigError, DataConfig
from jaxrcnn.data.augment.arguments import arguments_of, complaint
from jaxrcnn.data.augment.names import AUGMENTATIONS, Call, describe, parse
from tests.data.augment.settings import setting_of

ROOT = pathlib.Path(__file__).parents[3]
CALL = "expected a call, such as mosaic(p=0.5)"


def test_calls_are_read_with_their_arguments():
    entries = ("mosaic(p=0.25, low=1)", " photometric() ", "cutout(count=3,fill=0)")
    assert parse(entries) == (
        Call("mosaic", (("p", 0.25), ("low", 1))),
        Call("photometric", ()),
        Call("cutout", (("count", 3), ("fill", 0))),
    )
    assert parse(()) == ()
    assert [call.images for call in parse((*entries, "copy_paste()"))] == [4, 1, 1, 2]


def test_a_call_makes_the_transform_with_what_it_needs():
    setting = setting_of(canvas=(8, 9))
    mosaic = Call("mosaic", (("p", 0.25),)).transform(setting)
    assert (mosaic.p, mosaic.low, mosaic.setting) == (0.25, 0.5, setting)
    assert not hasattr(Call("photometric", ()).transform(setting), "setting")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("mosaik(p=0.5)", "there is no augmentation 'mosaik'; did you mean mosaic?"),
        ("xyz()", f"there is no augmentation 'xyz' (there are {', '.join(AUGMENTATIONS)})"),
        ("mosaic", "expected a call, such as mosaic()"),
        ("mosaic(0.5)", f"arguments are given by name: {describe('mosaic')}"),
        ("mosaic(centr=0.5)", "mosaic takes no argument 'centr'; did you mean centre?"),
        ("rotate90(x=1)", "rotate90 takes no argument 'x' (there are p)"),
        ("mosaic(**{'p': 1})", f"arguments are given by name: {describe('mosaic')}"),
        ("mosaic(p=0, p=1)", "p is given twice"),
        ("mosaic(p=1.5)", "p=1.5: expected a number from 0.0 to 1.0"),
        ("mosaic(p=-1)", "p=-1: expected a number from 0.0 to 1.0"),
        ("mosaic(p='0.5')", "p='0.5': expected a number from 0.0 to 1.0"),
        ("mosaic(p=True)", "p=True: expected a number from 0.0 to 1.0"),
        ("mosaic(p=1e999)", "p=1e999: expected a number from 0.0 to 1.0"),
        ("mosaic(p=open('x'))", "p=open('x'): expected a number from 0.0 to 1.0"),
        ("iou_crop(ratio=0.5)", "ratio=0.5: expected a number of at least 1.0"),
        ("iou_crop(ratio=1e999)", "ratio=1e999: expected a number of at least 1.0"),
        ("cutout(count=1.5)", "count=1.5: expected a whole number from 1 to 1000"),
        ("photometric(swap=1)", "swap=1: expected True or False"),
        ("random_crop(low=0.9, high=0.5)", "low=0.9 must not exceed high=0.5"),
        ("large_scale_jitter(low=3)", "low=3 must not exceed high=2.0"),
        ("horizontal_flip(p=0.5)", "set data.horizontal_flip instead"),
        ("vertical_flip()", "set data.vertical_flip instead"),
        ("short_side()", "set data.train_short_sides instead"),
        ("__import__('os').system('exit')", CALL),
        ("mosaic()()", CALL),
        ("mosaic() + cutout()", CALL),
        ("mosaic(", CALL),
        ("", CALL),
    ],
)
def test_what_is_no_augmentation_is_one_line(entry, what):
    with pytest.raises(ConfigError) as caught:
        parse(("photometric()", entry))
    assert str(caught.value) == f"data.augment: {entry!r}: {what}"


def test_a_deep_value_is_one_line_too():
    with pytest.raises(ConfigError) as caught:
        parse((f"mosaic(p={'-' * 1500}1)",))
    assert len(str(caught.value)) < 500


def test_a_long_entry_is_shown_by_its_beginning():
    with pytest.raises(ConfigError) as caught:
        parse(("(" * 5000,))
    assert str(caught.value) == f"data.augment: '{'(' * 200}...': {CALL}"


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_help_and_the_page_list_all_with_their_defaults(name):
    call = describe(name)
    assert parse((call,))[0].name == name
    assert call in field_help(Config())["data.augment"].text
    page = (ROOT / "docs" / "data.md").read_text()
    assert f"`{call}`" in " ".join(page.split())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_defaults_are_within_their_ranges(name):
    for field in arguments_of(AUGMENTATIONS[name]).values():
        assert complaint(field, field.default) is None


def test_no_augmentation_is_on_by_default():
    assert DataConfig().augment == ()
    assert re.match(r"[a-z0-9_]+\(.*\)$", describe("rotate90"))
