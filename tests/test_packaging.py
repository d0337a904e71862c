"""The wheel, its page on the package index, and CITATION.cff."""

import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml

import jaxrcnn

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_is_listed():
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "jaxrcnn").rglob("*.py")}
    packages = {".".join(folder.parts) for folder in folders}
    assert set(SETUPTOOLS["packages"]) == packages | {"jaxrcnn.configs"}
    assert SETUPTOOLS["package-dir"] == {"jaxrcnn.configs": "configs"}


def test_every_file_that_is_not_python_is_listed():
    others = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "jaxrcnn").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    listed = {
        str(path.relative_to(ROOT))
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    assert listed == others
    assert "jaxrcnn/py.typed" in listed


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == jaxrcnn.__version__
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"] == [{"name": "The jaxrcnn authors"}]


def test_the_page_of_the_package_index_begins_as_the_readme_and_needs_no_link():
    page = (ROOT / PROJECT["project"]["readme"]).read_text()
    readme = (ROOT / "README.md").read_text()
    assert page.split("\n\n")[:2] == readme.split("\n\n")[:2]
    assert not re.search(r"\]\(|<a |<img |^\[.*\]:", page, re.MULTILINE)
    for extra in re.findall(r"jaxrcnn\[(\w+)\]", page):
        assert extra in PROJECT["project"]["optional-dependencies"]


def test_the_page_is_rendered():
    markdown = pytest.importorskip("readme_renderer.markdown")
    rendered = markdown.render((ROOT / PROJECT["project"]["readme"]).read_text())
    assert rendered.startswith("<h1")
    assert "<img" not in rendered
    links = re.findall(r'href="([^"]*)"', rendered)  # of a heading to itself
    assert [link for link in links if not link.startswith("#")] == []


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_nothing_else(tmp_path):
    source = tmp_path / "source"
    for name in ("jaxrcnn", "configs", "tests", "docs"):
        ignored = shutil.ignore_patterns("__pycache__", "fixtures")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "LICENSE", "README.md", "train.py"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)],
        check=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    about = f"jaxrcnn-{jaxrcnn.__version__}.dist-info/"
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "jaxrcnn").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    expected |= {f"jaxrcnn/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    assert {name for name in files if not name.startswith(about)} == expected
    assert f"{about}licenses/LICENSE" in files
