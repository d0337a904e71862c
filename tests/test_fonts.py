import pathlib

import matplotlib
import pytest

from jaxrcnn import fonts
from jaxrcnn.config import ConfigError
from jaxrcnn.fonts import Fonts, missing_characters

FOLDER = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
EVERYTHING = FOLDER / "LastResortHE-Regular.ttf"  # a glyph for every character
NAMES = ("cat", "собака", "γάτα", "قط", "חתול", "naïve", "piñón", "Straße")


def test_european_and_semitic_names_need_no_other_font():
    assert missing_characters(NAMES) == []
    assert Fonts(14).of("собака").getname() == ("DejaVu Sans", "Book")


def test_what_no_font_has_is_told_in_order_and_once():
    assert missing_characters(["a猫b", "cat", "犬猫"]) == ["猫", "犬"]
    assert missing_characters(["a猫b"], EVERYTHING) == []


def test_each_text_has_the_first_font_that_can_write_it():
    chosen = Fonts(14, FOLDER / "STIXSizOneSymReg.ttf")  # brackets and no letters
    assert chosen.of("cat").getname()[0] == "DejaVu Sans"
    assert chosen.of("()").getname()[0] == "STIXSizeOneSym"
    assert Fonts(14, EVERYTHING).of("cat").getname()[0] != "DejaVu Sans"
    assert Fonts(14.4).of("cat").size == 14


def test_the_environment_names_a_font_for_all_commands(monkeypatch):
    monkeypatch.setenv("JAXRCNN_FONT", str(EVERYTHING))
    assert missing_characters(["猫"]) == []
    monkeypatch.setenv("JAXRCNN_FONT", "")
    assert missing_characters(["猫"]) == ["猫"]


@pytest.mark.parametrize("content", [None, b"no font"])
def test_what_is_no_font_is_one_line(tmp_path, monkeypatch, content):
    path = tmp_path / "a.ttf"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.ttf cannot be used as a font \(") as caught:
        Fonts(14, path)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("JAXRCNN_FONT", str(path))
    fonts._is_font.cache_clear()
    with pytest.warns(FutureWarning, match=r"JAXRCNN_FONT: .*a\.ttf cannot be used as a font"):
        chosen = Fonts(14)
    assert chosen.of("cat").getname()[0] == "DejaVu Sans"
