"""What the schemes of a study are, in words."""

SENTENCES = {
    "approximate": "Approximate joint training: both stages in one step; the proposals' "
    "coordinates are constants to the second stage's loss.",
    "exact": "Non-approximate joint training: the second stage's loss is differentiated through "
    "the proposals' coordinates too, on both routes.",
    "pooling": "As exact, on one route only: both losses of the second stage through the RoI op.",
    "targets": "As exact, on one route only: the box loss through the regression targets, which "
    "are relative to the proposals.",
    "late": "As exact, but the gate is closed in the first part of the run, and then opens.",
    "alternating": "The paper's four steps: RPN, Fast R-CNN on its proposals, then both again on "
    "shared features.",
}
"""A sentence for each; a scheme that is not here has none."""

ROUTES = (
    "Two routes lead from the second stage's loss to the proposals' coordinates: pooling (through "
    "the RoI op, which pools features inside the box) and targets (through the regression targets, "
    "which are encoded relative to the proposal). Direct is the gradient that takes neither route."
)

LITERATURE = (
    "Published, not measured here: approximate joint training gives similar results and takes 25 "
    "to 50 % less training time than alternating training (Ren et al., arXiv 1506.01497, section "
    "3.2; VGG-16 on PASCAL VOC)."
)
