import pytest

from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.cost import fresh_cache
from jaxrcnn.benchmark.peer import start_torchvision
from jaxrcnn.benchmark.session import Session, Settings
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.suites import SUITES, predict
from jaxrcnn.cli.benchmark import SUITES as NAMES
from jaxrcnn.interop.models import find_model


def test_the_command_line_knows_the_suites():
    assert tuple(SUITES) == NAMES


@pytest.fixture
def session(fake):
    config = find_model("fasterrcnn_mobilenet_v3_large_320_fpn").config(3)
    shape = Shape(1, 64, 64)
    with start_torchvision(fake[0]) as peer, fresh_cache():
        yield Session(Settings(config, shape, (shape,), 2, Peak(1e12, 1e11, "none"), peer))


@pytest.mark.slow
def test_our_speed_and_cost_come_first_and_then_the_peers(session, fake):
    speed, cost, beside = predict(session)
    assert [row[0] for row in speed.rows] == ["", "jaxrcnn"]
    assert cost.numbers["flops"] > 0
    ours = beside.numbers["jaxrcnn"]["median_ms"]
    assert abs(beside.numbers["times_as_fast"] * ours - 500) < 1  # the peer's steps take 0.5 s
    assert beside.numbers["torchvision_tried"] == {"plain": 3.0, "compiled": "no compiler"}
    said = [row[0] for row in beside.rows]
    assert said == [
        "",
        "jaxrcnn",
        "torchvision",
        "ratio",
        "torchvision, plain",
        "torchvision, compiled",
    ]
    assert beside.rows[-2][2:] == ("3", "tried")
    assert beside.rows[-1][2:] == ("", "no compiler")
    did = [request["do"] for request in fake[1]()]
    assert did[:2] + did[-1:] == ["hello", "predict", "drop"]
    assert set(did[2:-1]) == {"run"}
