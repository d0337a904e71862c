"""What the phases of a run are given and compile."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
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
from jaxrcnn.data.loader import train_batches
from jaxrcnn.data.proposals import ImageProposals, join_proposals
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.detector import COLLECTIONS
from jaxrcnn.feeding import Feed, LookAhead
from jaxrcnn.training.progress import Progress
from jaxrcnn.training.sharding import Programs
from jaxrcnn.training.state import TrainState
from jaxrcnn.types import Batch, Proposals

RPN, FAST_RCNN = AlternatingStep("rpn", steps=2), AlternatingStep("fast_rcnn", steps=2)
SIZE = (16, 24)  # of all images; resized to twice as much


def read(record):
    if record.name == "broken":
        raise fault("broken", "image 4", "cannot be read")
    return np.zeros((record.height, record.width, 3), np.uint8)


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
    """In place of a compiled program: proposes boxes in the first pixels of an image."""

    def __init__(self):
        self.asked = []

    def is_ready(self, *_, **__):
        return True

    def __call__(self, variables, batch, train=False):
        self.asked.append((variables, batch.image_index.tolist(), train))
        width = 4.0 + batch.image_index  # (N,) the image can be told by its proposal
        zeros = np.zeros_like(width)
        box = np.stack([zeros, zeros, width, zeros + 6], 1)
        boxes = np.stack([box, box + 9], 1).astype(np.float32)  # (N, 2, 4)
        scores = np.zeros(boxes.shape[:2], np.float32)
        return Proposals(boxes, scores, np.tile([True, False], (len(boxes), 1)))

    @property
    def programs(self):
        return Programs(None, None, None, lambda batch: batch, self, None)


def state_of(step):
    return TrainState(np.int32(step), f"variables {step}", None, None)


def first_batch(feed, step):
    batch = next(feed.start(state_of(step)))
    feed.close()
    return batch


def test_kept_proposals_are_made_once_a_phase_and_mirrored_with_the_image():
    proposer, dataset = Proposer(), dataset_of("a", "b", "c")
    feed = Feed(config_of(RPN, FAST_RCNN), proposer.programs, dataset, Progress(9))
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
    feed = Feed(config, Proposer().programs, dataset_of("a", "b"), Progress(9))
    assert first_batch(feed, step).proposals is None


@pytest.mark.parametrize("keep", [False, True])
def test_proposals_from_a_file_serve_until_an_rpn_is_trained(keep):
    dataset, proposer = dataset_of("a", "b"), Proposer()
    one = ImageProposals(np.array([[0, 0, 1, 2]], np.float32), np.zeros(1, np.float32))
    given = join_proposals(dataset, {0: one, 1: one})
    config = config_of(FAST_RCNN, RPN, FAST_RCNN, keep=keep)
    feed = Feed(config, proposer.programs, dataset, Progress(9), given)
    np.testing.assert_array_equal(first_batch(feed, 0).proposals.boxes[0, 0], [46, 0, 48, 4])
    assert first_batch(feed, 2).proposals is None
    assert proposer.asked == []
    assert (first_batch(feed, 4).proposals is None) == (not keep)
    assert len(proposer.asked) == keep


def test_unreadable_images_of_all_phases_are_named_once():
    feed = Feed(
        config_of(RPN, FAST_RCNN, on_error="skip", max_skipped_share=1.0),
        Proposer().programs,
        dataset_of("a", "broken"),
        Progress(9),
    )
    for step in (0, 2, 3):
        batch = first_batch(feed, step)
        assert sorted(batch.image_weights) == [0, 1]
    assert len(feed.unread) == 1
    assert next(iter(feed.unread)).startswith("broken: image 4")


def mixed_dataset():
    """One image that lies, and one that stands."""
    records = [
        make_record(number, f"{number}", "", size, [[2, 2, 8, 8]], [1], [number])
        for number, size in enumerate(((16, 24), (24, 16)), 1)
    ]
    return Dataset("mixed", tuple(records), ("a",), (1,), read)


class Compiler:
    """In place of a compiled program: notes what is to be compiled ahead."""

    def __init__(self, name, order):
        self.name, self.order = name, order

    def compile_ahead(self, state, batch, *stage):
        given = [batch.proposals.boxes.shape] if batch.proposals is not None else []
        self.order.append((self.name, batch.images.shape[1:3], *stage, *given))

    def forget(self):
        self.order.append(f"forget {self.name}")


def looked_ahead(config, step, stage, given=None):
    """What is compiled after a step whose images were landscape."""
    order, dataset = [], mixed_dataset()
    programs = Programs(
        *(None, Compiler("step", order), Compiler("evaluation", order)),
        *(lambda batch: batch, None, None),
    )
    state = TrainState(np.int32(step), {c: {} for c in (*COLLECTIONS, "proposer")}, None, None)
    batch = Batch(jnp.zeros((2, 32, 64, 3), np.uint8), *[None] * 8)
    look_ahead = LookAhead(config, programs, dataset, dataset, given)
    look_ahead(state, batch, stage)
    look_ahead.close()
    assert order[-2:] == ["forget step", "forget evaluation"]
    return order[:-2]


LANDSCAPE, PORTRAIT = (32, 64), (64, 32)  # canvases of its resized images
EVALUATIONS = [("evaluation", LANDSCAPE), ("evaluation", PORTRAIT)]


def test_the_other_training_step_is_compiled_before_the_evaluations():
    other = ("step", PORTRAIT, "joint")
    joint = dataclasses.replace(JOINT, train=TrainConfig(batch_size=2, steps=9))
    assert looked_ahead(joint, 1, "joint") == [other, *EVALUATIONS]
    assert looked_ahead(joint, 9, "joint") == EVALUATIONS  # no step is left


def add_extras(sample, record, rng):
    extra = {"mask": np.zeros(sample.image.shape[:2], bool), "pose": np.zeros(2, np.float32)}
    angles = np.zeros(len(sample.boxes), np.float32)
    return dataclasses.replace(sample, extra=extra, box_extra={"angle": angles})


def test_the_other_step_is_compiled_for_the_extras_that_its_batches_have():
    order = []

    class Step(Compiler):
        def compile_ahead(self, state, batch, stage):
            order.append(jax.tree.map(lambda x: (x.shape, x.dtype), batch))

    dataset = dataclasses.replace(mixed_dataset(), transforms=(add_extras,))
    joint = dataclasses.replace(JOINT, train=TrainConfig(batch_size=2, steps=9))
    with contextlib.closing(train_batches(dataset, joint)) as batches:
        made = {batch.images.shape[1:3]: jax.device_put(batch) for batch in batches}
    programs = Programs(None, Step("step", []), Compiler("", []), lambda b: b, None, None)
    state = TrainState(np.int32(1), {c: {} for c in COLLECTIONS}, None, None)
    LookAhead(joint, programs, dataset, dataset)(state, made[LANDSCAPE], "joint")
    assert order == [jax.tree.map(lambda x: (x.shape, x.dtype), made[PORTRAIT])]
    assert order[0].extra["mask"] == ((2, *PORTRAIT), bool)


def test_transforms_without_extras_do_not_run_to_look_ahead():
    def needs_an_image(sample, record, rng):
        return sample if record.name else None

    dataset = dataclasses.replace(mixed_dataset(), transforms=(needs_an_image,))
    joint, order = dataclasses.replace(JOINT, train=TrainConfig(batch_size=2, steps=9)), []
    programs = Programs(
        *(None, Compiler("step", order), Compiler("evaluation", order)),
        *(lambda batch: batch, None, None),
    )
    state = TrainState(np.int32(1), {c: {} for c in COLLECTIONS}, None, None)
    batch = Batch(jnp.zeros((2, *LANDSCAPE, 3), np.uint8), *[None] * 8)
    LookAhead(joint, programs, dataset, mixed_dataset())(state, batch, "joint")
    assert order == [("step", PORTRAIT, "joint"), *EVALUATIONS]


def test_each_phase_of_alternating_training_compiles_its_own():
    config = config_of(RPN, FAST_RCNN)
    assert looked_ahead(config, 1, "rpn") == [("step", PORTRAIT, "rpn")]
    assert looked_ahead(config, 3, "fast_rcnn") == [("step", PORTRAIT, "fast_rcnn"), *EVALUATIONS]


def test_evaluations_on_given_proposals_are_compiled_for_them():
    one = ImageProposals(np.array([[0, 0, 1, 2]], np.float32), np.zeros(1, np.float32))
    given = join_proposals(mixed_dataset(), {0: one, 1: one})
    evaluations = [(*evaluation, (2, 2, 4)) for evaluation in EVALUATIONS]  # 2 of each image
    assert looked_ahead(config_of(FAST_RCNN), 1, "fast_rcnn", given)[1:] == evaluations
