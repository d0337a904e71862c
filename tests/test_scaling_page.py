"""The example of docs/scaling.md prints what the page says."""

import pathlib
import re
import shlex

from jaxrcnn.cli.options import parse_train_arguments

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_model_prints_the_table_of_the_page_and_draws(tmp_path, capsys, monkeypatch):
    pattern = r"^```python\n(.*?)^```\n\n((?:    [^\n]*\n)+)"
    ((example, table),) = re.findall(pattern, PAGE, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/scaling.md", "exec"), {})
    assert capsys.readouterr().out == re.sub(r"^    ", "", table, flags=re.M)
    assert (tmp_path / "scaling_model.png").exists()


def test_the_commands_of_the_page_are_accepted():
    commands = re.findall(r"\bjaxrcnn train (--[^\n\"]*)", PAGE.replace("\\\n", ""))
    accepted = [parse_train_arguments(shlex.split(words), program="") for words in commands]
    processes = [None if x.hosts is None else x.hosts[1:] for x in accepted]
    assert processes == [None, None, (2, 0), (2, 1), (None, None), (None, None)]
