"""Which proposals the phases of a run are given; whole runs are in tests/test_train.py."""

import numpy as np
import pytest

from jaxrcnn.config import (
    AlternatingConfig,
    AlternatingStep,
    Config,
    DataConfig,
    EvalConfig,
    ModelConfig,
    ProposalsConfig,
    TrainConfig,
)
from jaxrcnn.data.errors import fault
from jaxrcnn.data.proposals import ImageProposals, join_proposals
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.runs import Feed
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Proposals

RPN, FAST_RCNN = AlternatingStep("rpn", steps=2), AlternatingStep("fast_rcnn", steps=2)
SIZE = (16, 24)  # of all images; resized to twice as much


def read(record):
    if record.name == "broken":
        raise fault("broken", "image 4", "cannot be read")
    return np.zeros((*SIZE, 3), np.uint8)


def dataset_of(*names):
    records = [
        make_record(number, name, "", SIZE, [[2, 2, 8, 8]], [1], [number])
        for number, name in enumerate(names, 1)
    ]
    return Dataset("small", tuple(records), ("a",), (1,), read)


def config_of(*steps, keep=True, **data):
    return Config(
        model=ModelConfig(proposals=ProposalsConfig(post_nms_train=4, post_nms_test=2)),
        data=DataConfig(short_side=32, long_side=48, **{"horizontal_flip": 1.0, **data}),
        train=TrainConfig(
            scheme="alternating",
            alternating=AlternatingConfig(steps, keep),
            steps=2 * len(steps),
            batch_size=2,
        ),
        eval=EvalConfig(batch_size=2),
    )


class Proposer:
    """In place of the compiled programs: proposes the middle of the first pixels of a row."""

    def __init__(self):
        self.asked = []

    def propose(self, variables, batch, train=False):
        self.asked.append((variables, batch.image_index.tolist(), train))
        width = 4.0 + batch.image_index  # (N,) the image can be told by its proposal
        zeros = np.zeros_like(width)
        box = np.stack([zeros, zeros, width, zeros + 6], 1)
        boxes = np.stack([box, box + 9], 1).astype(np.float32)  # (N, 2, 4)
        scores = np.zeros(boxes.shape[:2], np.float32)
        return Proposals(boxes, scores, np.tile([True, False], (len(boxes), 1)))

    @property
    def programs(self):
        return Programs(None, None, None, lambda batch: batch, self.propose, None)


def state_of(step):
    return TrainState(np.int32(step), f"variables {step}", None, None)


def first_batch(feed, step):
    batch = next(feed.start(state_of(step)))
    feed.close()
    return batch


def test_kept_proposals_are_made_once_a_phase_and_mirrored_with_the_image():
    proposer, dataset = Proposer(), dataset_of("a", "b", "c")
    feed = Feed(config_of(RPN, FAST_RCNN), proposer.programs, dataset)
    assert first_batch(feed, 0).proposals is None
    assert proposer.asked == []
    stream = feed.start(state_of(2))
    batches = [next(stream), next(stream)]
    feed.close()
    assert proposer.asked == [("variables 2", [0, 1], True), ("variables 2", [2, -1], True)]
    for batch in batches:
        boxes, _, valid = batch.proposals
        for i, index in enumerate(batch.image_index):
            np.testing.assert_array_equal(boxes[i, 0], [48 - (4 + index), 0, 48, 6])
        np.testing.assert_array_equal(valid, [[True, False, False, False]] * 2)
    first_batch(feed, 3)  # a run that goes on in the middle
    assert proposer.asked[2:] == [("variables 3", [0, 1], True), ("variables 3", [2, -1], True)]


JOINT = Config(data=DataConfig(short_side=32, long_side=48), train=TrainConfig(batch_size=2))


@pytest.mark.parametrize(
    ("config", "step"),
    [(JOINT, 0), (config_of(RPN, FAST_RCNN, keep=False), 2)],
    ids=["joint", "on the fly"],
)
def test_others_need_none(config, step):
    feed = Feed(config, Proposer().programs, dataset_of("a", "b"))
    assert first_batch(feed, step).proposals is None


@pytest.mark.parametrize("keep", [False, True])
def test_proposals_from_a_file_serve_until_an_rpn_is_trained(keep):
    dataset, proposer = dataset_of("a", "b"), Proposer()
    one = ImageProposals(np.array([[0, 0, 1, 2]], np.float32), np.zeros(1, np.float32))
    given = join_proposals(dataset, {0: one, 1: one})
    config = config_of(FAST_RCNN, RPN, FAST_RCNN, keep=keep)
    feed = Feed(config, proposer.programs, dataset, given)
    np.testing.assert_array_equal(first_batch(feed, 0).proposals.boxes[0, 0], [46, 0, 48, 4])
    assert first_batch(feed, 2).proposals is None
    assert proposer.asked == []
    assert (first_batch(feed, 4).proposals is None) == (not keep)
    assert len(proposer.asked) == keep


def test_unreadable_images_of_all_phases_are_named_once():
    feed = Feed(
        config_of(RPN, FAST_RCNN, on_error="skip"), Proposer().programs, dataset_of("a", "broken")
    )
    for step in (0, 2, 3):
        batch = first_batch(feed, step)
        assert sorted(batch.image_weights) == [0, 1]
    assert len(feed.unread) == 1
    assert next(iter(feed.unread)).startswith("broken: image 4")
