"""Images that are there more than once, in one split or in several."""

from collections.abc import Sequence

from jaxrcnn.checking.images import Look
from jaxrcnn.checking.splits import Split
from jaxrcnn.data.errors import IN_TWO_SPLITS, Fault


def find_repeated(splits: Sequence[Split], looks: Sequence[Sequence[Look]]) -> list[list[Fault]]:
    """For each split, a fault for each image whose pixels an earlier one has.

    Args:
        splits: in order; those without a data set have no looks.
        looks: at the images of each.
    """
    seen: dict[bytes, tuple[Split, str, str]] = {}
    found: list[list[Fault]] = []
    for split, own in zip(splits, looks, strict=True):
        faults: list[Fault] = []
        records = () if split.dataset is None else split.dataset.records
        for record, look in zip(records, own, strict=True):
            if not look.digest:
                continue
            here = split.record_name(record)
            first, there, file = seen.setdefault(look.digest, (split, here, record.file))
            if first is split and there == here and file == record.file:
                continue
            same = "is the same file as" if file == record.file else "has the same pixels as"
            what = f"it {same} {there} in split {first.name}"
            kind = "image-twice" if first is split else IN_TWO_SPLITS
            faults.append(Fault(kind, split.file, here, what, "", record.file))
        found.append(faults)
    return found
