import os
import signal

import numpy as np
import pytest

from jaxrcnn.checking import images
from jaxrcnn.checking.images import decode_all
from jaxrcnn.data.errors import fault
from jaxrcnn.data.records import make_record

NONE = np.zeros((0, 4))
DEADLY, TORN = 5, 7


def records_of(number):
    return [make_record(i, f"p{i}", "", (4, 6), NONE, []) for i in range(number)]


def read(record):
    """Images of two kinds; one ends the process, and one is torn."""
    if record.image_id == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if record.image_id == TORN:
        raise fault("p7.jpg", "image 7", "is torn", kind="image-damaged")
    return np.full((record.height, record.width, 3), record.image_id % 2, np.uint8)


def test_images_are_decoded_once_and_told_by_their_pixels():
    done = []
    records = [x for x in records_of(21) if x.image_id != DEADLY]
    looks = decode_all(read, records, 2, done.append)
    assert sum(done) == 20
    by_id = {record.image_id: look for record, look in zip(records, looks, strict=True)}
    assert by_id[0] == by_id[2] != by_id[1]
    assert by_id[TORN].digest == b""
    assert by_id[TORN].fault is not None
    assert by_id[TORN].fault.kind == "image-damaged"
    turned = decode_all(lambda x: read(x).transpose(1, 0, 2), records[:1], 1, done.append)
    assert turned[0].digest != by_id[0].digest


@pytest.mark.slow
def test_an_image_that_ends_its_process_is_a_fault_and_the_others_are_decoded(monkeypatch):
    monkeypatch.setattr(images, "FEW", 0)
    monkeypatch.setattr(images, "CHUNK", 2)
    done = []
    looks = decode_all(read, records_of(12), 2, done.append)
    assert sum(done) == 12
    assert [place for place, look in enumerate(looks) if look.fault] == [DEADLY, TORN]
    assert "ends the process" in looks[DEADLY].fault.what
    assert looks[0] == looks[10]
