"""What was found, as lines for a terminal."""

import textwrap
from collections.abc import Iterator
from typing import Any

from jaxrcnn.checking.cost import Fit
from jaxrcnn.checking.findings import Findings, Report, SplitFindings
from jaxrcnn.checking.kinds import KINDS, remedy_of
from jaxrcnn.data.errors import shortened
from jaxrcnn.training.memory import gigabytes
from jaxrcnn.wording import counted

WIDTH, INDENT = 88, 9
"""Of the lines about anchors, batches and cost, in characters."""
SHOWN = 3
"""Faults of a kind that are printed; all of them are in the files."""


def describe_report(report: Report) -> Iterator[str]:
    """The faults by kind, then what there is to know of the data."""
    yield ""
    yield from describe_faults(report.findings)
    for each in report.findings.splits:
        yield from _describe_split(each)
    if report.fit is not None:
        yield from describe_fit_lines(report.fit)
    digests = report.fingerprint
    if "none" in digests:
        yield f"fingerprint  none: {digests['none']}"
    else:
        for place, (name, digest) in enumerate(digests.items()):
            yield f"{'' if place else 'fingerprint':11}  {name:10} {digest}"
        if report.findings.faults:
            yield f"{'':11}  without the faulty records (data.on_error=skip)"


def describe_faults(findings: Findings) -> Iterator[str]:
    """A line for each kind, and the first faults of it."""
    if not findings.faults:
        yield "no faults were found"
        return
    yield f"{counted(len(findings.faults), 'fault')}:"
    for kind, own in findings.by_kind.items():
        title = KINDS[kind].title if kind in KINDS else kind
        yield f"  {len(own)} x {kind}: {title}"
        for _, fault in own[:SHOWN]:
            yield f"      {fault.file}: {fault.record}: {shortened(' '.join(fault.what.split()))}"
        if len(own) > SHOWN:
            yield f"      and {len(own) - SHOWN} more"
        yield f"      what to do: {remedy_of(own[0][1])}"


def _describe_split(each: SplitFindings) -> Iterator[str]:
    found = each.statistics
    if found is None:
        return
    ignored = f" ({found['boxes_to_ignore']} to ignore)" if found["boxes_to_ignore"] else ""
    yield (
        f"{each.split.name}: {counted(found['images'], 'image')}, "
        f"{counted(found['boxes'], 'box', 'boxes')}{ignored}, "
        f"{counted(found['empty_images'], 'image')} without objects ({found['empty_share']:.1%})"
    )
    if found["boxes"]:
        number, size = found["boxes_per_image"], found["box_sizes"]
        yield (
            f"  boxes per image: {number['median']:g} (median), {number['max']:g} at most; "
            f"sides: {size['5%']:.0f} to {size['95%']:.0f} pixels; {found['small']} small, "
            f"{found['medium']} medium, {found['large']} large"
        )
    if each.rotated:
        rotated = counted(len(each.rotated), "image")
        yield f"  {rotated} rotated by an EXIF tag: look at them in check.html"
    names = list(found["classes"].items())
    texts = [f"{name} {numbers['boxes']}" for name, numbers in names[:20]]
    more = [f"{len(names) - 20} more"] if len(names) > 20 else []
    yield f"  classes: {', '.join([*texts, *more]) or 'none'}"
    notes = [] if each.split.dataset is None else [*each.split.dataset.notes]
    if found["boxes"] and found["boxes"] == found["boxes_to_ignore"]:
        notes.append("all boxes are crowds or marked to be ignored, so none is trained on")
    for note in notes:
        yield f"  note: {note}"


def describe_fit_lines(fit: Fit) -> Iterator[str]:
    """Anchors, batches and cost, in lines of at most `WIDTH` characters."""
    texts = {"batches": describe_batches(fit.batches), "cost": describe_cost(fit.cost)}
    if fit.anchors is not None:
        texts = {"anchors": describe_anchors(fit.anchors), **texts}
    for name, text in texts.items():
        yield from textwrap.wrap(
            text, WIDTH, initial_indent=f"{name:{INDENT}}", subsequent_indent=" " * INDENT
        )


def describe_anchors(anchors: dict[str, Any]) -> str:
    """What the anchors miss, and what others would."""
    now, then = anchors["missed"], anchors["suggested_missed"]
    text = (
        f"{now['0.5']:.1%} of the objects have no anchor with an IoU of 0.5 ({now['0.7']:.1%} with "
        "0.7)."
    )
    if then is None:
        return f"{text} k-means finds no anchors that miss fewer."
    sizes = sorted({size for level in anchors["suggested_sizes"] for size in level})
    return (
        f"{text} k-means suggests the sizes {_numbers(sizes)} and the ratios "
        f"{_numbers(anchors['suggested_ratios'])}, which miss {then['0.5']:.1%} "
        f"({then['0.7']:.1%}); other anchors require training from random weights."
    )


def _numbers(values: Any) -> str:
    return " ".join(f"{value:g}" for value in values)


def describe_batches(batches: dict[str, Any]) -> str:
    """The shapes of batches, and how much of them is padding."""
    shapes = " and ".join(f"{height}x{width}" for height, width in batches["shapes"])
    return f"{shapes} (height x width), {batches['padded_share']:.1%} of the pixels are padding"


def describe_cost(cost: dict[str, Any]) -> str:
    """Memory and time, and how they were found out."""
    memory = f"{gigabytes(cost['memory_bytes'])} of memory"
    parameters = f"{cost['parameters'] / 1e6:.1f} million parameters"
    seconds = cost["seconds_per_step"]
    if seconds is None:
        return f"{parameters}, at least {memory} ({cost['how']}); --measure times a step"
    return f"{parameters}, about {memory} and {seconds:.2g} s per step ({cost['how']})"
