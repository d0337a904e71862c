from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.peer import start_torchvision
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.suites import Settings, predict
from jaxrcnn.interop.models import find_model


def test_the_settings_that_the_peer_was_tried_in_stand_below_the_ratio(fake):
    python, asked = fake
    config = find_model("fasterrcnn_mobilenet_v3_large_320_fpn").config(3)
    shape = Shape(1, 64, 64)
    with start_torchvision(python) as peer:
        speed = next(predict(Settings(config, shape, (shape,), 2, Peak(1e12, 1e11, "none"), peer)))
    ours = speed.numbers["jaxrcnn"]["median_ms"]
    assert abs(speed.numbers["times_as_fast"] * ours - 500) < 1  # the peer's steps take 0.5 s
    assert speed.numbers["torchvision_tried"] == {"plain": 3.0, "compiled": "no compiler"}
    said = [row[0] for row in speed.rows]
    assert said == [
        "",
        "jaxrcnn",
        "torchvision",
        "ratio",
        "torchvision, plain",
        "torchvision, compiled",
    ]
    assert speed.rows[-2][2:] == ("3", "tried")
    assert speed.rows[-1][2:] == ("", "no compiler")
    did = [request["do"] for request in asked()]
    assert did[:2] + did[-1:] == ["hello", "predict", "drop"]
    assert set(did[2:-1]) == {"run"}
