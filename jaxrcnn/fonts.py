"""Fonts for text on images, in whatever script class names are."""

import functools
import os
import pathlib
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jaxrcnn.config import ConfigError

if TYPE_CHECKING:
    from PIL import ImageFont

VARIABLE = "JAXRCNN_FONT"
"""Environment variable with a font file to try first."""


class Fonts:
    """The fonts to write with, in one size: the one that is asked for, then DejaVu Sans.

    DejaVu has Latin, Greek, Cyrillic, Arabic, Hebrew and more, but no Chinese, Japanese or Korean.

    Args:
        size: in pixels.
        file: TrueType or OpenType font to prefer; by default that of $JAXRCNN_FONT, if set.

    Raises:
        ConfigError: the file is no such font.
    """

    def __init__(self, size: float, file: str | os.PathLike[str] | None = None) -> None:
        self._fonts = [(name, _open(name, round(size))) for name in _files(file)]

    def of(self, text: str) -> "ImageFont.FreeTypeFont":
        """The font that has most of a text's characters, of several the first."""
        files = [name for name, _ in self._fonts]
        best = min(files, key=lambda name: len(_missing(text, name)))
        return dict(self._fonts)[best]


def missing_characters(
    texts: Iterable[str], file: str | os.PathLike[str] | None = None
) -> list[str]:
    """The characters that no font has, and that are drawn as boxes.

    Args:
        texts: to write.
        file: as for `Fonts`.

    Raises:
        ConfigError: the file is no such font.
    """
    missing: dict[str, None] = {}
    for text in texts:
        fewest = min((_missing(text, name) for name in _files(file)), key=len)
        missing.update(dict.fromkeys(fewest))
    return list(missing)


def _files(file: str | os.PathLike[str] | None) -> list[str]:
    """The preferred font, if there is one, and DejaVu Sans."""
    import matplotlib

    own = str(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
    if file is not None:
        _check(os.fspath(file))
        return [os.fspath(file), own]
    preferred = os.environ.get(VARIABLE, "")
    return [preferred, own] if preferred and _is_font(preferred) else [own]


@functools.cache
def _is_font(file: str) -> bool:
    """Whether it can be used; says so once if not, for a run must not end because of a font."""
    try:
        _check(file)
    except ConfigError as error:
        warnings.warn(f"{VARIABLE}: {error}", FutureWarning, stacklevel=2)
        return False
    return True


def _check(file: str) -> None:
    try:
        _characters(file)
        _open(file, 12)
    except (OSError, RuntimeError) as error:  # Pillow's and matplotlib's
        reason = getattr(error, "strerror", None) or "it is not a font file"
        raise ConfigError(f"{file} cannot be used as a font ({reason})") from error


@functools.lru_cache(maxsize=32)
def _open(file: str, size: int) -> "ImageFont.FreeTypeFont":
    from PIL import ImageFont

    return ImageFont.truetype(file, size)


def _missing(text: str, file: str) -> list[str]:
    known = _characters(file)
    return [character for character in text if ord(character) not in known]


@functools.cache
def _characters(file: str) -> frozenset[int]:
    """The code points that a font has glyphs for."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(file).get_charmap())
