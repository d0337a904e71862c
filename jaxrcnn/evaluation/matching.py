"""One matching of detections with ground truth, which everything that explains a score shares."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from jaxrcnn.data.records import Dataset
from jaxrcnn.evaluation.boxes import area, intersection
from jaxrcnn.evaluation.coco import ImageDetections

POSITIVE = 0.5
"""Least overlap (IoU) of a detection with the object that it finds."""

LEAST = 0.1
"""Pairs that overlap less are left out: TIDE calls such a detection background."""

AT_A_TIME = 2**18
"""Pairs of detection and object whose overlap is computed at once."""


class FoundBoxes(NamedTuple):
    """D detections: images in the data set's order, best first in each."""

    image: np.ndarray  # (D,) int64, place in the data set
    box: np.ndarray  # (D, 4) float64, xyxy in pixels of the original image
    score: np.ndarray  # (D,) float64
    label: np.ndarray  # (D,) int64, 1..K


class TrueBoxes(NamedTuple):
    """G boxes of the ground truth, in the data set's order."""

    image: np.ndarray  # (G,) int64, place in the data set
    box: np.ndarray  # (G, 4) float64, xyxy in pixels of the original image
    label: np.ndarray  # (G,) int64, 1..K
    area: np.ndarray  # (G,) float64, as annotated


class Pairs(NamedTuple):
    """P pairs of a detection and an object of its image.

    By detection; of each the largest overlap first, of equal ones the first object.
    """

    detection: np.ndarray  # (P,) int64
    object: np.ndarray  # (P,) int64
    overlap: np.ndarray  # (P,) float64, IoU


class Matching(NamedTuple):
    """Detections and objects of a data set, and which belong to each other."""

    found: FoundBoxes
    truth: TrueBoxes  # without ignore regions
    pairs: Pairs  # of any classes that overlap by at least `LEAST`
    same_class: np.ndarray  # (P,) bool
    match: np.ndarray  # (D,) int64, the object that a detection finds; -1: none
    crowd_overlap: (
        np.ndarray
    )  # (D,) float64, largest share of it in a region of its class to ignore
    num_classes: int
    num_images: int
    left_out: int  # detections whose score or box is not finite

    @property
    def is_hit(self) -> np.ndarray:
        """(D,) bool: finds an object of its class."""
        return self.match >= 0

    @property
    def is_ignored(self) -> np.ndarray:
        """(D,) bool: finds none, and lies in a region to ignore; neither right nor wrong."""
        return ~self.is_hit & (self.crowd_overlap >= POSITIVE)

    @property
    def is_found(self) -> np.ndarray:
        """(G,) bool: objects that a detection of their class finds."""
        return are_taken(self.match, self.truth)


def keep_above(matching: Matching, thresholds: np.ndarray | float) -> Matching:
    """The same matching without the detections below a score.

    What remains would be matched like this if it were all there was, since of each class only the
    last detections are gone.

    Args:
        matching: of all detections.
        thresholds: lowest score that is kept, one for all classes or (K,) for each.
    """
    found, pairs = matching.found, matching.pairs
    lowest = np.append(np.inf, np.broadcast_to(thresholds, matching.num_classes))  # by label
    kept = found.score >= lowest[found.label]
    new_places = np.cumsum(kept) - 1
    of_kept = kept[pairs.detection]
    pairs = Pairs(*(values[of_kept] for values in pairs))
    return matching._replace(
        found=FoundBoxes(*(values[kept] for values in found)),
        pairs=pairs._replace(detection=new_places[pairs.detection]),
        same_class=matching.same_class[of_kept],
        match=matching.match[kept],
        crowd_overlap=matching.crowd_overlap[kept],
    )


def match_detections(
    dataset: Dataset, detections: Mapping[int, ImageDetections], max_detections: int = 100
) -> Matching:
    """Match detections with the objects of their image and class.

    As COCO's evaluation at IoU 0.5: the detections of an image and class, best score first, each
    take the free object that they overlap most, if by at least `POSITIVE`. What finds none and has
    at least half of its area in a region to ignore (a crowd, or one of VOC's difficult boxes) of
    its class is ignored. Of equal overlaps the first object is taken, as `tidecv` does.

    Args:
        dataset: the ground truth.
        detections: what is found, by the image's place in the data set; an image that is missing
            has none.
        max_detections: best detections of an image that count.
    """
    found, left_out = _found_boxes(detections, max_detections)
    records = dataset.columns
    ignored = records.crowd | records.difficult
    truth, regions = (
        TrueBoxes(
            records.owners[chosen],
            records.boxes[chosen].astype(np.float64),
            records.labels[chosen].astype(np.int64),
            records.area[chosen].astype(np.float64),
        )
        for chosen in (~ignored, ignored)
    )
    pairs = _pairs(found, truth)
    same_class = found.label[pairs.detection] == truth.label[pairs.object]
    match = assign(pairs, same_class & (pairs.overlap >= POSITIVE), found, truth)
    in_regions = _pairs(found, regions, of_detection=True)
    own = found.label[in_regions.detection] == regions.label[in_regions.object]
    crowd_overlap, _ = best_of_each(in_regions, own, len(found.label))
    return Matching(
        *(found, truth, pairs, same_class, match, crowd_overlap),
        *(len(dataset.class_names), len(dataset), left_out),
    )


