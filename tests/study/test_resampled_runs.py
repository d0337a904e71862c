"""Intervals over images, against pycocotools on data sets that really hold the drawn images."""

import dataclasses
import json

import numpy as np
import pytest

from jaxrcnn.evaluation.coco import ImageDetections, coco_scores, detections_to_coco
from jaxrcnn.evaluation.evaluate import write_detections
from jaxrcnn.study.intervals import SEED
from jaxrcnn.study.resampled_runs import compare_runs, resampled_runs
from tests.evaluation.boxes_by_chance import draw
from tests.evaluation.test_resampling import coco_ap, copied
from tests.study.synthetic import diverged_run, make_config, make_run, make_study, write_run

SEEDS = (3, 4)


def moved(detections, by):
    """Worse detections."""
    return {
        i: ImageDetections(one.boxes + np.float32([0, 0, by, by]), one.scores, one.labels)
        for i, one in detections.items()
    }


@pytest.fixture
def finished(tmp_path):
    """A study of two schemes with two seeds, its data set, and all detections by run."""
    data, _ = draw(0, images=8, steps=10**6)
    found, runs = {}, []
    for scheme, by in (("approximate", 0), ("exact", 4)):
        for seed in SEEDS:
            _, detections = draw(0, images=8, steps=10**6)
            found[scheme, seed] = moved(detections, by + seed)
            folder = write_run(tmp_path / "runs" / f"{scheme}-{seed}", make_config(scheme), [])
            results = detections_to_coco(data, found[scheme, seed])
            write_detections(folder / "eval" / "detections.json", data, results)
            runs.append(make_run(scheme, seed, (coco_scores(data, results).metrics["eval/AP"],)))
    return make_study(runs), tmp_path, data, found


def test_runs_are_scored_on_the_same_resamples_of_the_images(finished):
    study, workdir, data, found = finished
    got = resampled_runs(study, workdir, data, pytest.fail, draws=6)
    counts = np.random.default_rng(SEED).multinomial(len(data), [1 / len(data)] * len(data), 6)
    assert got.keys() == found.keys()
    for run, precisions in got.items():
        expected = [coco_ap(*copied(data, found[run], one)) for one in counts]
        assert precisions == pytest.approx(expected, abs=1e-9)


def test_ap_has_an_interval_over_seeds_and_images(finished):
    study, workdir, data, _ = finished
    (one,) = compare_runs(study, workdir, data, pytest.fail).comparisons[:1]
    assert one.mean < 0
    assert one.over_images[0] < one.mean < one.over_images[1]
    # Between two seeds there is less difference than between images.
    assert one.over_images[0] < one.over_seeds[0] <= one.over_seeds[1] < one.over_images[1]


def test_only_runs_of_several_pairs_are_read(finished):
    study, workdir, data, _ = finished
    one_pair = dataclasses.replace(study, runs=(*study.runs[:3], diverged_run("exact", 4)))
    assert resampled_runs(one_pair, workdir / "missing", data, pytest.fail) == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("[]", "have AP 0.0000, but the run ended with"),
        ("[{]", "is not JSON"),
    ],
)
def test_detections_that_are_not_those_of_the_run_are_left_out_with_a_line(content, why, finished):
    study, workdir, data, _ = finished
    path = workdir / "runs" / "exact-4" / "eval" / "detections.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    lines = []
    compared = compare_runs(study, workdir, data, lines.append)
    (line,) = lines
    assert line.startswith(f"note: no AP on resampled images for exact, seed 4: {path}: ")
    assert why in line
    assert compared.comparisons[0].over_images is None
    assert compared.comparisons[0].student is not None


def test_detections_of_other_images_are_left_out(finished):
    study, workdir, data, _ = finished
    path = workdir / "runs" / "approximate-3" / "eval" / "detections.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{**row, "image_id": 99} for row in rows]))
    lines = []
    assert len(resampled_runs(study, workdir, data, lines.append)) == 3
    assert "approximate, seed 3" in lines[0]
