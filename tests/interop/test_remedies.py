import pytest

from jaxrcnn.interop.remedies import remedy
from tests.tiny import FPN_MODEL


@pytest.mark.parametrize(
    ("path", "shape", "said"),
    [
        (
            "rpn_head/cls_logits/kernel",
            (9, 16, 1, 1),
            "the file has 9 anchors per location (1 x 9, 3 x 3, 9 x 1), this model 1 size x 3 "
            "ratios: set model.anchors.sizes and model.anchors.ratios to those it was trained with",
        ),
        (
            "rpn_head/bbox_pred/bias",
            (24,),
            "the file has 6 anchors per location (1 x 6, 2 x 3, 3 x 2, 6 x 1)",
        ),
        ("rpn_head/cls_logits/kernel", (3, 8, 1, 1), "set model.rpn.channels"),
        ("rpn_head/conv/kernel", (8, 8, 3, 3), "set model.rpn.channels"),
        ("box_head/cls_score/bias", (21,), "set model.num_classes to 20, or re-init"),
        ("box_head/bbox_pred/kernel", (80, 16), "set model.num_classes to 20, or re-init"),
        ("box_head/fc6/kernel", (8, 9), "model.roi.output_size"),
        ("box_head/fc7/bias", (8,), "set model.box_head.channels"),
        ("backbone/body/conv1/kernel", (64, 3, 7, 7), "model.backbone.width"),
        ("backbone/fpn/inner_0/kernel", (256, 64, 1, 1), "model.neck.channels"),
    ],
)
def test_the_fields_that_a_shape_follows_from_are_named(path, shape, said):
    assert said in remedy(path, shape, FPN_MODEL)


def test_other_anchors_are_no_reason_to_reinitialise_the_rpn():
    assert "initialise" not in remedy("rpn_head/cls_logits/kernel", (9, 16, 1, 1), FPN_MODEL)
