from collections import Counter

import numpy as np
import pytest

from jaxrcnn.data import checked
from jaxrcnn.data.checked import BadBox, Boxed, make_records
from jaxrcnn.data.checks import FaultLog
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.image_files import ImageFile


def boxed(number, *corners, faults=(), difficult=(), size=(20, 40)):
    """Image `number` with boxes of labels 1, 2, ..., whose annotation ids are ten times that."""
    rows = range(1, len(corners) + 1)
    image = ImageFile(f"/set/{number}.png", size, as_stored=number == 2)
    return Boxed(
        number,
        f"{number}.png",
        image,
        f"{number}.txt",
        faults,
        corners,
        rows,
        [10 * row for row in rows],
        difficult or [False] * len(corners),
        lambda place: (f"line {place + 1}", f"box {place + 1}: "),
    )


IMAGES = (
    boxed(1, (1, 2, 3, 4.5), (0, 0, 41, 20)),
    boxed(2),
    boxed(5, (9, 9, 3, 12), (5, 5, 5, 9), (1, 1, 2, 2), faults=[BadBox("line 9", "x")]),
    boxed(6, (3, 3, 39, 30), (0, 0, np.nan, 1), (7, 7, 8, 8), size=(40, 39)),
)


@pytest.mark.parametrize("block", [1, 2, 4096])
def test_records_have_the_good_boxes_of_their_images(monkeypatch, block):
    monkeypatch.setattr(checked, "BLOCK", block)
    log, counts = FaultLog("skip"), Counter()
    records, good = make_records(IMAGES, log, counts)
    assert [(r.image_id, r.source_id, r.name, r.file) for r in records] == [
        (n, n, f"{n}.png", f"/set/{n}.png") for n in (1, 2, 5, 6)
    ]
    assert [(r.height, r.width, r.as_stored) for r in records] == [
        *((20, 40, False), (20, 40, True), (20, 40, False), (40, 39, False))
    ]
    assert [r.boxes.tolist() for r in records] == [
        [[1, 2, 3, 4.5], [0, 0, 40, 20]],
        [],
        [[1, 1, 2, 2]],
        [[3, 3, 39, 30], [7, 7, 8, 8]],
    ]
    assert [r.labels.tolist() for r in records] == [[1, 2], [], [3], [1, 3]]
    assert [r.annotation_ids.tolist() for r in records] == [[10, 20], [], [30], [10, 30]]
    assert [r.area.tolist() for r in records] == [[5, 800], [], [1], [972, 1]]
    assert good.tolist() == [True, True, False, False, True, True, False, True]
    assert counts == {"cut": 1, "empty": 1}
    assert [line.split(";")[0] for line in log.lines] == [
        "5.txt: line 9: x",
        "5.txt: line 1: box 1: the box (9, 9, 3, 12) is inverted",
        "6.txt: line 2: box 2: the box (0, 0, nan, 1) has a coordinate that is not finite",
    ]
    kinds = ["record-invalid", "box-inverted", "box-empty", "box-not-finite"]
    assert [fault.kind for fault in log.faults] == kinds
    assert log.faults[2].box == (5, 5, 5, 9)


def test_the_first_faulty_image_is_named():
    images = (boxed(1, (1, 2, 3, 4)), boxed(2, (9, 9, 3, 12)), *IMAGES)
    with pytest.raises(DataError, match=r"^2\.txt: line 1: box 1: the box \(9, 9, 3, 12\) is inve"):
        make_records(images, FaultLog("raise"), Counter())


@pytest.mark.parametrize("keep", [False, True])
def test_difficult_boxes_are_ignored_unless_they_are_kept(keep):
    image = boxed(1, (1, 2, 1, 4), (1, 2, 3, 4), (1, 1, 2, 2), difficult=[True, True, False])
    ((record,), _) = make_records([image], FaultLog("raise"), Counter(), keep)
    assert record.difficult.tolist() == [True, False]
    assert record.ignore.tolist() == [not keep, False]
    assert not record.crowd.any()


def test_without_images_there_are_no_records():
    records, good = make_records([], FaultLog("raise"), Counter())
    assert (len(records), records.boxes.shape, good.shape) == (0, (0, 4), (0,))
