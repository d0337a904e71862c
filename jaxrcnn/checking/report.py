"""check.json and check.html."""

import datetime
import json
import pathlib
from typing import Any, NamedTuple

from jaxrcnn import __version__, pages
from jaxrcnn.checking.drawing import draw_classes, draw_faults, draw_rotated
from jaxrcnn.checking.findings import Report, training_set
from jaxrcnn.checking.kinds import KINDS, Kind, remedy_of
from jaxrcnn.checking.lines import describe_anchors, describe_batches, describe_cost
from jaxrcnn.checking.plots import draw_histograms
from jaxrcnn.data.errors import Fault
from jaxrcnn.data.folders import below
from jaxrcnn.writing import replace_text

VERSION = 1
"""Of check.json: another number where something that was there is gone or means something else."""
LISTED = 200
"""Faults of a kind that the page lists."""


class Table(NamedTuple):
    """Rows of text under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Group(NamedTuple):
    """The faults of a kind, for the page."""

    slug: str
    kind: Kind
    number: int
    table: Table
    images: list[tuple[str, str]]


def write_report(report: Report, folder: pathlib.Path) -> list[pathlib.Path]:
    """Write check.json and check.html to a folder, which is made where missing.

    Returns:
        The files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tree = json.dumps(to_tree(report), indent=2, ensure_ascii=False)
    texts = {"check.json": f"{tree}\n", "check.html": render(report)}
    for name, text in texts.items():
        replace_text(folder / name, text.encode("utf-8", "replace").decode())
    return [folder / name for name in texts]


def to_tree(report: Report) -> dict[str, Any]:
    """What check.json holds; docs/data.md describes it."""
    data = report.config.data
    return {
        "version": VERSION,
        "jaxrcnn": __version__,
        "roots": list(data.roots),
        "fault_counts": {kind: len(own) for kind, own in report.findings.by_kind.items()},
        "faults": [_fault_tree(split, fault) for split, fault in report.findings.faults],
        "splits": [
            {
                "name": each.split.name,
                "role": each.split.role,
                "format": each.split.format,
                "rotated_images": len(each.rotated),
                "notes": [] if each.split.dataset is None else list(each.split.dataset.notes),
                **(each.statistics or {}),
            }
            for each in report.findings.splits
        ],
        "resized_to": {"short_side": data.short_side, "long_side": data.long_side},
        **(
            dict.fromkeys(("anchors", "batches", "cost"))
            if report.fit is None
            else report.fit._asdict()
        ),
        "fingerprint": report.fingerprint,
    }


def _fault_tree(split: str, fault: Fault) -> dict[str, Any]:
    return {
        "split": split,
        "kind": fault.kind,
        "file": fault.file,
        "record": fault.record,
        "what": " ".join(fault.what.split()),
        "remedy": remedy_of(fault),
        "image": fault.image or None,
        "box": [x if abs(x) < float("inf") else None for x in fault.box] or None,
    }


def render(report: Report) -> str:
    """The page as HTML."""
    splits = [each.split for each in report.findings.splits]
    train = training_set(splits)
    data = report.config.data
    return pages.render(
        "check.html.jinja",
        pathlib.Path(__file__).parent,
        title=", ".join(pathlib.Path(root).absolute().name for root in data.roots),
        roots=", ".join(data.roots),
        date=datetime.date.today().isoformat(),
        version=__version__,
        faults=len(report.findings.faults),
        groups=_groups(report),
        splits=_split_table(report),
        facts=_facts(report),
        classes=_class_table(report),
        plots=[] if train is None else draw_histograms(train, report.config),
        sheets={} if train is None else draw_classes(train, report.config.seed),
        rotated=draw_rotated(report.findings),
        notes=[
            (each.split.name, note)
            for each in report.findings.splits
            if each.split.dataset is not None
            for note in each.split.dataset.notes
        ],
    )


def _groups(report: Report) -> list[Group]:
    images = draw_faults(report.findings)
    groups = []
    for slug, own in report.findings.by_kind.items():
        rows = tuple(_row(report, split, fault) for split, fault in own[:LISTED])
        kind = KINDS.get(slug, Kind(slug, remedy_of(own[0][1])))
        head = ("record", "what is wrong", "split", "file")
        groups.append(Group(slug, kind, len(own), Table(head, rows), images.get(slug, [])))
    return groups


def _row(report: Report, split: str, fault: Fault) -> tuple[str, ...]:
    """A fault in the page; files are below the folder where there is only one."""
    roots = report.config.data.roots
    file = below(roots[0], fault.file) if len(roots) == 1 and fault.file else fault.file
    return fault.record, " ".join(fault.what.split()), split, file


def _split_table(report: Report) -> Table:
    head = ("split", "used for", "images", "boxes", "without objects", "small", "medium", "large")
    head += ("boxes per image", "faults")
    rows = []
    for each in report.findings.splits:
        found, own = each.statistics, (each.split.name, each.split.role)
        faults = str(len(each.faults))
        if found is None:
            rows.append((*own, *("-",) * 7, faults))
            continue
        empty = f"{found['empty_images']} ({found['empty_share']:.1%})"
        number = found["boxes_per_image"]
        median = "-" if number is None else f"{number['median']:g}, at most {number['max']:g}"
        sizes = (str(found[name]) for name in ("small", "medium", "large"))
        counts = (str(found["images"]), str(found["boxes"]), empty)
        rows.append((*own, *counts, *sizes, median, faults))
    return Table(head, tuple(rows))


def _class_table(report: Report) -> Table:
    """A row for each class of the training splits, with the boxes in the others."""
    names = dict.fromkeys(
        name
        for each in report.findings.splits
        for name in (each.statistics or {}).get("classes", ())
    )
    splits = [each for each in report.findings.splits if each.statistics is not None]
    head = ("class", *(f"boxes in {each.split.name}" for each in splits))
    head += ("images", "size: 5%", "median", "95%", "ratio: 5%", "median", "95%")
    rows = []
    for name in names:
        found = [(each.statistics or {})["classes"].get(name) for each in splits]
        first = next(numbers for numbers in found if numbers)
        size, ratio = first["box_sizes"], first["aspect_ratios"]
        counts = (str(numbers["boxes"]) if numbers else "0" for numbers in found)
        shown = (f"{size[x]:.0f}" for x in ("5%", "median", "95%"))
        ratios = (f"{ratio[x]:.2f}" for x in ("5%", "median", "95%"))
        rows.append((name, *counts, str(first["images"]), *shown, *ratios))
    return Table(head, tuple(rows))


def _facts(report: Report) -> dict[str, str]:
    data, fit = report.config.data, report.fit
    facts = {"images are resized to": f"{data.short_side} pixels (longer side {data.long_side})"}
    if fit is not None:
        if fit.anchors is not None:
            facts["anchors"] = describe_anchors(fit.anchors)
        facts["batches"] = describe_batches(fit.batches)
        facts["cost of training"] = describe_cost(fit.cost)
    return facts | {f"fingerprint, {name}": text for name, text in report.fingerprint.items()}
