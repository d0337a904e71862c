import pytest

from jaxrcnn.cli import main
from jaxrcnn.study.study_io import to_json
from tests.study.synthetic import make_run, make_study
from tests.study.test_contrasts import EXACT, HEALED, study


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two studies: the folder of one, and the file of the other."""
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "study.json").write_text(to_json(study(EXACT)))
    (tmp_path / "healed.json").write_text(to_json(study(HEALED)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_studies_are_shown_in_one_table_and_one_plot(folder, capsys):
    words = ["lost", "second look=healed.json", "--control", "lost", "--out", "plots/all.png"]
    assert main(["compare", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:3]] == ["study", "lost", "second look"]
    assert lines[2].endswith("88 %")
    assert lines[4] == "plot  plots/all.png"
    assert (folder / "plots" / "all.png").exists()


def test_a_study_has_the_name_of_its_folder_or_file(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder / "lost")
    assert main(["compare", ".", "../healed.json", "--measure", "AP50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["study", "lost", "healed"]
    assert "AP50" in lines[0]


def test_a_path_with_an_equals_sign_is_a_path(folder, capsys):
    (folder / "a=b.json").write_text(to_json(study(EXACT)))
    assert main(["compare", "a=b.json"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("a=b ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing"], "missing does not exist"),
        (["name=missing.json"], "missing.json does not exist"),
        (["lost", "healed.json", "--control", "empty"], "study.json does not exist"),
        (["lost", "lost/study.json", "lost=healed.json"], "two studies are named lost"),
        (["broken.json"], "broken.json: study.json cannot be read"),
        (["alone.json"], "no study has a difference in AP from its baseline"),
        (["lost", "--measure", "recall50"], "no study has a difference in recall50"),
        (["lost", "--out", "plot.foo"], "plot.foo cannot be written"),
        (["lost", "--out", "healed.json/plot.png"], "healed.json/plot.png cannot be written"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(folder, words, message, capsys):
    (folder / "empty").mkdir()
    (folder / "broken.json").write_text("{")
    (folder / "alone.json").write_text(to_json(make_study([make_run()])))
    with pytest.raises(SystemExit) as end:
        main(["compare", *words])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
