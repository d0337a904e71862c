"""Cases of which some are left to `pytest -m slow`."""

import pytest


def slow_but(quick, cases):
    """The cases for `pytest.mark.parametrize`, all but the quick ones under the mark slow."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]
