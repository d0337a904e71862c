import json
import stat
import sys

import pytest

FAKE = """
import json, sys
import numpy as np
log = open({log!r}, "a")
for line in sys.stdin:
    request = json.loads(line)
    if "arrays" in request:
        request["shapes"] = {{k: list(x.shape) for k, x in np.load(request["arrays"]).items()}}
    print(json.dumps(request), file=log, flush=True)
    answers = {{
        "hello": {{"torch": "9"}},
        "run": {{"seconds": [0.5] * request.get("steps", 0)}},
        "memory": {{"arrays": 1, "resident": 2}},
        "nms": {{"settings": {{"plain": 3.0}}}},
        "align": {{"settings": {{"plain": 3.0}}}},
        "predict": {{"settings": {{"plain": 3.0, "compiled": "no compiler"}}}},
        "drop": {{}},
    }}
    if request.get("name") == "dies":
        print("out of memory", file=sys.stderr)
        sys.exit(1)
    print(json.dumps(answers[request["do"]]), flush=True)
"""


@pytest.fixture
def fake(tmp_path):
    """A Python that runs no torchvision, but says what it was asked."""
    log, program, python = (tmp_path / name for name in ("log", "program.py", "python"))
    program.write_text(FAKE.format(log=str(log)))
    python.write_text(f"#!/bin/sh\nexec {sys.executable} {program}\n")
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    log.touch()
    return str(python), lambda: [json.loads(line) for line in log.read_text().splitlines()]
