import base64
import html.parser
import shutil
import subprocess
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from jaxrcnn.study.comparisons import with_comparisons
from jaxrcnn.study.report import render, write_report
from jaxrcnn.study.study_io import from_json
from tests.study.synthetic import diverged_run, full_study, make_run, make_study, waiting_run

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
STUDIES = {
    "full": full_study(),
    "one run": make_study([make_run()]),
    "nothing finished": make_study([diverged_run(), waiting_run()]),
    "nothing begun": make_study([waiting_run()]),
}


class Page(html.parser.HTMLParser):
    """Tags, the addresses that they name, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.open, self.words = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_needs_no_other_file(name, tmp_path):
    study = STUDIES[name]
    written = write_report(study, tmp_path / "new")
    assert written[0].name == "study.json"
    assert from_json(written[0].read_text()) == with_comparisons(study)
    text = written[-1].read_text()
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    images = [base64.b64decode(address.split(",")[1]) for address in page.addresses]
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert sorted(images) == sorted(path.read_bytes() for path in written[1:-1])


def test_the_page_says_what_was_run_and_what_came_out():
    text = Page(render(full_study(), {})).text
    for words in (
        "shapes: training variants compared",
        "python -m jaxrcnn study --config configs/shapes.py --seeds 3",
        "256 images of drawn shapes",
        "1,000 steps of 4 images: 4,000 images seen",
        "2 CPU cores",
        "6 variants, 3 seeds, 2026-11-25",
        "train.alternating.steps = rpn 300, fast_rcnn 200, rpn 300, fast_rcnn 200",
        "model.proposals.open_after = 333",
        "25 to 50 %",
        "runs/alternating-2",
        "rpn/box ← box_reg, targets",
    ):
        assert words in text, words


def test_the_page_compares_in_pairs():
    runs = [make_run("approximate", seed, (ap,)) for seed, ap in enumerate((0.5, 0.6))]
    runs += [make_run("exact", seed, (ap,), commit="abc123") for seed, ap in enumerate((0.4, 0.46))]
    study = with_comparisons(make_study([*runs, diverged_run("exact", 2), make_run(seed=2)]))
    text = Page(render(study, {})).text
    for words in (
        "Differences from approximate AP compared with approximate",
        "exact -0.120 ± 0.028 -0.374 to +0.134 -0.140 to -0.100 2 1",
        "exact -0.168 (-0.524 to +0.188)",
        "commit abc123 ",
    ):
        assert words in text, words
    assert "run on" not in text


def test_a_study_without_comparisons_gets_them(tmp_path):
    study = make_study([make_run(scheme, s) for scheme in ("approximate", "exact") for s in (0, 1)])
    text = Page(write_report(study, tmp_path)[-1].read_text()).text
    assert "exact +0.000 ± 0.000 +0.000 to +0.000" in text
    assert from_json((tmp_path / "study.json").read_text()).comparisons


def test_without_a_saving_the_page_says_why():
    text = Page(render(make_study([make_run(), diverged_run("alternating")]), {})).text
    assert "There is no measured saving: no alternating run finished." in text
    assert "2 variants, 1 seed," in text


@pytest.mark.parametrize("schemes", [("approximate",), ("exact", "late"), ("exact", "alternating")])
def test_nothing_is_compared_that_the_study_was_not_asked_for(schemes):
    text = Page(render(make_study([make_run(scheme) for scheme in schemes]), {})).text
    for words in ("saving", "step relative", "compared with", "25 to 50 %", "Differences from"):
        assert words not in text, words


def test_finished_runs_without_any_precision_are_finished_runs(tmp_path):
    study = make_study([make_run("exact", aps=(0.0, 0.0)), make_run("late", aps=(0.0,))])
    text = Page(write_report(study, tmp_path)[-1].read_text()).text
    assert "exact 0.000 0.000 0.000 0.000 500 1 of 1 0 of 1" in text
    assert "The final AP of every finished run is 0: there is no level to reach." in text
    assert "No run finished" not in text
    assert "The axes begin at 0." in text


def test_levels_can_be_given():
    study = make_study([make_run(aps=(0.2, 0.6))])
    assert "AP 0.37" in Page(render(study, {}, (0.37,))).text
    assert "half, 80 %" not in Page(render(study, {}, (0.37,))).text
    assert "half, 80 %" in Page(render(study, {})).text


def test_all_text_is_escaped():
    name = "<script>alert(1)</script>"
    study = make_study(
        [make_run(name, commit=name), diverged_run("exact", 0, settings={"model.x": "<i>"})],
        title=name,
        command=f"study --config {name}",
        machine={name: name},
        baseline=name,
    )
    page = Page(render(with_comparisons(study), {}))
    assert "script" not in page.tags
    assert page.text.count(name) >= 9
    assert "image <a&b>.jpg" in page.text


def browse(arguments, path, folder):
    """Open a page in Chromium without a network; what it prints."""
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--host-resolver-rules=MAP * 0.0.0.0", f"--user-data-dir={folder / 'profile'}"),
            *(*arguments, path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_a_browser_shows_the_page(tmp_path):
    path = write_report(full_study(), tmp_path)[-1]
    sheet = tmp_path / "page.png"
    browse([f"--screenshot={sheet}", "--window-size=1200,2000"], path, tmp_path)
    with Image.open(sheet) as image:
        assert image.size == (1200, 2000)
        pixels = np.array(image.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
    assert pixels[1000:].std() > 10  # there is a plot down there
    text = Page(browse(["--dump-dom"], path, tmp_path)).text
    assert "0.576 ± 0.005" in text
    assert "1 of 3" in text


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_wide_tables_do_not_widen_a_narrow_page(tmp_path):
    path = write_report(full_study(), tmp_path)[-1]
    frame = tmp_path / "frame.html"  # a headless window is never so narrow
    script = (
        "const frame = document.querySelector('iframe'); frame.onload = () => {"
        "document.title = 'width ' + frame.contentDocument.documentElement.scrollWidth; }"
    )
    source = f'<iframe width=360 frameborder=0 src="{urllib.parse.quote(path.name)}"></iframe>'
    frame.write_text(f"<!doctype html><title>?</title>{source}<script>{script}</script>")
    arguments = ["--dump-dom", "--allow-file-access-from-files"]
    assert "<title>width 360</title>" in browse(arguments, frame, tmp_path)
