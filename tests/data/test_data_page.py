"""The example of docs/data.md runs as it stands there."""

import pathlib
import re

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
(EXAMPLE,) = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs" / "data.md").read_text(), re.M | re.S
)


def test_the_example_prints_what_it_says(capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    names = {"__name__": "example"}
    exec(compile(EXAMPLE, "docs/data.md", "exec"), names)
    assert capsys.readouterr().out.strip() == EXAMPLE.strip().rpartition("  # ")[2]
    batch = names["batch"]
    # 0.8 of 60x80 is 48x64, which is kept at a long side of 64; every crop holds pixels of the box.
    np.testing.assert_array_equal(batch.image_sizes, [[48, 64]] * 2)
    for image, (x0, y0, x1, y1) in enumerate(batch.boxes[:, 0].astype(int)):
        mask = batch.extra["mask"][image]
        assert (mask[y0:y1, x0:x1] == 1).all()
        assert mask.sum() == (y1 - y0) * (x1 - x0) > 0
