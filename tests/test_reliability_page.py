"""What docs/reliability.md says of files, exit codes and tests is so."""

import pathlib
import re
import signal

from jaxrcnn.config import Config
from jaxrcnn.training.errors import (
    CheckpointError,
    Interrupted,
    NonFiniteLossError,
    PeerError,
)
from jaxrcnn.training.origin import describe_origin
from tests import steered

ROOT = pathlib.Path(__file__).parents[1]
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def section(title):
    """The lines of a section up to the next heading."""
    return re.split(r"^#+ ", PAGE.split(f"# {title}\n")[1], flags=re.M)[0]


def test_the_exit_codes_are_those_of_the_errors():
    codes = {int(x) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, re.M) for x in row.split(",")}
    errors = {x.exit_code for x in (NonFiniteLossError, CheckpointError, PeerError)}
    signals = {Interrupted(x, "").exit_code for x in SIGNALS}
    assert codes == {0, 1, 2, *errors, *signals}


def test_the_groups_are_those_of_origin_json():
    groups = re.findall(r"^\| `(\w+)` \|", section("Where a state comes from"), re.M)
    assert groups == list(describe_origin(Config(), {}))


def test_the_origin_of_a_checkpoint_is_read_as_the_page_says(tmp_path, capsys):
    with steered.scored({}):
        steered.run(tmp_path)
    capsys.readouterr()
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    exec(compile(example.replace("WORKDIR", str(tmp_path)), "docs/reliability.md", "exec"), {})
    assert "'versions': {'python': '" in capsys.readouterr().out


def test_the_tests_that_are_named_exist():
    named = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
