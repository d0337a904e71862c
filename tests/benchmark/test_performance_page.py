"""The fork of docs/performance.md is one."""

import pathlib
import re

import jax
import numpy as np

from jaxrcnn import detector
from tests.tiny import FPN_MODEL

PAGE = pathlib.Path(__file__).parents[2] / "docs/performance.md"


def test_the_fork_of_the_page_differs_in_its_rpn_head_alone():
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    there: dict = {}
    exec(block, there)
    built = there["build"](FPN_MODEL)
    assert built._replace(rpn_head=None) == detector.build(FPN_MODEL)._replace(rpn_head=None)
    maps = tuple(np.zeros((1, side, side, 16), np.float32) for side in (8, 4))
    (logits, deltas), _ = jax.eval_shape(
        lambda: built.rpn_head.init_with_output(jax.random.key(0), maps)
    )
    anchors = len(FPN_MODEL.anchors.ratios)
    assert [x.shape for x in logits] == [(1, 8, 8, anchors), (1, 4, 4, anchors)]
    assert [x.shape for x in deltas] == [(1, 8, 8, 4 * anchors), (1, 4, 4, 4 * anchors)]
