"""docs/tutorial.md is run as it is written, in an empty folder."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
"""Language and content of each block, in order."""
FOR_TESTS = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")
"""Settings that make compiling quick and training slow: the page trains for some minutes."""
MEASURED = re.compile(r"\d+(\.\d+)? s\b|\d+ min( \d+ s)?")
"""Times, which differ from machine to machine."""


def run(content, language, folder):
    """What a block prints; a Python block that begins with its file's name is only saved."""
    saved = re.match(r"# (\w+\.py)\n", content)
    if language == "python" and saved:
        (folder / saved[1]).write_text(content, encoding="utf-8")
        return ""
    scripts = pathlib.Path(sys.executable).parent  # where `jaxrcnn` and `python` are
    environment = {
        **{name: value for name, value in os.environ.items() if name not in FOR_TESTS},
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    command = ["bash", "-e", "-c"] if language == "sh" else [sys.executable, "-c"]
    done = subprocess.run(
        [*command, content], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{content}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_page_has_commands_and_what_they_print():
    languages = [language for language, _ in BLOCKS]
    assert languages.count("sh") >= 5
    assert set(languages) == {"sh", "python", "text"}


@pytest.mark.slow
def test_every_block_runs_and_prints_what_the_page_says(tmp_path):
    printed = ""
    for language, content in BLOCKS:
        if language != "text":
            printed = run(content, language, tmp_path)
            continue
        there = {MEASURED.sub("T", line.strip()) for line in printed.splitlines()}
        for line in filter(None, map(str.strip, content.splitlines())):
            assert MEASURED.sub("T", line) in there, f"{line}\nis not in\n{printed}"
    for name in ("runs/shapes/plots/detections.png", "runs/shapes/plots/ap.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    assert len(list((tmp_path / "found").glob("*.png"))) == 10  # 000.png to 009.png
