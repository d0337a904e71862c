"""Where the weights are in a checkpoint, and what is taken off their names."""

import numpy as np
import pytest

from jaxrcnn.interop.state_dicts import find_state_dict
from jaxrcnn.interop.tensors import Unread, WeightFileError
from jaxrcnn.interop.weight_files import read_weights
from tests.interop.recorded import DATA, complaint

X = np.zeros(1)
TORCHVISION = {
    "backbone.body.conv1.weight": X,
    "rpn.head.cls_logits.weight": X,
    "roi_heads.box_predictor.cls_score.bias": X,
}
DETECTRON2 = {
    "backbone.bottom_up.stem.conv1.weight": X,
    "proposal_generator.rpn_head.objectness_logits.weight": X,
    "roi_heads.box_predictor.cls_score.bias": X,
    "pixel_mean": X,
}
RESNET = {"conv1.weight": X, "layer1.0.conv1.weight": X, "fc.weight": X}


def before(prefix, tensors):
    return {prefix + name: x for name, x in tensors.items()}


def refusal(tree, key=""):
    with pytest.raises(WeightFileError) as error:
        find_state_dict(tree, key)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name", ["dataparallel", "compiled", "torchvision", "lightning", "averaged"]
)
def test_recorded_checkpoints_hold_the_plain_state_dict(name):
    plain = read_weights(DATA / "checkpoints" / "plain.pth")
    assert plain.notes == ()
    found = read_weights(DATA / "checkpoints" / f"{name}.pth")
    assert list(found.tensors) == list(plain.tensors)
    for key, x in plain.tensors.items():
        np.testing.assert_array_equal(found.tensors[key], x)
    values = [float(x.flat[0]) for x in plain.tensors.values()]
    assert values == list(range(1, len(values) + 1))
    assert found.notes


def test_a_recorded_module_is_refused_by_its_class():
    said = complaint(DATA / "checkpoints" / "module.pth")
    assert "an object of torchvision.models.detection.faster_rcnn.FasterRCNN" in said
    assert said.endswith("which was not run; save model.state_dict() alone")


@pytest.mark.parametrize("detector", [TORCHVISION, DETECTRON2, RESNET])
@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net."),
        *("detector.model.", "model._orig_mod.", "module.model.module.", "a.b.c.d."),
    ],
)
def test_what_all_names_begin_with_is_taken_off_and_said(detector, prefix):
    tensors, notes = find_state_dict({"state_dict": before(prefix, detector)})
    assert tensors.keys() == detector.keys()
    assert any("state_dict" in note for note in notes)
    said = next(note for note in notes if "taken off names" in note)
    assert all(part in said for part in prefix.split("."))


@pytest.mark.parametrize("prefix", ["", "model."])
def test_what_is_beside_the_detector_is_left_out_and_named(prefix):
    beside = {"class_weights": X, "metric.total": X, f"{prefix}ema_decay": X, "epoch": 3}
    tree = before(prefix, TORCHVISION) | beside | {"args": Unread("argparse.Namespace")}
    tensors, notes = find_state_dict(tree)
    assert tensors.keys() == TORCHVISION.keys()
    said = next(note for note in notes if "left out" in note)
    assert all(name in said for name in (*beside, "args"))


def test_of_many_that_are_left_out_eight_are_named():
    beside = {f"metric.{index}": X for index in range(20)}
    (note,) = find_state_dict(TORCHVISION | beside).notes
    assert "metric.7 and 12 more" in note


@pytest.mark.parametrize(
    "tree",
    [
        {"net": TORCHVISION, "epoch": 3},
        {"weights": TORCHVISION},
        {"a": {"b": {"c": TORCHVISION}}},
        {"model": TORCHVISION, "optimizer": {"state": {0: {"momentum_buffer": X}}}},
        {"best_map": X, "model": TORCHVISION},
        {"state_dict": TORCHVISION, "model": TORCHVISION},  # the same object twice
        {"model": TORCHVISION, "backbone": RESNET},
        {"generator": {"w.weight": X}, "detector": TORCHVISION},
    ],
)
def test_the_only_detector_is_taken_wherever_it_is(tree):
    assert find_state_dict(tree).tensors == TORCHVISION


OTHER = before("model.", TORCHVISION)


