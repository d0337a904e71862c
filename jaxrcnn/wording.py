"""Numbers and foreign text in messages for people."""

import unicodedata

ACTS = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that are not seen but may act: on a terminal, on a line."""

HARMLESS = "\n\t\u200c\u200d"
"""Those of them that stay; the last two shape Persian words and join emoji."""

LONGEST = 500
"""Characters of what a message quotes; of longer texts it shows the ends."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun: ``1 image``, ``2 images``.

    Args:
        number: of the things.
        noun: for one of them.
        plural: for any other number; by default the noun with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def legible(text: str) -> str:
    """A message in which names from files change neither a terminal's state nor its lines.

    Control characters, such as those of ANSI's escape sequences, those that change the direction of
    writing, and halves of surrogate pairs become escapes as in Python: ``\\x1b``. Line feeds and
    tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        character if _is_legible(character) else _escaped(character) for character in text
    )


def one_line(text: str) -> str:
    """The same on a single line."""
    return legible(" ".join(text.splitlines()))


def _is_legible(character: str) -> bool:
    return character in HARMLESS or unicodedata.category(character) not in ACTS


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def missing(what: str, packages: str, error: ImportError, extra: str) -> str:
    """The error message for a field that requires packages that are not installed.

    Args:
        what: the field and its value.
        packages: that it requires.
        error: raised by their import.
        extra: of jaxrcnn that installs them.
    """
    return (
        f"{what} requires {packages}, which cannot be imported ({error}): "
        f"pip install 'jaxrcnn[{extra}]'"
    )


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, or where it is longer than so many characters its ends."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"
