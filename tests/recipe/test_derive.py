import numpy as np
import pytest

from jaxrcnn.config_io import replace_fields
from jaxrcnn.data.errors import DataError
from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.recipe.derive import Known, Machine, derive, resized_boxes
from jaxrcnn.recipe.scratch import scratch_config
from jaxrcnn.recipe.settings import Remark, Setting
from jaxrcnn.validation import check

CPU = Machine("cpu", 1)


def dataset_of(boxes, labels, size=(240, 320), names=("cat", "dog"), images=100):
    records = [
        make_record(i, f"{i}.png", f"{i}.png", size, np.array(boxes), labels)
        for i in range(1, images + 1)
    ]
    return Dataset("train", tuple(records), tuple(names))


def values(found):
    return {each.name: each.value for each in found if isinstance(each, Setting)}


def remarks(found):
    return [each.text for each in found if isinstance(each, Remark)]


def known(dataset, given=(), weights="random", machine=CPU):
    return Known(given, dataset, len(dataset), machine, weights)


FITTING = [[32, 32, 64, 64], [128, 64, 192, 128]]


def test_what_a_small_set_on_a_cpu_gets():
    config, found = derive(scratch_config("cpu"), known(dataset_of(FITTING, [1, 2])))
    assert values(found) == {
        "data.classes": ("cat", "dog"),
        "model.num_classes": 2,
        "data.short_side": 240,
        "data.long_side": 320,
        "train.batch_size": 4,
        "eval.batch_size": 4,
        "train.epochs": 80.0,  # 2000 steps of 4 images over 100
    }
    assert remarks(found) == [
        "0.0% of the boxes overlap no anchor with an IoU of 0.5 or more",
        "the learning rate is 0.02: train.optimizer.learning_rate 0.02 is for batches of 4 images",
    ]
    assert config.train.epochs == 80
    assert config.data.classes == ("cat", "dog")
    check(replace_fields(config, {"data.root": "x"}))


def test_what_is_given_stays():
    given = {"data.short_side": 100, "train.batch_size": 2, "train.steps": 7}
    start = replace_fields(scratch_config("cpu"), given)
    config, found = derive(start, known(dataset_of(FITTING, [1, 2]), given))
    assert not {*given, "data.long_side", "train.epochs"} & values(found).keys()
    assert config.eval.batch_size == 2
    assert (config.data.short_side, config.train.batch_size, config.train.steps) == (100, 2, 7)
    assert remarks(found)[-1].startswith("the learning rate is 0.01:")


def test_a_class_without_boxes_is_named_and_left_out():
    dataset = dataset_of(FITTING, [1, 3], names=("cat", "things", "dog"))
    config, found = derive(scratch_config("cpu"), known(dataset))
    assert config.data.classes == ("cat", "dog")
    assert config.model.num_classes == 2
    assert (
        remarks(found)[0] == "classes without a box in the training images are left out: 'things'"
    )


def test_unless_it_was_asked_for():
    dataset = dataset_of(FITTING, [1, 1])
    start = replace_fields(scratch_config("cpu"), {"data.classes": ("cat", "dog")})
    config, found = derive(start, known(dataset, ["data.classes"]))
    assert config.data.classes == ("cat", "dog")
    assert config.model.num_classes == 2
    assert remarks(found)[0].endswith("are kept, since data.classes names them: 'dog'")


def test_anchors_are_scaled_for_small_boxes():
    small = [[x, x, x + 6, x + 6] for x in range(0, 60, 6)]
    config, found = derive(scratch_config("cpu"), known(dataset_of(small, [1] * 10)))
    (setting,) = (each for each in found if each[0] == "model.anchors.sizes")
    assert config.model.anchors.sizes == setting.value
    assert setting.value[0][0] < 16
    assert setting.reason.startswith("100.0% of the boxes overlap no anchor with an IoU of 0.5 ")
    assert setting.reason.endswith("with these sizes 0.0%")


def test_but_not_those_that_belong_to_weights():
    small = [[x, x, x + 6, x + 6] for x in range(0, 60, 6)]
    sides = {"data.short_side": 200, "data.long_side": 333}
    start = replace_fields(scratch_config("cpu"), sides)
    config, found = derive(start, known(dataset_of(small, [1] * 10), weights="a detector"))
    assert config.model.anchors == start.model.anchors
    assert (config.data.short_side, config.data.long_side) == (200, 333)
    assert remarks(found)[1].endswith(
        "the anchors are kept, since the weights were trained with them"
    )
    assert values(found)["train.epochs"] == 40.0  # 1000 steps of 4 images over 100


def test_a_set_without_boxes_is_an_error():
    dataset = dataset_of(np.zeros((0, 4)), [])
    with pytest.raises(DataError, match=r"^train: 100 images, .* no boxes to train on$"):
        derive(scratch_config("cpu"), known(dataset))


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_the_model_from_random_weights_is_sound(platform):
    check(replace_fields(scratch_config(platform), {"data.root": "x"}))


def test_boxes_are_resized_with_their_images():
    dataset = dataset_of([[20, 40, 60, 80]], [1], size=(400, 200), images=1)
    config = replace_fields(scratch_config("cpu"), {"data.short_side": 100, "data.long_side": 150})
    boxes = resized_boxes(dataset, config)  # 400 x 200 becomes 150 x 75
    np.testing.assert_allclose(boxes.corners, [[7.5, 15, 22.5, 30]])
    np.testing.assert_array_equal(boxes.image_sizes, [[150, 75]])
