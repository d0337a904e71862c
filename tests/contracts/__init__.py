"""What a detector takes for granted of the parts that can be replaced, checked.

The tests of a fork call the checks with its own parts (docs/forking.md):

    from tests.contracts import check_backbone, check_roi_losses, check_train

Each returns nothing, or fails with an AssertionError that says which promise is broken.
"""

from tests.contracts.networks import check_backbone, check_box_head, check_rpn_head
from tests.contracts.optimizers import check_optimizer
from tests.contracts.passes import check_infer, check_train
from tests.contracts.pooling import check_roi_op
from tests.contracts.rois import check_gate, check_roi_losses
from tests.contracts.sampling import check_sampler
from tests.contracts.transforms import check_transform

__all__ = [
    "check_backbone",
    "check_box_head",
    "check_gate",
    "check_infer",
    "check_optimizer",
    "check_roi_losses",
    "check_roi_op",
    "check_rpn_head",
    "check_sampler",
    "check_train",
    "check_transform",
]
