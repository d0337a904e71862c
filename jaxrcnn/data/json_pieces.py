"""Large JSON files of tables, parsed in pieces: the whole of one as objects takes gigabytes."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

MANY = 1024
"""Entries of a list that come at a time."""

AFTER = {*",:]} \t\n\r"}
"""What may follow a value."""

BLANKS = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode


class NotInPieces(ValueError):
    """The text is not what is read in pieces; `json.loads` says what it is."""


class _Text:
    """A text that comes in pieces, and the place in it up to which it is parsed."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = iter(pieces)
        self.text = ""
        self.place = 0

    def more(self) -> bool:
        """Read on; what is parsed is dropped. False where there is nothing more."""
        piece = next(self._pieces, "")
        self.text = self.text[self.place :] + piece
        self.place = 0
        return piece != ""

    def peek(self) -> str:
        """The next character that is no blank; "" at the end."""
        while True:
            self.place = _skip(self.text, self.place)
            if self.place < len(self.text):
                return self.text[self.place]
            if not self.more():
                return ""

    def take(self, wanted: str) -> str:
        """The next character, which is one of these."""
        found = self.peek()
        if not found or found not in wanted:
            raise NotInPieces(f"expected one of {wanted}")
        self.place += 1
        return found

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = _decode(self.text, self.place)
                if self.text[end : end + 1] in AFTER:  # else a number could go on
                    self.place = end
                    return value
            except json.JSONDecodeError:
                pass
            except ValueError as error:  # a number of very many digits
                raise NotInPieces(str(error)) from error
            # Twice as much each time, so that what is parsed again stays as much as there is.
            wanted, is_more = 2 * (len(self.text) - self.place), False
            while len(self.text) - self.place < wanted and self.more():
                is_more = True
            if not is_more:
                raise NotInPieces("a value does not end")

    def entries(self) -> Iterator[list[Any]]:
        """The values of a list that has begun, `MANY` at a time."""
        if self.peek() == "]":
            self.place += 1
            return
        while True:
            entries = self._entries_there() or [self.value()]
            yield entries
            if self.take(",]") == "]":
                return

    def _entries_there(self) -> list[Any]:
        """Up to `MANY` values that are in the text already, without a comma behind the last."""
        entries: list[Any] = []
        text, place = self.text, _skip(self.text, self.place)
        try:
            while len(entries) < MANY:
                entry, end = _decode(text, place)
                if text[end : end + 2] == ", ":  # as `json.dump` writes it
                    place = end + 2
                else:
                    place = _skip(text, end)
                    if text[place : place + 1] != ",":
                        # The last one, or one at the end of the text, where a number could go on.
                        break
                    place = _skip(text, place + 1)
                entries.append(entry)
                self.place = end
        except ValueError:  # at the end of the text, or a fault
            pass
        return entries


def _skip(text: str, place: int) -> int:
    """The place of the first character from `place` on that is no blank."""
    match = BLANKS.match(text, place)
    return match.end() if match else place


def parse_tables(
    pieces: Iterable[str], tables: Collection[str]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The objects of some lists that the object in a text has, as `json.loads` would give them.

    Args:
        pieces: of the text.
        tables: keys of the lists; values of other keys are parsed and dropped.

    Yields:
        A key and objects of its list, those of a list in several parts. All lists come; an empty
        one with no objects.

    Raises:
        NotInPieces: a list is missing, is no list of objects or is there twice, or the text is not
            JSON.
    """
    text = _Text(pieces)
    missing = set(tables)
    text.take("{")
    while text.peek() != "}":
        key = text.value()
        text.take(":")
        if not isinstance(key, str):
            raise NotInPieces("a key is no string")
        if key not in tables:
            text.value()
        else:
            if key not in missing:
                raise NotInPieces(f"{key} is there twice")
            missing.remove(key)
            text.take("[")
            yield key, []
            for entries in text.entries():
                if not all(isinstance(entry, dict) for entry in entries):
                    raise NotInPieces(f"an entry of {key} is no object")
                yield key, entries
        if text.peek() != "}":
            text.take(",")
            if text.peek() == "}":
                raise NotInPieces("a comma too many")
    text.take("}")
    if text.peek() or missing:
        raise NotInPieces("something is missing or follows")
