import numpy as np

from jaxrcnn.data.texts import Texts, ragged_places, starts_of

TEXTS = ["a.png", "", "\u00e4\U0001f600", "lone \udcff \ud800", "b"]


def test_texts_are_what_they_were_made_of():
    texts = Texts.of(TEXTS)
    assert list(texts) == TEXTS
    assert list(Texts.concatenated([texts, Texts.of([]), texts])) == TEXTS + TEXTS
    assert list(texts.take(np.array([3, 0, 3]))) == [TEXTS[3], TEXTS[0], TEXTS[3]]
    assert list(texts.take(np.zeros(0, np.int64))) == []


def test_rows_of_pieces_are_found():
    starts = starts_of([2, 0, 3])
    assert starts.tolist() == [0, 2, 2, 5]
    new, rows = ragged_places(starts, np.array([2, 1, 0, 2]))
    assert new.tolist() == [0, 3, 3, 5, 8]
    assert rows.tolist() == [2, 3, 4, 0, 1, 2, 3, 4]