def assign(pairs: Pairs, chosen: np.ndarray, found: FoundBoxes, truth: TrueBoxes) -> np.ndarray:
    """Give each detection, best first, the free object that it overlaps most.

    Args:
        pairs: of detections and objects.
        chosen: (P,) bool, the pairs that may belong to each other.
        found, truth: what the pairs are of.

    Returns:
        (D,) int64, the object of each detection; -1 where none is left for it.
    """
    match, free = [-1] * len(found.label), [True] * len(truth.label)
    taken = zip(pairs.detection[chosen].tolist(), pairs.object[chosen].tolist(), strict=True)
    for detection, target in taken:
        if match[detection] < 0 and free[target]:
            match[detection], free[target] = target, False
    return np.array(match, np.int64)


def are_taken(match: np.ndarray, truth: TrueBoxes) -> np.ndarray:
    """(G,) bool: the objects that detections have, as `assign` gives them."""
    taken = np.zeros(len(truth.label), bool)
    taken[match[match >= 0]] = True
    return taken


def best_of_each(
    pairs: Pairs, chosen: np.ndarray, detections: int
) -> tuple[np.ndarray, np.ndarray]:
    """The largest overlap of each detection among some pairs, and with which object.

    Returns:
        (D,) float64, 0 where it has no such pair, and (D,) int64, there -1.
    """
    overlaps, targets = np.zeros(detections), np.full(detections, -1)
    detection, target, overlap = (values[chosen] for values in pairs)
    first = np.diff(detection, prepend=-1) > 0
    overlaps[detection[first]] = overlap[first]
    targets[detection[first]] = target[first]
    return overlaps, targets


def _found_boxes(
    detections: Mapping[int, ImageDetections], max_detections: int
) -> tuple[FoundBoxes, int]:
    """The best detections of each image, and how many were left out since they are not finite."""
    images = sorted(detections)
    counts = [len(detections[index].scores) for index in images]
    box, score, label = (
        np.concatenate([empty, *(getattr(detections[index], name) for index in images)])
        for name, empty in (
            ("boxes", np.zeros((0, 4))),
            ("scores", np.zeros(0)),
            ("labels", np.zeros(0, np.int64)),
        )
    )
    image = np.repeat(np.array(images, np.int64), counts)
    finite = np.isfinite(score) & np.isfinite(box).all(axis=1)
    order = np.flatnonzero(finite)
    order = order[np.lexsort((-score[order], image[order]))]
    rank = np.arange(len(order)) - np.searchsorted(image[order], image[order])
    order = order[rank < max_detections]
    return FoundBoxes(image[order], box[order], score[order], label[order]), int((~finite).sum())


def _pairs(found: FoundBoxes, truth: TrueBoxes, of_detection: bool = False) -> Pairs:
    """Detections and boxes of their images that overlap by at least `LEAST`.

    With `of_detection` the overlap is relative to the detection's area, as COCO has it for crowds.
    """
    parts = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for detection, target in _candidates(found.image, truth.image):
        overlap = _overlap(found.box[detection], truth.box[target], of_detection)
        enough = overlap >= LEAST
        parts.append(Pairs(detection[enough], target[enough], overlap[enough]))
    pairs = Pairs(*map(np.concatenate, zip(*parts, strict=True)))
    order = np.lexsort((-pairs.overlap, pairs.detection))
    return Pairs(*(values[order] for values in pairs))


def _candidates(
    of_found: np.ndarray, of_truth: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of the same image, about `AT_A_TIME` at once; both are sorted by image."""
    first = np.searchsorted(of_truth, of_found)
    counts = np.searchsorted(of_truth, of_found, side="right") - first  # (D,)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(AT_A_TIME, total, AT_A_TIME), side="left") + 1
    for part in np.split(np.arange(len(of_found)), np.unique(cuts)):
        detection = np.repeat(part, counts[part])
        starts = np.cumsum(counts[part]) - counts[part]
        within = np.arange(len(detection)) - np.repeat(starts, counts[part])
        yield detection, first[detection] + within


def _overlap(a: np.ndarray, b: np.ndarray, of_first: bool) -> np.ndarray:
    """IoU of boxes (P, 4) and (P, 4), or the intersection's share of the first: (P,)."""
    shared = intersection(a, b)
    whole = area(a) if of_first else area(a) + area(b) - shared
    return shared / np.where(shared > 0, whole, 1)
