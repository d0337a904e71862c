import dataclasses
import json

import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.study.study_io import from_json, to_json
from tests.study.synthetic import diverged_run, full_study, make_run, make_study, waiting_run


def test_a_study_comes_back():
    study = full_study()
    assert from_json(to_json(study)) == study
    study = make_study([diverged_run(), waiting_run()])
    assert from_json(to_json(study)) == study


def test_a_study_of_version_1_is_read():
    study = make_study([make_run()])
    text = to_json(study).replace('"version": 2', '"version": 1').replace('"images"', '"pictures"')
    assert '"pictures"' in text
    assert from_json(text) == study


def test_it_is_plain_json_with_a_version():
    tree = json.loads(to_json(make_study([make_run()])))
    assert tree["version"] == 2
    assert tree["runs"][0]["points"][0]["scores"]["AP"] == 0.1


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
        ('{"version": 9, "title": ""}', "study.json has version 9; this program reads 2"),
        (to_json(make_study([make_run()])).replace('"seed":', '"sead":'), "cannot be read .*sead"),
        (to_json(make_study([make_run()])).replace('"losses": [', '"losses": [3,'), "be read"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as error:
        from_json(text)
    assert "\n" not in str(error.value)
