"""Many short texts as one array of bytes, and the places in arrays that are cut into pieces."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

LONE = "surrogatepass"
"""Names of files that are not UTF-8 hold lone surrogates, which stay as they are."""


def starts_of(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where pieces of so many rows start, and where the last ends, (n + 1,) int64."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def ragged_places(starts: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The starts of some pieces when they follow one another, and their rows in the whole.

    Args:
        starts: (n + 1,) see `starts_of`.
        places: (m,) of the pieces.

    Returns:
        (m + 1,) int64 starts and (rows,) int64.
    """
    counts = np.diff(starts)[places]
    new = starts_of(counts)
    return new, np.arange(new[-1]) + np.repeat(starts[:-1][places] - new[:-1], counts)


@dataclasses.dataclass(frozen=True, eq=False)
class Texts(Sequence[str]):
    """Texts, each a string when it is asked for."""

    content: np.ndarray  # (bytes,) uint8, UTF-8
    starts: np.ndarray  # (n + 1,) int64

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """These texts as bytes."""
        encoded = [text.encode(errors=LONE) for text in texts]
        content = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(content, starts_of([len(text) for text in encoded]))

    @classmethod
    def concatenated(cls, parts: Sequence["Texts"]) -> "Texts":
        """The texts of several, in order."""
        counts = np.concatenate([np.diff(part.starts) for part in parts])
        return cls(np.concatenate([part.content for part in parts]), starts_of(counts))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: int) -> str:  # type: ignore[override]
        return bytes(self.content[self.starts[place] : self.starts[place + 1]]).decode(errors=LONE)

    def take(self, places: np.ndarray) -> "Texts":
        """The texts at some places, (m,) int."""
        starts, rows = ragged_places(self.starts, places)
        return Texts(self.content[rows], starts)
