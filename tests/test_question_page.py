"""The numbers of docs/question.md are those of the studies that it links to."""

import html
import pathlib
import re

import pytest

from jaxrcnn.study.contrasts import compare_studies
from jaxrcnn.study.study_io import load_study

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "question.md").read_text("utf-8")
HTML = (DOCS / "question.html").read_text("utf-8")
LINK = re.compile(r"\[(\w+)\]\(studies/\1\.json\)")
SCHEMES = ("approximate", "exact", "pooling", "targets")

MEASURES = {
    "recall of the proposals, IoU .5": "recall50",
    "recall of the proposals, IoU .7": "recall70",
    "median width of the proposals, pixels": "width/0.5",
    "loss on the images for the scores": "loss",
}
"""Names of rows, where they are not those of a score."""


def tables():
    """The page's tables: column heads, and rows of cells."""
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.M):
        head, _, *rows = ([*map(str.strip, x[1:-1].split(" | "))] for x in table.splitlines())
        yield head, rows


COLUMNS = {
    "RPN's box loss": "gradient/rpn_box/direct/rpn/box",
    "class loss, pooling": "gradient/box_class/pooling/rpn/box",
    "box loss, pooling": "gradient/box_reg/pooling/rpn/box",
    "box loss, targets": "gradient/box_reg/targets/rpn/box",
    "IoU .1": "push/{route}/0.1",
    ".5": "push/{route}/0.5",
    ".6": "push/{route}/0.6",
    ".7": "push/{route}/0.7",
    ".8": "push/{route}/0.8",
}
"""Measures of approximate, by the columns that hold them; the route is in the row's first cell."""


def cells():
    """Study, measure, scheme and text of every number in a table that names its study."""
    for head, rows in tables():
        of_table = LINK.search(head[0])
        for row in rows:
            if not (link := of_table or LINK.search(" ".join(row))):
                continue
            measure = MEASURES.get(row[0], row[0]) if of_table else MEASURES.get(head[0], "AP")
            for column, text in zip(head, row, strict=True):
                if column in SCHEMES:
                    found = (link[1], measure, column, text)
                elif column in COLUMNS and text != "-":
                    found = (link[1], COLUMNS[column].format(route=row[0]), "approximate", text)
                else:
                    continue
                yield pytest.param(*found, id="-".join(found[:3]))


def short(value, pattern, digits):
    return f"{value:{pattern}.{digits}f}".replace("0.", ".", 1 if abs(value) < 1 else 0)


NUMBERS = [cell for cell in cells() if not cell.values[3].endswith("%")]
SHARES = [cell for cell in cells() if cell.values[3].endswith("%")]


@pytest.mark.parametrize(("name", "measure", "scheme", "text"), NUMBERS)
def test_a_number_is_that_of_the_study(name, measure, scheme, text):
    study = load_study(DOCS / "studies" / f"{name}.json")
    digits = len(re.search(r"\.(\d+)", text)[1])
    rows = {row.comparison.scheme: row for row in compare_studies([(name, study)], measure)}
    if scheme == "approximate":
        score = next(iter(rows.values())).baseline_score
        assert text == f"{short(score.mean, '', digits)} ± {short(score.std, '', digits)}"
        return
    found = rows[scheme].comparison
    mean, low, high = (short(x, "+", digits) for x in (found.mean, *found.student))
    assert text == f"{mean} ({low} to {high})"


@pytest.mark.parametrize(("name", "measure", "scheme", "text"), SHARES)
def test_a_share_is_what_an_intervention_undoes(name, measure, scheme, text):
    study, control = (load_study(DOCS / "studies" / f"{one}.json") for one in (name, "c0"))
    rows = compare_studies([(name, study)], measure, control)
    undone = next(row.contrast.undone for row in rows if row.comparison.scheme == scheme)
    assert text == f"{100 * undone:.0f} %"


def test_every_study_in_a_table_is_checked():
    assert {x.values[0] for x in cells()} == set(LINK.findall(PAGE))


def words(text):
    return re.findall(r"[+-]?\.?\w+", text)


def test_the_html_page_has_the_same_text():
    plain = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", PAGE)  # the text of links
    drawn = re.sub(r'<img[^>]* alt="([^"]*)"[^>]*>', r"\1", HTML)
    body = html.unescape(re.sub(r"<[^>]+>", " ", drawn.partition("<body>")[2]))
    assert words(body) == words(plain.replace("|---", ""))


@pytest.mark.parametrize("path", sorted((DOCS / "studies").glob("*.json")), ids=lambda x: x.stem)
def test_a_study_says_how_it_was_made(path):
    study = load_study(path)
    ended = [run for run in study.runs if run.status != "waiting"]
    assert all(re.fullmatch("[0-9a-f]{40}", run.commit) for run in ended)
    assert study.command.startswith("python -m jaxrcnn study ")
    assert not re.search(r"[ =]/\w", study.command)  # no path of one machine
    assert path.stat().st_size < 400_000
