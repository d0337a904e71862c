import dataclasses

import pytest

from jaxrcnn.data.errors import DataError, fault
from jaxrcnn.data.left_out import check_left_out
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.share import Share
from tests.data.small import config_of, small_dataset


def test_a_share_of_the_images_may_be_left_out_and_not_more():
    dataset = small_dataset()
    lost = dataclasses.replace(dataset, lost_images=1, skipped=("a.png: image 1: torn",))
    share = 1 / (len(dataset) + 1)
    check_left_out(lost, config_of(on_error="skip", max_skipped_share=share))
    few = config_of(on_error="skip", max_skipped_share=share - 1e-6)
    with pytest.raises(DataError) as caught:
        check_left_out(lost, few)
    line = str(caught.value)
    assert f"1 of {len(dataset) + 1} images cannot be used, more than data.max_skipped" in line
    assert "(the first: a.png: image 1: torn)" in line
    assert "`jaxrcnn check`" in line
    check_left_out(lost, config_of())  # on_error "raise" has stopped already
    with pytest.raises(DataError, match="2 of"):
        check_left_out(lost, few, ["b.png: torn"])


def test_training_stops_where_too_many_images_cannot_be_read():
    stream = train_batches(small_dataset(), config_of(on_error="skip"))
    with pytest.raises(DataError, match=r"1 of .*the first: p2: image 2: is broken"):
        list(stream)
    stream.close()


def test_images_that_other_processes_could_not_read_count_as_well():
    config = config_of(on_error="skip", max_skipped_share=0.2)
    others = [str(fault("p2", "image 2", "is broken"))]
    share = Share(pool=lambda: lambda lines: dict.fromkeys([*others, *lines]))
    assert len(list(train_batches(small_dataset(), config, share=share))) == 6  # both read p2
    others.append(str(fault("p4", "image 4", "is broken")))
    with pytest.raises(DataError, match=r"2 of 5 images .*the first: p2: image 2: is broken"):
        list(train_batches(small_dataset(), config, share=share))
