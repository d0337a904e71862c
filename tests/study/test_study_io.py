import dataclasses
import json

import numpy as np
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.study.comparisons import with_comparisons
from jaxrcnn.study.run_files import rounded
from jaxrcnn.study.study_io import from_json, read_study, to_json
from tests.study.synthetic import diverged_run, full_study, make_run, make_study, waiting_run


def earlier(study, version):
    """The study as versions 1 and 2 wrote it."""
    tree = {"version": version, **dataclasses.asdict(study)}
    del tree["baseline"], tree["comparisons"]
    for run in tree["runs"]:
        del run["commit"], run["machine"]
    text = json.dumps(tree, indent=1)
    return text.replace('"images"', '"pictures"') if version == 1 else text


def test_a_study_comes_back():
    study = with_comparisons(full_study())
    assert from_json(to_json(study)) == study
    study = make_study([diverged_run(), waiting_run()], baseline="exact")
    assert from_json(to_json(study)) == study


def test_intervals_come_back():
    runs = {(run.scheme, run.seed): np.full(3, run.seed / 10) for run in full_study().runs}
    study = with_comparisons(full_study(), runs)
    assert study.comparisons[0].over_images == (0, 0)
    assert from_json(to_json(study)).comparisons == study.comparisons


@pytest.mark.parametrize("version", [1, 2])
def test_earlier_versions_are_read(version):
    study = full_study()
    text = earlier(study, version)
    assert ('"pictures"' in text) == (version == 1)
    assert from_json(text) == study


def test_a_value_that_is_missing_is_null():
    run = make_run(diagnostics=({"step": 5, "a": 0.5}, {"step": 10, "b": 0.25}))
    run.points[-1].scores["recall50"] = 0.75
    tree = json.loads(to_json(make_study([run])))
    assert tree["version"] == 3
    assert tree["score_names"] == ["AP", "AP50", "AP75", "AR100", "recall50"]
    assert tree["diagnostic_names"] == ["a", "b"]
    (written,) = tree["runs"]
    assert [row[3] for row in written["points"]] == [0.1, 0.3, 0.5]
    assert [row[-1] for row in written["points"]] == [None, None, 0.75]
    assert written["diagnostics"] == [[5, 0.5, None], [10, None, 0.25]]


def test_a_run_is_a_line():
    text = to_json(with_comparisons(full_study()))
    assert sum('"folder"' in line for line in text.splitlines()) == 18
    assert max(map(len, text.splitlines())) < 40_000


def test_twenty_runs_are_small_enough_to_be_committed():
    rng = np.random.default_rng(0)

    def values(names, digits):
        return {name: rounded(float(rng.uniform()), digits) for name in names}

    runs = []
    for number in range(20):
        run = make_run(("approximate", "exact", "pooling", "targets")[number % 4], number // 4)
        points = tuple(
            dataclasses.replace(point, scores={**point.scores, **values(map(str, range(20)), 6)})
            for point in make_run(aps=(0.1, 0.2, 0.3, 0.4)).points
        )
        names = [f"gradient/loss/route/module {n}" for n in range(100)]
        rows = tuple({"step": step, **values(names, 4)} for step in range(4))
        losses = tuple((20 * n, rounded(float(rng.uniform()), 6)) for n in range(50))
        runs.append(dataclasses.replace(run, points=points, diagnostics=rows, losses=losses))
    assert len(to_json(with_comparisons(make_study(runs)))) < 120_000


def test_a_number_that_is_not_finite_is_never_written():
    study = make_study([dataclasses.replace(make_run(), wall_seconds=float("nan"))])
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(study)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "study.json cannot be read"),
        ("[]", "study.json cannot be read"),
        ("{}", "study.json cannot be read .*version"),
        ('{"version": 1}', "study.json cannot be read .*schemes"),
        (
            '{"version": 9, "title": ""}',
            "study.json has version 9; this program reads versions 1 to 3",
        ),
        (to_json(make_study([make_run()])).replace('"seed":', '"sead":'), "cannot be read .*sead"),
        (to_json(make_study([make_run()])).replace('"losses":[', '"losses":[3,'), "be read"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as error:
        from_json(text)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_study_has_none(tmp_path):
    assert read_study(tmp_path) is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{"])
def test_the_folder_of_a_file_that_cannot_be_read_is_named(content, tmp_path):
    (tmp_path / "study.json").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^{tmp_path}") as error:
        read_study(tmp_path)
    assert "\n" not in str(error.value)
    (tmp_path / "study.json").unlink()
    (tmp_path / "study.json").mkdir()
    with pytest.raises(ConfigError, match=rf"^{tmp_path}"):
        read_study(tmp_path)
