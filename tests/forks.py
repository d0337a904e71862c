"""The examples of a page of docs/, run word for word: each section has one block of Python."""

import importlib.util
import pathlib
import re
import sys
from types import ModuleType

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs/forking.md"
FLOW = ROOT / "docs/flow.md"


def fork_blocks(page: pathlib.Path = PAGE) -> dict[str, str]:
    """The page's blocks of Python, by the headings above them."""
    sections = re.split(r"^##+ (.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    found = {}
    for heading, text in zip(sections[1::2], sections[2::2], strict=True):
        for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
            assert heading not in found, f"two blocks under {heading!r}"
            found[heading] = block
    return found


def code_lines(block: str) -> int:
    """How many lines of a block are code: neither empty nor a comment alone."""
    lines = [line.strip() for line in block.splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


def run_fork(heading: str, folder: pathlib.Path, page: pathlib.Path = PAGE) -> ModuleType:
    """Run the block under a heading as a script in a folder; its names are the module's."""
    path = folder / f"own_{re.sub(r'[^a-z]+', '_', heading.lower())}.py"
    path.write_text(fork_blocks(page)[heading], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(ROOT)
        patch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
    return module
