"""The published scores of docs/results.md are those of the files that convert downloads."""

import pathlib
import re

from jaxrcnn.interop.published import FILES

PAGE = pathlib.Path(__file__).parents[1] / "docs/results.md"


def test_the_page_lists_every_published_detector_with_its_score():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([\d.]+) \|$", PAGE.read_text("utf-8"), re.M)
    published = [(x.model, x.weights, str(x.box_ap)) for x in FILES if x.kind == "detector"]
    assert rows == published
