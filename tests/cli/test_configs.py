import pathlib
import subprocess
import sys

import pytest

from jaxrcnn.cli import main
from jaxrcnn.config_names import named_configs

ROOT = pathlib.Path(__file__).parents[2]


def test_each_named_config_is_listed_with_its_first_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["configs"])
    assert stop.value.code == 0
    *rows, blank, folder = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == sorted(named_configs())
    (shapes,) = (row for row in rows if row.startswith("shapes "))
    first = (ROOT / "configs" / "shapes.py").read_text().splitlines()[0].removeprefix('"""')
    assert shapes.endswith(f"  {first}")
    assert len({row.index(row.split(maxsplit=1)[1]) for row in rows}) == 1  # one column
    assert (blank, folder) == ("", f"folder: {ROOT / 'configs'}")


def test_listing_them_loads_no_library():
    code = (
        "import atexit, sys; from jaxrcnn.cli import main; "
        "say = lambda: print(*{n.partition('.')[0] for n in sys.modules}, file=sys.stderr); "
        "atexit.register(say); main(['configs'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert not set(done.stderr.split()) & {"jax", "numpy", "flax", "PIL", "rich"}
