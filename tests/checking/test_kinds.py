import pathlib
import re

from jaxrcnn.checking.kinds import KINDS, remedy_of
from jaxrcnn.data.errors import REMEDY, Fault

ROOT = pathlib.Path(__file__).parents[2]


def test_every_kind_that_the_sources_name_is_described_and_no_other():
    sources = "".join(
        path.read_text()
        for room in ("data", "checking")
        for path in ROOT.glob(f"jaxrcnn/{room}/*.py")
    )
    prefixes = "box|boxes|image|class|classes|id|split|record|annotation"
    named = set(re.findall(rf'"((?:{prefixes})(?:-[a-z]+)+)"', sources))
    assert named == set(KINDS)


def test_the_docs_list_every_kind():
    page = (ROOT / "docs/data.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []


def test_a_remedy_of_its_own_comes_before_that_of_the_kind():
    fault = Fault("image-missing", "a.json", "image 1", "it is gone", REMEDY)
    assert remedy_of(fault) == KINDS["image-missing"].remedy
    assert remedy_of(fault._replace(remedy="look in b/")) == "look in b/"
    assert remedy_of(fault._replace(remedy="")) == KINDS["image-missing"].remedy