@pytest.mark.parametrize(
    ("tree", "other"),
    [
        ({"model": TORCHVISION, "model_ema": {"n_averaged": X, **before("module.", OTHER)}}, "ema"),
        ({"state_dict": TORCHVISION, "state_dict_ema": OTHER}, "state_dict_ema"),
        ({"model": TORCHVISION, "ema": {"shadow": OTHER}}, "ema.shadow"),
        ({"state_dict": before("model.", TORCHVISION) | before("ema_model.module.", OTHER)}, "ema"),
        ({"model": TORCHVISION, "averaged_model": OTHER}, "averaged_model"),
    ],
)
def test_a_moving_average_is_said_and_taken_where_it_is_asked_for(tree, other):
    tensors, notes = find_state_dict(tree)
    assert tensors == TORCHVISION
    said = next(note for note in notes if "also in the file" in note)
    assert other in said
    key = said.partition("--key ")[2].partition(" ")[0]
    chosen = find_state_dict(tree, key)
    assert chosen.tensors.keys() == TORCHVISION.keys()
    assert any(other in note for note in chosen.notes if "also in the file" not in note)


def test_a_moving_average_alone_is_taken_and_said():
    tree = {"model_ema": {"n_averaged": X, **before("module.", TORCHVISION)}}
    tensors, notes = find_state_dict(tree)
    assert tensors == TORCHVISION
    assert any("model_ema" in note for note in notes)


def test_several_detectors_are_listed_and_one_can_be_chosen():
    student = {name: np.ones(1) for name in TORCHVISION}
    tree = {"teacher": TORCHVISION, "student": student}
    said = refusal(tree)
    assert "several networks: teacher, student; choose one with the option --key" in said
    assert find_state_dict(tree, "student").tensors == student
    assert "has no pupil; --key takes one of teacher, student" in refusal(tree, "pupil")
    one = {"state_dict": before("teacher.", TORCHVISION) | before("student.", student)}
    assert "state_dict.teacher, state_dict.student" in refusal(one)
    assert find_state_dict(one, "state_dict.student").tensors == student
    assert "several networks" in refusal(one, "state_dict")


def test_a_tensor_that_only_code_could_make_is_named():
    made = Unread("torch._utils._rebuild_qtensor")
    said = refusal(TORCHVISION | {"roi_heads.box_head.fc6.weight": made})
    assert "holds roi_heads.box_head.fc6.weight among its tensors" in said
    assert "torch._utils._rebuild_qtensor; it was not run" in said
    extra = {"roi_heads._extra_state": Unread("models.State")}
    assert find_state_dict(TORCHVISION | extra).tensors == TORCHVISION
    assert "posix.system; it was not run" in refusal({"w": X, "b": Unread("posix.system")})


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (Unread("models.Net"), "holds an object of models.Net, which was not run; save model."),
        ({"model": Unread("models.Net"), "epoch": 3}, "holds under model an object of models.Net"),
        (
            {"epoch": -1, "model": Unread("ultralytics.nn.tasks.DetectionModel"), "ema": None},
            "holds a YOLO, an object of ultralytics.nn.tasks.DetectionModel; only a Faster R-CNN",
        ),
        (
            {"ema": Unread("models.yolo.Model")},
            "holds a YOLO, an object of models.yolo.Model; only",
        ),
        (Unread("mmdet.models.FasterRCNN"), "holds a detector of MMDetection, an object of mmdet"),
        ([("a", X)], "holds no tensors by name, but one list"),
        ({"epoch": 3, "args": Unread("a.B")}, "its entries are: epoch, args"),
        ({0: X}, "holds a tensor under the number 0"),
    ],
)
def test_what_holds_no_state_dict_is_one_line(tree, said):
    assert said in refusal(tree)


def test_a_checkpoint_that_refers_to_itself_ends():
    tree = {"model": TORCHVISION}
    tree["self"] = tree
    assert find_state_dict(tree).tensors == TORCHVISION
    shared = {str(index): {} for index in range(200)}
    for entry in shared.values():
        entry |= shared
    with pytest.raises(WeightFileError):
        find_state_dict(shared)


def test_a_backbone_in_its_usual_entry_goes_before_others():
    teacher = {name: np.ones(1) for name in RESNET}
    tensors, notes = find_state_dict({"state_dict": RESNET, "teacher": teacher})
    assert tensors == RESNET
    assert any("teacher" in note for note in notes)


def test_long_names_and_many_networks_take_no_time():
    deep = {"a." * 100_000 + "w": X}
    assert find_state_dict(deep).tensors == deep
    many = {f"{i}.{name}": X for i in range(2000) for name in TORCHVISION}
    assert "several networks" in refusal(many)
